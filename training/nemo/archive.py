"""The `.nemo` file: a tar of a configuration, a checkpoint and tokenizers. NeMo is not needed here.

A checkpoint is a pickle. It is read with `weights_only`, which builds tensors and plain containers
and calls nothing; a file that needs more than that is refused before NeMo sees it.
"""

from __future__ import annotations

import contextlib
import hashlib
import pickle
import shutil
import tarfile
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import yaml

from training.digest import add_tensor
from voiceforge.errors import IntegrityError, UsageError

SUFFIX = ".nemo"
_CONFIG = "model_config.yaml"
_WEIGHTS = "model_weights.ckpt"
_CHECKPOINTS = (".ckpt", ".pt", ".pth", ".bin", ".pkl", ".pickle")
_SPECIAL = "spl_tokens"


@dataclass(frozen=True, slots=True)
class Description:
    """What the configuration in a `.nemo` file says of its model.

    Attributes:
        model: name of the NeMo class, such as "EncDecMultiTaskModel".
        sample_rate: Hz.
        n_mels: mel bands it hears.
        languages: ISO codes, where its tokenizer is one for each language; else empty.
        prompted: whether its decoder is told the language, as Canary's is.
    """

    model: str
    sample_rate: int
    n_mels: int
    languages: tuple[str, ...]
    prompted: bool


def describe(path: Path) -> Description:
    """Read a `.nemo` file's configuration.

    Raises:
        IntegrityError: the file is no tar, or its configuration is missing or cannot be read.
    """
    with _opened(path) as tar:
        member = _members(tar, path).get(_CONFIG)
        stream = tar.extractfile(member) if member else None
        if stream is None:
            raise IntegrityError(f"{path} is no .nemo model: it holds no {_CONFIG}.")
        try:
            config = yaml.safe_load(stream.read())
        except yaml.YAMLError as error:
            raise IntegrityError(f"{_CONFIG} in {path} is not valid YAML: {error}.") from error
    try:
        languages = config["tokenizer"].get("langs") or {}
        return Description(
            model=str(config["target"]).rpartition(".")[2],
            sample_rate=int(config["preprocessor"]["sample_rate"]),
            n_mels=int(config["preprocessor"]["features"]),
            languages=tuple(sorted(name for name in languages if name != _SPECIAL)),
            prompted="prompt_format" in config,
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise IntegrityError(
            f"{_CONFIG} in {path} is not that of a speech recognition model with a tokenizer "
            f"({error!r})."
        ) from error


def read_weights(path: Path) -> dict[str, Any]:
    """The model's tensors by name, on the CPU.

    Every checkpoint in the file is looked at, that of a second model inside it too.

    Raises:
        UsageError: a checkpoint holds more than tensors and plain containers.
        IntegrityError: the file or a checkpoint in it is damaged.
    """
    with tempfile.TemporaryDirectory() as name:
        unpack(path, Path(name))
        read = {file: _read(file, path) for file in _checkpoints(Path(name))}
        weights = read.get(Path(name) / _WEIGHTS)
    if not isinstance(weights, Mapping):
        raise IntegrityError(f"{path} is no .nemo model: it holds no {_WEIGHTS}.")
    return dict(weights)


def tensor_digest(path: Path) -> str:
    """Hex sha256 over a `.nemo` model's tensors, canonical as in `training.base_models`.

    Two files with the same weights have the same digest, however they were packed.

    Raises:
        UsageError, IntegrityError: as `read_weights`.
    """
    digest = hashlib.sha256()
    weights = read_weights(path)
    for name in sorted(weights):
        add_tensor(digest, name, weights[name].float().numpy())
    return digest.hexdigest()


def unpack(path: Path, into: Path) -> None:
    """Extract a `.nemo` file; its members lie flat in `into`.

    Raises:
        IntegrityError: the file is no tar, or a member would land elsewhere or is no plain file.
    """
    with _opened(path) as tar:
        for name, member in _members(tar, path).items():
            stream = tar.extractfile(member)
            assert stream is not None  # noqa: S101 - _members keeps plain files only
            with (into / name).open("wb") as sink:
                shutil.copyfileobj(stream, sink)


def repack(path: Path, weights: Mapping[str, Any], out: Path) -> None:
    """Write `path` again with other weights; everything else in it stays as it is.

    NeMo's own `save_to` would lose the second model that Canary carries for its timestamps, and
    would take a model with LoRA matrices that nothing can restore.

    Raises:
        IntegrityError: these are not the weights of this model.
    """
    import torch

    known = read_weights(path)
    if problems := _differences(known, weights):
        raise IntegrityError(f"These are not weights for {path}: {problems}.")
    with tempfile.TemporaryDirectory(dir=out.parent) as name:
        folder = Path(name)
        unpack(path, folder)
        torch.save(dict(weights), folder / _WEIGHTS)
        with tarfile.open(out, "w") as tar:
            for file in sorted(folder.iterdir()):
                tar.add(file, arcname=f"./{file.name}", filter=_anonymous)


def _anonymous(member: tarfile.TarInfo) -> tarfile.TarInfo:
    """The same content gives the same bytes, whoever packs it and when."""
    member.uid = member.gid = member.mtime = 0
    member.uname = member.gname = ""
    member.mode = 0o644
    return member


def _differences(known: Mapping[str, Any], weights: Mapping[str, Any]) -> str:
    if missing := sorted(known.keys() - weights.keys()):
        return f"{missing[0]} is missing, of {len(missing)}"
    if strange := sorted(weights.keys() - known.keys()):
        return f"{strange[0]} is unknown, of {len(strange)}"
    shapes = [name for name in sorted(known) if known[name].shape != weights[name].shape]
    return f"{shapes[0]} has another shape" if shapes else ""


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[tarfile.TarFile]:
    try:
        with tarfile.open(path) as tar:  # plain, or gzip as NeMo before 1.7 wrote it
            yield tar
    except (tarfile.TarError, EOFError) as error:
        raise IntegrityError(
            f"{path} is no whole .nemo file ({error}). Fetch or copy it again."
        ) from error


def _members(tar: tarfile.TarFile, path: Path) -> dict[str, tarfile.TarInfo]:
    """The plain files of the archive by name."""
    found = {}
    for member in tar.getmembers():
        name = PurePosixPath(member.name)
        if member.isdir() and name == PurePosixPath("."):
            continue
        if not member.isfile() or name.is_absolute() or len(name.parts) != 1:
            raise IntegrityError(
                f"{path} holds {member.name!r}, and a .nemo file holds plain files without folders."
            )
        found[name.name] = member
    return found


def _checkpoints(folder: Path) -> list[Path]:
    return [file for file in sorted(folder.iterdir()) if file.suffix in _CHECKPOINTS]


def _read(file: Path, path: Path) -> Any:
    import torch

    try:
        return torch.load(file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        said = str(error).splitlines()[0]
        raise UsageError(
            f"{file.name} in {path} holds more than weights, and reading it could run code that "
            f"it brings ({said}). It is not read. Save the model again with a NeMo of today."
        ) from error
    except (RuntimeError, EOFError, OSError) as error:
        raise IntegrityError(
            f"{file.name} in {path} is damaged ({error}). Fetch or copy the file again."
        ) from error
