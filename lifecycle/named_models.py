"""What a person may call a model on the command line, and its engine."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from voiceforge.errors import UsageError
from voiceforge.settings import Settings

if TYPE_CHECKING:
    from evaluation.model_calibrator import ModelCalibrator
    from serving.engines.contracts import Engine, EngineDescription, Samples
    from serving.engines.offered import EngineName

BASE, REGISTERED = "base:", "models:/"
MANNER = (
    "base:NAME (such as base:whisper-tiny.en), models:/DOMAIN@ALIAS, models:/DOMAIN/VERSION, or "
    "the path of a folder with an engine.json or with a Whisper model of Hugging Face"
)
"""How models are named, for messages."""


def load_model(
    settings: Settings, model: str, say: Callable[[str], None] = lambda line: None
) -> tuple[Engine, str, ModelCalibrator | None]:
    """Load what `model` names: the engine, its full name (aliases resolved), and its calibrator.

    Args:
        say: told what is downloaded.

    Raises:
        UsageError: it names nothing.
        IntegrityError: engine or calibrator are not what was made.
    """
    from serving.engines import load_engine

    folder, name = engine_of(settings, model, say)
    calibrator = model_calibrator(settings, folder, name)
    return load_engine(folder, threads=settings.threads), name, calibrator


def model_calibrator(settings: Settings, engine: Path, name: str) -> ModelCalibrator | None:
    """The calibrator that is kept with a model, None for one that never had any.

    Args:
        engine, name: as `engine_of` found them.

    Raises:
        IntegrityError: it is gone, not the one that was attached, or of another engine.
    """
    from serving.confidence import StoredCalibrator, calibrator_beside
    from serving.engines import engine_sha256

    if name.startswith(REGISTERED):
        from lifecycle.model_registry import open_registry
        from serving.registry import parse_address

        stored = open_registry(settings).calibrator(*parse_address(name))
    else:
        stored = StoredCalibrator(calibrator_beside(engine))
    return stored.read(engine_sha256(engine))


def engine_of(
    settings: Settings,
    model: str,
    say: Callable[[str], None] = lambda line: None,
    *,
    engine: str | None = None,
) -> tuple[Path, str]:
    """The engine folder of what `model` names, and its full name.

    Args:
        engine: KIND:PRECISION of the engine (`serving.engines.offered`). A model that is given as
            weights is built as that, without it as ctranslate2:int8; not as one that is fitted to
            speech, which somebody has to choose.

    Raises:
        UsageError: as `load_model`; there is no such engine, or the model has another one.
    """
    from serving.engines.offered import DEFAULT, check_calibration, parse_engine

    asked = None if engine is None else parse_engine(engine)
    if asked and not (Path(model) / "engine.json").is_file() and not model.startswith(REGISTERED):
        # No speech is at hand that could never be what is evaluated.
        check_calibration(asked, 0)
    if model.startswith(REGISTERED):
        from lifecycle.model_registry import open_registry
        from serving.registry import parse_address

        domain, version = parse_address(model)
        registry = open_registry(settings)
        name = f"{REGISTERED}{domain}/{registry.version(domain, version).version}"
        return _checked(registry.model_folder(domain, version), name, asked), name
    if (Path(model) / "engine.json").is_file():
        return _checked(Path(model), model, asked), model
    if weights := weights_of(settings, model, say):
        return built_engine(settings, weights, asked or DEFAULT), model
    raise UsageError(f"{model!r} is no model: write {MANNER}.")


def _checked(folder: Path, model: str, asked: EngineName | None) -> Path:
    """The folder of an engine that is built already, and may not be the one that was asked for."""
    from serving.engines.description import read_description
    from serving.engines.offered import engine_name

    has = engine_name(read_description(folder))
    if asked not in (None, has):
        raise UsageError(
            f"{model} has the engine {has}, and {asked} was asked for. Only weights can be built "
            f"as another: {BASE}NAME, or a folder with a Whisper model of Hugging Face. Ask for "
            f"{has}, or for none."
        )
    return folder


@dataclass(frozen=True)
class Weights:
    """A Whisper model in Hugging Face's format.

    Attributes:
        name: short, for folders.
        sha256: digest of its tensors.
        frames: shortest mel that it knows, in 10 ms frames.
        silence: seconds that serving appends to a clip.
        multilingual: whether it knows other languages than English.
    """

    path: Path
    name: str
    sha256: str
    frames: int
    silence: float
    multilingual: bool


def weights_of(
    settings: Settings, model: str, say: Callable[[str], None] = lambda line: None
) -> Weights | None:
    """The weights that `model` names; None where it names something else.

    Args:
        say: told what is downloaded.
    """
    from data.features import WINDOW_FRAMES
    from training.base_models import resolve, tensor_digest
    from training.conversion import MULTILINGUAL_VOCABULARY
    from training.merging import DESCRIPTION
    from voiceforge.files import read_json

    if model.startswith(BASE):
        base = resolve(
            model.removeprefix(BASE),
            cache=settings.cache,
            offline=settings.offline,
            timeout=settings.source_timeout,
            progress=say,
        )
        return Weights(base.path, base.name, base.sha256, WINDOW_FRAMES, 0.0, base.multilingual)
    folder = Path(model)
    if not (folder / "config.json").is_file() or not any(folder.glob("*.safetensors")):
        return None
    frames, silence = WINDOW_FRAMES, 0.0
    if (folder / DESCRIPTION).is_file():  # merged for clips of their own length
        trained = read_json(folder / DESCRIPTION)
        frames, silence = int(trained["minimum_mel_frames"]), float(trained["trailing_silence"][1])
    name, tokens = folder.resolve().name, int(read_json(folder / "config.json")["vocab_size"])
    multilingual = tokens >= MULTILINGUAL_VOCABULARY
    return Weights(folder, name, tensor_digest(folder), frames, silence, multilingual)


def build_engine(
    weights: Weights,
    engine: EngineName,
    out: Path,
    language: str = "en",
    calibration: Sequence[Samples] = (),
) -> EngineDescription:
    """Build an engine in an empty folder.

    Args:
        language: ISO 639-1 code that it hears unless it is asked for another.
        calibration: clips that the precision is fitted to, if it is one that is.

    Raises:
        UsageError: the weights are no Whisper model, or the precision needs clips.
        StorageError: the disk is full or read-only.
    """
    from serving.engines.contracts import EngineSpec
    from serving.engines.offered import engine_module

    spec = EngineSpec(engine.kind, engine.precision, weights.frames, language)
    description: EngineDescription = engine_module(engine.kind).build(
        weights.path,
        out,
        spec,
        source_sha256=weights.sha256,
        trailing_silence=weights.silence,
        calibration=calibration,
    )
    return description


def built_engine(settings: Settings, weights: Weights, engine: EngineName) -> Path:
    """That engine, built once in the cache."""
    from data.features import WINDOW_FRAMES
    from serving.engines.offered import DEFAULT
    from voiceforge.files import new_folder

    name = weights.name
    if (weights.frames, weights.silence) != (WINDOW_FRAMES, 0.0):
        name += f"-{weights.frames}-{weights.silence:g}"
    built_as = "" if engine == DEFAULT else f"-{engine.kind}-{engine.precision}"
    folder = settings.cache / "base-engines" / f"{name}{built_as}-{weights.sha256[:16]}"
    if not (folder / "engine.json").is_file():
        with new_folder(folder) as out:
            build_engine(weights, engine, out)
    return folder
