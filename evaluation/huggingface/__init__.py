"""Metrics for Hugging Face `evaluate`, loaded as local modules: `evaluate.load(".../wer")`."""
