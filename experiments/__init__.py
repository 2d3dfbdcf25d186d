"""Gates, certificate, assignment and analysis of experiments; events and history."""
