"""Corpora: sources, audio decoding and mel features, manifest, validation, splits, versions."""
