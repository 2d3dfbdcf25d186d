"""Text normalisers, metrics, significance (pure), predictions and latency, reports."""
