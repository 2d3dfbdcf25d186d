"""The stages as plain functions: read inputs, call one core, write one artifact."""
