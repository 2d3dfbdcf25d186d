"""The files that hold a base model's weights: what was made with the model depends on them."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from voiceforge.files import sha256_file


def weight_hashes(base: Path) -> dict[str, str]:
    """The sha256 of each file of weights by its name, in the order of names.

    Args:
        base: Hugging Face folder (safetensors), or a `.nemo` file.
    """
    files = [base] if base.is_file() else sorted(base.glob("*.safetensors"))
    return {file.name: _sha256(file, _state(file)) for file in files}


def _state(file: Path) -> tuple[int, int]:
    """Another one when the file is written anew."""
    known = file.stat()
    return known.st_size, known.st_mtime_ns


@cache
def _sha256(file: Path, state: tuple[int, int]) -> str:
    """Read once a process for each state of the file: base models have gigabytes."""
    return sha256_file(file)
