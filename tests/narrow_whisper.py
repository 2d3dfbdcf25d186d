"""A Whisper of one narrow layer with tiny.en's vocabulary: its training steps take no time."""

from __future__ import annotations

import shutil
from pathlib import Path


def narrow_whisper(real: Path, folder: Path) -> None:
    """Write one with random weights, the same each time; `real` is a folder of tiny.en."""
    import torch
    from transformers import WhisperConfig, WhisperForConditionalGeneration

    config = WhisperConfig.from_pretrained(real)
    config.update({
        "d_model": 16, "encoder_layers": 1, "decoder_layers": 1, "encoder_attention_heads": 2,
        "decoder_attention_heads": 2, "encoder_ffn_dim": 32, "decoder_ffn_dim": 32,
    })  # fmt: skip
    torch.manual_seed(0)
    shutil.copytree(real, folder, ignore=shutil.ignore_patterns("*.safetensors", "manifest.json"))
    model = WhisperForConditionalGeneration(config)
    model.generation_config = type(model.generation_config).from_pretrained(real)
    model.save_pretrained(folder)
