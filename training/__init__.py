"""Base models, LoRA fine-tuning and merging."""
