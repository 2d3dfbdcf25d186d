"""Dagster definitions, jobs, schedules, sensors and resources."""
