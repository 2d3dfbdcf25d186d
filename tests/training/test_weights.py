"""The hashes of a base model's weights: of its files as they lie, each read once."""

from __future__ import annotations

from pathlib import Path

import pytest

from training import weights
from training.weights import weight_hashes
from voiceforge.files import sha256_file, write_bytes


def test_weights_are_named_in_order_and_written_anew_are_hashed_anew(tmp_path: Path) -> None:
    for name in ("model-2.safetensors", "model-1.safetensors", "config.json"):
        write_bytes(tmp_path / name, name.encode())
    found = weight_hashes(tmp_path)
    assert list(found) == ["model-1.safetensors", "model-2.safetensors"]
    assert found == {name: sha256_file(tmp_path / name) for name in found}
    write_bytes(tmp_path / "model-1.safetensors", b"MODEL-1.safetensors")  # of the same length
    again = weight_hashes(tmp_path)
    assert again["model-1.safetensors"] == sha256_file(tmp_path / "model-1.safetensors")
    assert again["model-1.safetensors"] != found["model-1.safetensors"]


def test_weights_are_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "model.nemo"
    write_bytes(file, b"weights")
    read: list[Path] = []

    def counted(path: Path) -> str:
        read.append(path)
        return sha256_file(path)

    monkeypatch.setattr(weights, "sha256_file", counted)
    assert weight_hashes(file) == weight_hashes(file) == {"model.nemo": sha256_file(file)}
    assert read == [file]
