"""The stages of the lifecycle as plain functions: read inputs, call one core, write one artifact."""
