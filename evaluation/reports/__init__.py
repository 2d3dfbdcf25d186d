"""Reports: pure functions from predictions to typed results, JSON and self-contained HTML."""
