"""Dagster assets and checks, one module a lifecycle stage."""
