"""Base models: one identity in every form, quick when warm, and refusals a person can act on."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from data import catalogue
from training.base_models import BaseModel, resolve, tensor_digest
from voiceforge.errors import IntegrityError, SourceError, StorageError, UsageError

ONLINE: dict[str, Any] = {"offline": False, "timeout": 10.0}
OFFLINE: dict[str, Any] = {"offline": True, "timeout": 1.0}


@pytest.fixture(scope="module")
def tiny(cache: Path) -> BaseModel:
    return resolve("whisper-tiny.en", cache=cache, **ONLINE)


@pytest.fixture()
def copied(tiny: BaseModel, cache: Path, tmp_path: Path) -> Path:
    """A cache of its own that holds tiny.en, made and as downloaded."""
    for kind in ("sources", "base-models"):
        shutil.copytree(cache / kind / tiny.name, tmp_path / "cache" / kind / tiny.name)
    return tmp_path / "cache"


def test_a_base_model_is_described(cache: Path, tiny: BaseModel) -> None:
    entry = catalogue.entry("whisper-tiny.en")
    assert (tiny.sha256, tiny.licence) == (entry.identity, "MIT")
    assert (tiny.multilingual, tiny.n_mels) == (False, 80)
    base = resolve("whisper-base", cache=cache, **ONLINE)
    assert base.sha256 == catalogue.entry("whisper-base").identity
    assert (base.multilingual, base.n_mels) == (True, 80)


def test_a_warm_resolve_opens_nothing_and_takes_milliseconds(cache: Path, tiny: BaseModel) -> None:
    resolve("whisper-tiny.en", cache=cache, **OFFLINE)
    began = time.perf_counter()
    for _ in range(20):
        assert resolve("whisper-tiny.en", cache=cache, **OFFLINE) == tiny
    assert (time.perf_counter() - began) / 20 < 0.05


def test_the_same_weights_have_one_digest_in_every_form(tiny: BaseModel, tmp_path: Path) -> None:
    tensors = load_file(tiny.path / "model.safetensors")
    names = sorted(tensors)
    tied = {**tensors, "proj_out.weight": tensors["model.decoder.embed_tokens.weight"]}
    half = {name: tensor.astype(np.float16) for name, tensor in tensors.items()}
    forms = {
        "float16": {"model.safetensors": half},
        "tied": {"model.safetensors": tied},
        "shards": {
            "model-00001-of-00002.safetensors": {name: tensors[name] for name in names[1::2]},
            "model-00002-of-00002.safetensors": {name: tensors[name] for name in names[::2]},
        },
    }
    for form, files in forms.items():
        (tmp_path / form).mkdir()
        for file, content in files.items():
            save_file(content, tmp_path / form / file)
        assert tensor_digest(tmp_path / form) == tiny.sha256, form


def test_any_changed_weight_name_or_shape_changes_the_digest(
    tiny: BaseModel, tmp_path: Path
) -> None:
    tensors = load_file(tiny.path / "model.safetensors")
    name = "model.encoder.conv1.bias"
    nudged = tensors[name].copy()
    nudged[7] = np.nextafter(nudged[7], np.inf)
    changes = (
        {**tensors, name: nudged},
        {**{k: v for k, v in tensors.items() if k != name}, "other": tensors[name]},
        {**tensors, name: tensors[name].reshape(2, -1)},
    )
    digests = {tiny.sha256}
    for number, changed in enumerate(changes):
        (tmp_path / str(number)).mkdir()
        save_file(changed, tmp_path / str(number) / "model.safetensors")
        digests.add(tensor_digest(tmp_path / str(number)))
    assert len(digests) == 4


def test_bfloat16_weights_have_a_digest(tiny: BaseModel, tmp_path: Path) -> None:
    import torch
    from safetensors.torch import load_file as load_torch
    from safetensors.torch import save_file as save_torch

    tensors = load_torch(tiny.path / "model.safetensors")
    rounded = {name: tensor.to(torch.bfloat16) for name, tensor in tensors.items()}
    for form, content in (
        ("bf16", rounded),
        ("widened", {name: tensor.float() for name, tensor in rounded.items()}),
    ):
        (tmp_path / form).mkdir()
        save_torch(content, tmp_path / form / "model.safetensors")
    assert tensor_digest(tmp_path / "bf16") == tensor_digest(tmp_path / "widened") != tiny.sha256


def test_a_local_folder_is_a_base_model(tiny: BaseModel, tmp_path: Path) -> None:
    shutil.copytree(tiny.path, tmp_path / "mine")
    mine = resolve(str(tmp_path / "mine"), cache=tmp_path / "unused", **OFFLINE)
    assert mine == dataclasses.replace(
        tiny, name="mine", path=(tmp_path / "mine").resolve(), licence="unknown"
    )
    assert resolve("mine", cache=tmp_path / "unused", start=tmp_path, **OFFLINE) == mine
    with pytest.raises(UsageError, match=r"no base model or folder 'mine'"):
        resolve("mine", cache=tmp_path, **OFFLINE)
    assert not (tmp_path / "unused").exists()


def test_unknown_names_and_unfit_folders_are_usage_errors(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"'whisper-tiny'.*whisper-tiny\.en, whisper-base"):
        resolve("whisper-tiny", cache=tmp_path, **OFFLINE)
    with pytest.raises(UsageError, match=r"no base model or folder 'prompts-en'"):
        resolve("prompts-en", cache=tmp_path, **OFFLINE)
    with pytest.raises(UsageError, match=r"is a NeMo model"):
        resolve("canary-1b-flash", cache=tmp_path, **OFFLINE)
    with pytest.raises(UsageError, match=r"holds no \.safetensors"):
        resolve(str(tmp_path), cache=tmp_path, **OFFLINE)
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    save_file({"x": np.zeros(1, np.float32)}, tmp_path / "model.safetensors")
    with pytest.raises(UsageError, match=r"holds a 'bert' model"):
        resolve(str(tmp_path), cache=tmp_path, **OFFLINE)
    (tmp_path / "model.safetensors").write_bytes(b"no tensors")
    with pytest.raises(IntegrityError, match=r"cannot be read"):
        resolve(str(tmp_path), cache=tmp_path, **OFFLINE)


def test_corrupt_weights_are_named_with_both_hashes(copied: Path) -> None:
    weights = copied / "base-models/whisper-tiny.en/model.safetensors"
    with weights.open("r+b") as stream:
        stream.seek(50_000_000)
        stream.write(b"\xff\xff\xff\xff")
    recorded = json.loads((weights.parent / "manifest.json").read_text())["files"][weights.name]
    with pytest.raises(IntegrityError) as caught:
        resolve("whisper-tiny.en", cache=copied, **OFFLINE)
    message = str(caught.value)
    assert str(weights) in message
    assert f"should be {recorded['sha256']}" in message
    assert f"Delete {weights.parent}" in message
    shutil.rmtree(weights.parent)
    again = resolve("whisper-tiny.en", cache=copied, **OFFLINE)
    assert again.sha256 == catalogue.entry("whisper-tiny.en").identity


def test_a_touched_or_copied_folder_proves_itself_once(copied: Path) -> None:
    weights = copied / "base-models/whisper-tiny.en/model.safetensors"
    os.utime(weights, (1, 1))
    model = resolve("whisper-tiny.en", cache=copied, **OFFLINE)
    manifest = json.loads((model.path / "manifest.json").read_text())
    assert manifest["files"][weights.name]["mtime_ns"] == 1_000_000_000


def test_other_weights_than_the_catalogue_says_are_refused(
    copied: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.rmtree(copied / "base-models")
    entry = dataclasses.replace(catalogue.entry("whisper-tiny.en"), identity="f" * 64)
    monkeypatch.setitem(catalogue.CATALOGUE, entry.name, entry)
    manifest = copied / "sources/whisper-tiny.en/manifest.json"
    facts = json.loads(manifest.read_text())
    manifest.write_text(json.dumps({**facts, "pin": entry.pin}))
    with pytest.raises(IntegrityError, match=r"not those of the catalogue.*should be f{64}"):
        resolve("whisper-tiny.en", cache=copied, **OFFLINE)
    assert list((copied / "base-models").iterdir()) == []


def test_offline_without_a_cache_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"is not in the cache .* VOICEFORGE_OFFLINE unset"):
        resolve("whisper-base", cache=tmp_path, **OFFLINE)


def test_a_folder_that_cannot_be_written_is_a_storage_error(
    tiny: BaseModel, cache: Path, copied: Path
) -> None:
    assert tiny.path.is_relative_to(cache)
    with pytest.raises(StorageError, match=r"cannot be written.*VOICEFORGE_HOME"):
        resolve("whisper-tiny.en", cache=Path("/sys/voiceforge"), **ONLINE)
    shutil.rmtree(copied / "base-models")
    leftover = copied / "base-models/.tmp-whisper-tiny.en-abcd1234"
    leftover.mkdir(parents=True)
    resolve("whisper-tiny.en", cache=copied, **OFFLINE)
    assert [path.name for path in (copied / "base-models").iterdir()] == ["whisper-tiny.en"]
