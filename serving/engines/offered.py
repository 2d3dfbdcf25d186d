"""The engines that this version can build and run, and what they are called: KIND:PRECISION."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from serving.engines.tokens import FILE as TOKENIZER
from voiceforge.errors import UsageError

if TYPE_CHECKING:
    from serving.engines.contracts import EngineDescription

OFFERED: Mapping[str, tuple[str, ...]] = {
    "ctranslate2": ("int8", "int8_float32", "float32", "float16"),
    "onnxruntime": ("int8", "float32", "int8_static", "float16"),
}
"""Kind -> precisions of its weights. On most processors int8_float32 computes what int8 does."""

CALIBRATED = ("int8_static",)
"""Precisions that are fitted to speech: `build` needs clips of it."""

WEIGHTS = "model.safetensors"
_PACKAGES = {"ctranslate2": "ctranslate2", "onnxruntime": "onnxruntime"}
_MODULES = {"ctranslate2": "serving.engines.ctranslate2", "onnxruntime": "serving.engines.onnx"}


@dataclass(frozen=True, slots=True)
class EngineName:
    """A kind of engine and the precision of its weights, such as ctranslate2:int8."""

    kind: str
    precision: str

    def __str__(self) -> str:
        return f"{self.kind}:{self.precision}"


DEFAULT = EngineName("ctranslate2", "int8")
"""What weights are built as unless somebody says otherwise."""


def parse_engine(text: str) -> EngineName:
    """The engine of that name.

    Raises:
        UsageError: there is none; the message lists what there is.
    """
    kind, _, precision = text.partition(":")
    if precision not in OFFERED.get(kind, ()):
        known = [str(EngineName(kind, one)) for kind, every in OFFERED.items() for one in every]
        raise UsageError(f"There is no engine {text!r}. There is: {', '.join(known)}.")
    return EngineName(kind, precision)


def check_source(source: Path, engine: EngineName) -> None:
    """Refuse to build what cannot be built.

    Args:
        source: Hugging Face folder of a Whisper model.

    Raises:
        UsageError: the source is no such folder, or the precision is not known.
    """
    precisions = OFFERED[engine.kind]
    if engine.precision not in precisions:
        raise UsageError(
            f"The precision {engine.precision!r} is not known. Known: {', '.join(precisions)}."
        )
    if not all((source / name).is_file() for name in (WEIGHTS, TOKENIZER)):
        raise UsageError(
            f"{source} holds no {WEIGHTS} and {TOKENIZER}, so no engine can be built from it. Give "
            "the folder of a base or merged Whisper model."
        )


def check_calibration(engine: EngineName, clips: int) -> None:
    """Refuse to build without speech what is fitted to speech.

    Raises:
        UsageError: there are no clips, and the precision needs some.
    """
    if engine.precision in CALIBRATED and not clips:
        raise UsageError(
            f"{engine} rounds activations to the range that they have on speech, so that it is "
            "built with recordings of the speech it is for, and none were given. Give a few "
            "dozen that nothing is evaluated on: `voiceforge engine build --calibration FOLDER`. "
            "The engine's folder can then be named as a model (docs/engines.md)."
        )


def engine_module(kind: str) -> Any:
    """The module that builds and loads engines of a kind, imported when it is needed.

    It has `build(source, out, spec, source_sha256, trailing_silence, *, calibration)` and
    `load(path, *, threads)`.
    """
    return import_module(_MODULES[kind])


@dataclass(frozen=True, slots=True)
class Availability:
    """Whether this machine can build and run a kind of engine.

    Attributes:
        version: of the package that runs it; "" where there is none.
        problem: why not; "" where it can.
    """

    version: str
    problem: str = ""


def probe(kind: str) -> Availability:
    """Look whether a kind of engine is available; nothing is loaded but the package that runs it.

    Raises:
        KeyError: there is no such kind.
    """
    package = _PACKAGES[kind]
    try:
        import_module(package)
        return Availability(version(package))
    except (ImportError, OSError) as error:  # a wheel of another processor, a missing library
        return Availability("", f"the package {package} cannot be imported ({error})")


def engine_name(description: EngineDescription) -> EngineName:
    """What an engine is called by its description; also one that this version cannot run."""
    return EngineName(description.kind, description.precision)
