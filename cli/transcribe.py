"""`voiceforge transcribe`: what is said in audio files."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from cli.console import say, show_error
from voiceforge.errors import AudioError, UsageError, VoiceForgeError
from voiceforge.settings import Settings, load_settings

if TYPE_CHECKING:
    from evaluation.model_calibrator import ModelCalibrator
    from serving.engines.contracts import Engine
    from serving.longform import Segmentation


def transcribe_files(
    files: Sequence[Path],
    model: str | None,
    language: str | None,
    *,
    as_json: bool,
    fallback: bool = False,
    segmentation: Segmentation = "speech",
) -> None:
    """Print the text of each file, or one JSON object a line.

    Every file is tried; a file that cannot be read is named on stderr and makes the command fail.

    Args:
        language: ISO 639-1 code, "auto" to hear it from each file, None for the model's own; a
            base model has none of its own.
        fallback: doubt texts by Whisper's rules (`serving.engines.contracts.Fallback`).
        segmentation: how long recordings are cut, of `serving.longform.Segmentation`.

    Raises:
        UsageError: there is no such file or model.
        VoiceForgeError: a file could not be transcribed.
    """
    from serving.engines.contracts import DecodingOptions, Fallback
    from serving.transcription import AUTO, transcribe_file

    if not any(file.is_file() for file in files):
        raise UsageError(f"There is no file {', '.join(map(str, files))}.")
    settings = load_settings()
    engine, name, calibrator = load_model(settings, model)
    if language is None and name.startswith("base:"):
        language = AUTO
    options = DecodingOptions(
        word_times=as_json, language=language or "", fallback=Fallback() if fallback else None
    )
    failed = 0
    for file in files:
        if not file.is_file():
            show_error(f"There is no file {file}.")
            failed += 1
            continue
        try:
            transcript = transcribe_file(
                engine, file, options=options, calibrator=calibrator, segmentation=segmentation,
                tell=_progress(file.name),
            )  # fmt: skip
        except AudioError as error:
            show_error(str(error))
            failed += 1
            continue
        if as_json:
            fields = {"file": str(file), "model": name, **transcript.as_dict()}
            print(json.dumps(fields, ensure_ascii=False), flush=True)  # noqa: T201
        else:
            prefix = f"{file}: " if len(files) > 1 else ""
            print(f"{prefix}{transcript.text}", flush=True)  # noqa: T201
    if failed:
        raise VoiceForgeError(f"{failed} of {len(files)} files could not be transcribed.")


def _progress(name: str) -> Callable[[float, float], None]:
    """Says on stderr every half minute how far a recording has been heard."""
    from cli.progress import QUIET_SECONDS

    said = time.monotonic()

    def tell(heard: float, whole: float) -> None:
        nonlocal said
        if time.monotonic() - said >= QUIET_SECONDS:
            said = time.monotonic()
            say(f"{name}: {heard / 60:.1f} of {whole / 60:.1f} minutes")

    return tell


def load_model(settings: Settings, model: str | None) -> tuple[Engine, str, ModelCalibrator | None]:
    """Load what `--model` names; returns the engine, its full name and its calibrator.

    Raises:
        UsageError: it names nothing, or no model was named and no single domain has a champion.
    """
    from lifecycle.named_models import load_model as load

    return load(settings, _only_champion(settings) if model is None else model, say)


def _only_champion(settings: Settings) -> str:
    from cli.champions import champions

    found = champions(settings)
    if len(found) == 1:
        return f"models:/{found[0]}@champion"
    has = f"there are champions of {', '.join(found)}" if found else "no domain has a champion yet"
    raise UsageError(
        f"Name a model with --model: {has}. For example --model base:whisper-tiny.en, or "
        "--model models:/DOMAIN@champion."
    )
