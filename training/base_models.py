"""Base models: a name or a folder becomes a Hugging Face folder with a known identity."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from data import catalogue
from data.fetch import fetch, locked
from data.sealed import MANIFEST, check_sealed, seal, sealed_facts
from training.conversion import MULTILINGUAL_VOCABULARY, convert
from training.digest import add_tensor
from training.nemo import archive
from voiceforge.errors import IntegrityError, UsageError
from voiceforge.files import new_folder, read_json, remove_leftovers_of
from voiceforge.settings import from_project

Backend = Literal["whisper", "nemo"]

_TITLES: dict[Backend, str] = {"whisper": "Whisper", "nemo": "NeMo"}
_A_MODEL: dict[Backend, str] = {"whisper": "a Whisper model", "nemo": "a NeMo model"}
_TIED = "proj_out.weight"
_CONVERSION = 2
"""Raise it when `training.conversion` comes to write other files: older results are made anew."""


@dataclass(frozen=True, slots=True)
class BaseModel:
    """A Whisper or NeMo model that training starts from.

    Attributes:
        name: the catalogue's name, or the folder's for a model of one's own.
        path: folder that transformers loads offline: safetensors, tokenizer, configurations; of a
            NeMo model its `.nemo` file.
        sha256: `tensor_digest` of its weights: its identity, whatever form it came in.
        multilingual: whether its decoder takes a language token, or its tokenizer has a part for
            each of several languages.
        n_mels: mel bands it hears, 80 or 128.
        licence: SPDX identifier, or "unknown".
    """

    name: str
    path: Path
    sha256: str
    multilingual: bool
    n_mels: int
    licence: str


def resolve(
    name: str,
    *,
    cache: Path,
    offline: bool,
    timeout: float,
    start: Path | None = None,
    progress: Callable[[str], None] | None = None,
    backend: Backend = "whisper",
) -> BaseModel:
    """The base model of that catalogue name or folder, fetched and converted when need be.

    Args:
        name: such as "whisper-base", or the path of a local Hugging Face Whisper folder or `.nemo`
            file.
        cache: folder of downloads and converted models.
        offline: open no network connection.
        timeout: seconds after which a silent source is given up.
        start: where the path of a folder starts; the current directory by default.
        progress: told in words what takes time.
        backend: which kind of model is meant.

    Raises:
        UsageError: no such name or path, or not a model of that kind that can be trained.
        SourceError: no source could deliver it.
        IntegrityError: files are corrupt, or the weights are not those of the catalogue.
        StorageError: the disk is full or read-only.
    """
    if (own := own_path(name, start, backend)) is not None:
        return describe_path(own)
    entry = catalogue.entry(name)
    folder = cache / "base-models" / name
    made_from = {"pin": entry.pin, "conversion": _CONVERSION}
    if not _is_made(folder, made_from):
        source = fetch(name, cache=cache, offline=offline, timeout=timeout, progress=progress)
        with locked(cache, f"base-model-{name}"):
            if not _is_made(folder, made_from):
                if progress:
                    progress(f"{name}: preparing the weights")
                _make(entry, source, folder, made_from)
    facts = check_sealed(folder)
    return _describe(name, folder, facts["tensors"], entry.licence)


def own_path(name: str, start: Path | None = None, backend: Backend = "whisper") -> Path | None:
    """The folder or `.nemo` file that a base model's name means; None for one of the catalogue.

    Args:
        name, start, backend: as those of `resolve`.

    Raises:
        UsageError: no such name or path, or a model of the other backend.
    """
    other: Backend = "nemo" if backend == "whisper" else "whisper"
    known = ", ".join(catalogue.names(backend))
    if name in catalogue.names(backend):
        return None
    path = from_project(start or Path(), name)
    is_own = name not in catalogue.CATALOGUE
    if is_own and (path.is_dir() if backend == "whisper" else path.suffix == archive.SUFFIX):
        if path.exists():
            return path.resolve()
    elif name in catalogue.names(other) or (is_own and path.exists()):
        raise UsageError(
            f"{name} is {_A_MODEL[other]}. {_TITLES[backend]} base models are: {known}. To train "
            f"{_A_MODEL[other]}, set training.backend to {other} in params.yaml."
        )
    raise UsageError(f"There is no base model or folder {name!r}. Known base models: {known}.")


def describe_path(path: Path) -> BaseModel:
    """A model of one's own as a base model.

    Raises:
        UsageError: it holds no safetensors, is not a Whisper model, or is a NeMo model that cannot
            be trained.
        IntegrityError, StorageError: its files are corrupt or missing.
    """
    digest = archive.tensor_digest(path) if path.is_file() else tensor_digest(path)
    return _describe(path.name, path, digest, "unknown")


def tensor_digest(folder: Path) -> str:
    """Hex sha256 over the canonical tensors of a folder's safetensors files.

    Canonical: sorted by name; each tensor as its name, shape and float32 little-endian bytes in C
    order. A stored copy of the tied output projection does not count. The same weights give the
    same digest as float16, float32, in one file or in shards.

    Raises:
        UsageError: the folder holds no safetensors.
        IntegrityError: a file is not valid safetensors.
    """
    from safetensors import SafetensorError, safe_open

    files = sorted(folder.glob("*.safetensors"))
    if not files:
        raise UsageError(
            f"{folder} holds no .safetensors file. Save the model with "
            "`save_pretrained(..., safe_serialization=True)`; pickled weights are not read."
        )
    digest = hashlib.sha256()
    try:
        place = {}
        for file in files:
            with safe_open(file, framework="np") as opened:
                place.update(dict.fromkeys(opened.keys(), file))
        for name in sorted(place):
            if name != _TIED:
                _add(digest, name, place[name])
    except SafetensorError as error:
        raise IntegrityError(
            f"{folder} holds a .safetensors file that cannot be read ({error}). Fetch or save the "
            "model again."
        ) from error
    return digest.hexdigest()


def _add(digest: Any, name: str, file: Path) -> None:
    from safetensors import safe_open

    with safe_open(file, framework="np") as opened:
        kind = opened.get_slice(name).get_dtype()
        tensor = None if kind == "BF16" else opened.get_tensor(name)
    if tensor is None:  # NumPy has no bfloat16
        with safe_open(file, framework="pt") as opened:
            tensor = opened.get_tensor(name).float().numpy()
    add_tensor(digest, name, tensor)


def _is_made(folder: Path, made_from: dict[str, Any]) -> bool:
    facts = sealed_facts(folder)
    return facts is not None and facts["made_from"] == made_from


def _make(entry: catalogue.Entry, source: Path, folder: Path, made_from: dict[str, Any]) -> None:
    remove_leftovers_of(folder)
    form = read_json(source / MANIFEST)["form"]
    with new_folder(folder) as new:
        if form == "ctranslate2":
            convert(source, new)
        else:
            for path in source.iterdir():
                if path.name != MANIFEST:
                    _link(path, new / path.name)
        own = list(new.glob(f"*{archive.SUFFIX}"))
        tensors = archive.tensor_digest(own[0]) if own else tensor_digest(new)
        if entry.identity and tensors != entry.identity:
            raise IntegrityError(
                f"The weights of {entry.name} in {source} are not those of the catalogue: their "
                f"tensor digest is {tensors} and should be {entry.identity}. Delete {source} and "
                "run again; if it happens again, that source has changed."
            )
        seal(new, {"name": entry.name, "made_from": made_from, "tensors": tensors})


def _link(path: Path, target: Path) -> None:
    """A hard link where the file system has them: weights are large and never written in place."""
    try:
        os.link(path, target)
    except OSError:
        shutil.copy2(path, target)


def _describe(name: str, folder: Path, sha256: str, licence: str) -> BaseModel:
    files = [folder] if folder.is_file() else list(folder.glob(f"*{archive.SUFFIX}"))
    if files:
        return _describe_nemo(name, files[0], sha256, licence)
    config = read_json(folder / "config.json")
    if config.get("model_type") != "whisper":
        raise UsageError(
            f"{folder} holds a {config.get('model_type')!r} model, and only Whisper models can be "
            "base models."
        )
    return BaseModel(
        name=name,
        path=folder,
        sha256=sha256,
        multilingual=config["vocab_size"] >= MULTILINGUAL_VOCABULARY,
        n_mels=config["num_mel_bins"],
        licence=licence,
    )


def _describe_nemo(name: str, file: Path, sha256: str, licence: str) -> BaseModel:
    from training.nemo.models import check_model

    check_model(file)
    described = archive.describe(file)
    return BaseModel(
        name=name,
        path=file,
        sha256=sha256,
        multilingual=described.prompted or len(described.languages) > 1,
        n_mels=described.n_mels,
        licence=licence,
    )
