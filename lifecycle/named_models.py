"""What a person may call a model on the command line, and its engine."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from voiceforge.errors import UsageError
from voiceforge.settings import Settings

if TYPE_CHECKING:
    from serving.engines.contracts import Engine

BASE = "base:"
MANNER = (
    "base:NAME (such as base:whisper-tiny.en), models:/DOMAIN@ALIAS, models:/DOMAIN/VERSION, or "
    "the path of a folder with an engine.json or with a Whisper model of Hugging Face"
)
"""How models are named, for messages."""


def load_model(
    settings: Settings, model: str, say: Callable[[str], None] = lambda line: None
) -> tuple[Engine, str]:
    """Load what `model` names; returns the engine and its full name, aliases resolved.

    Args:
        say: told what is downloaded.

    Raises:
        UsageError: it names nothing.
    """
    from serving.engines import load_engine

    folder, name = engine_of(settings, model, say)
    return load_engine(folder, threads=settings.threads), name


def engine_of(
    settings: Settings, model: str, say: Callable[[str], None] = lambda line: None
) -> tuple[Path, str]:
    """The engine folder of what `model` names, and its full name; raises as `load_model`."""
    if model.startswith(BASE):
        return _base_engine(settings, model.removeprefix(BASE), say), model
    if model.startswith("models:/"):
        from lifecycle.model_registry import open_registry
        from serving.registry import parse_address

        domain, version = parse_address(model)
        registry = open_registry(settings)
        name = f"models:/{domain}/{registry.version(domain, version).version}"
        return registry.model_folder(domain, version), name
    folder = Path(model)
    if (folder / "engine.json").is_file():
        return folder, model
    if (folder / "config.json").is_file() and any(folder.glob("*.safetensors")):
        return _own_engine(settings, folder), model
    raise UsageError(f"{model!r} is no model: write {MANNER}.")


def _base_engine(settings: Settings, name: str, say: Callable[[str], None]) -> Path:
    """The base model as an int8 engine padded to 30 s, built once in the cache."""
    from data.features import WINDOW_FRAMES
    from training.base_models import resolve

    base = resolve(
        name,
        cache=settings.cache,
        offline=settings.offline,
        timeout=settings.source_timeout,
        progress=say,
    )
    return _built(settings, base.path, base.name, base.sha256, WINDOW_FRAMES, 0.0)


def _own_engine(settings: Settings, model: Path) -> Path:
    """A model in Hugging Face's format, at the clip length that it was merged for, if it was."""
    from data.features import WINDOW_FRAMES
    from training.base_models import tensor_digest
    from training.merging import DESCRIPTION
    from voiceforge.files import read_json

    frames, silence = WINDOW_FRAMES, 0.0
    if (model / DESCRIPTION).is_file():
        trained = read_json(model / DESCRIPTION)
        frames, silence = int(trained["minimum_mel_frames"]), float(trained["trailing_silence"][1])
    name = f"{model.resolve().name}-{frames}-{silence:g}"
    return _built(settings, model, name, tensor_digest(model), frames, silence)


def _built(
    settings: Settings, model: Path, name: str, sha256: str, frames: int, silence: float
) -> Path:
    """The int8 engine of a model, built once in the cache."""
    from serving.engines import ctranslate2
    from serving.engines.contracts import EngineSpec
    from voiceforge.files import new_folder

    folder = settings.cache / "base-engines" / f"{name}-{sha256[:16]}"
    if not (folder / "engine.json").is_file():
        spec = EngineSpec("ctranslate2", "int8", frames, "en")
        with new_folder(folder) as out:
            ctranslate2.build(model, out, spec, source_sha256=sha256, trailing_silence=silence)
    return folder
