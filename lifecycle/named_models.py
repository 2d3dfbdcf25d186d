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
    "the path of a folder with an engine.json"
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
    if not (folder / "engine.json").is_file():
        raise UsageError(f"{model!r} is no model: write {MANNER}.")
    return folder, model


def _base_engine(settings: Settings, name: str, say: Callable[[str], None]) -> Path:
    """The base model as an int8 engine padded to 30 s, built once in the cache."""
    from data.features import WINDOW_FRAMES
    from serving.engines import ctranslate2
    from serving.engines.contracts import EngineSpec
    from training.base_models import resolve
    from voiceforge.files import new_folder

    base = resolve(
        name,
        cache=settings.cache,
        offline=settings.offline,
        timeout=settings.source_timeout,
        progress=say,
    )
    folder = settings.cache / "base-engines" / f"{base.name}-{base.sha256[:16]}"
    if not (folder / "engine.json").is_file():
        spec = EngineSpec("ctranslate2", "int8", WINDOW_FRAMES, "en")
        with new_folder(folder) as out:
            ctranslate2.build(base.path, out, spec, source_sha256=base.sha256, trailing_silence=0.0)
    return folder
