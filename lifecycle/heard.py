"""What a model hears in an evaluation: the speech, some of it made worse or streamed; how quickly.

Each is written once into the evaluation's folder; the model is loaded when something is missing.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from voiceforge.settings import Settings

if TYPE_CHECKING:
    from lifecycle.evaluate import Asked
    from lifecycle.evaluated_speech import Speech
    from serving.engines.contracts import Engine

PREDICTIONS, CONDITIONS, STREAMS, LATENCY = "predictions", "conditions", "streams", "latency"
"""Folders of an evaluation; each holds a file or folder a model."""

BATCH = 8
"""Clips that are heard together."""

Tell = Callable[[str, int, int], None]
"""What is done, how much of it, of how much."""


def hear(
    settings: Settings,
    asked: Asked,
    engine: Path,
    speech: Speech,
    sha256: str,
    out: Path,
    role: str,
    tell: Tell,
) -> None:
    """Write what was asked of one model, unless it is there.

    Args:
        engine: the model's.
        sha256: of the speech.
        out: folder of the evaluation.
        role: "candidate" or "baseline".

    Raises:
        UsageError: nothing of the speech can be streamed.
        StageError: the process that measures latency crashed.
        AudioError, StorageError: a recording cannot be read, or the disk is full.
    """
    from lifecycle.evaluated_latency import measure_latency
    from lifecycle.evaluated_streams import stream
    from serving.engines.loading import OnDemand

    model = OnDemand(engine, settings.threads)
    _hear_speech(model, asked, speech, out / PREDICTIONS / role, tell)
    if asked.robustness:
        _hear_conditions(settings, model, asked, speech, out / CONDITIONS / role, tell)
    if asked.streaming:
        stream(
            model,
            speech,
            out / STREAMS / role,
            language=asked.language,
            threads=settings.threads,
            tell=lambda done, total: tell(f"{role}, streams", done, total),
        )
    if asked.latency:
        measure_latency(
            engine,
            speech,
            out / LATENCY / f"{role}.json",
            sha256=sha256,
            language=asked.language,
            threads=settings.threads,
            tell=lambda done, total: tell(f"{role}, latency", done, total),
        )


def _hear_speech(model: Engine, asked: Asked, speech: Speech, place: Path, tell: Tell) -> None:
    from evaluation.runners import predict, write_predictions
    from serving.engines.contracts import DecodingOptions
    from serving.longform import AnyLength

    table = place.with_suffix(".parquet")
    if table.is_file():
        return
    rows = predict(
        AnyLength(model),
        speech.rows,
        speech.corpus,
        batch_size=BATCH,
        options=DecodingOptions(language=asked.language),
        progress=lambda done, total: tell(place.name, done, total),
        parts=place,
    )
    write_predictions(table, rows)
    shutil.rmtree(place, ignore_errors=True)


def _hear_conditions(
    settings: Settings, model: Engine, asked: Asked, speech: Speech, place: Path, tell: Tell
) -> None:
    from lifecycle.corpus import reach_of
    from lifecycle.evaluated_conditions import hear_conditions
    from serving.engines.contracts import DecodingOptions

    hear_conditions(
        model,
        speech,
        place,
        DecodingOptions(language=asked.language),
        reach_of(settings),
        lambda done, total: tell(f"{place.name}, conditions", done, total),
    )
