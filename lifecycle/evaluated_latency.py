"""How quick a model is on some speech: measured in processes of its own, written down once.

Clips are the speech itself: its utterances with words, in an order drawn by a hash of their ids and
joined end to end, cut every so many seconds. What is long is cut, what is short is joined, so that
clips of every length hold real speech, and the same speech gives the same clips.
"""

from __future__ import annotations

import datetime
import multiprocessing
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from data.features import SAMPLE_RATE
from evaluation.latency_grid import BATCHES, LENGTHS
from lifecycle.evaluated_speech import drawn
from voiceforge.errors import IntegrityError, StageError
from voiceforge.files import read_json, write_json

if TYPE_CHECKING:
    from data.audio import Samples
    from evaluation.reports.evaluated_latency import ModelLatency
    from lifecycle.evaluated_speech import Speech

AUDIO_SECONDS = 300.0
"""Of speech that clips are cut from, if there is as much."""


@dataclass(frozen=True, slots=True)
class Effort:
    """How much is measured.

    Attributes:
        lengths: seconds of clips that come one at a time.
        batches: how many clips of 5 s come at once.
        repeats, budget: calls and seconds after which a length or batch size is ended.
        patience: seconds that a batch's two least calls may take.
    """

    lengths: Sequence[float] = LENGTHS
    batches: Sequence[int] = BATCHES
    repeats: int = 400
    budget: float = 5.0
    patience: float = 40.0


def measure_latency(
    engine: Path,
    speech: Speech,
    file: Path,
    *,
    sha256: str,
    language: str,
    threads: int,
    tell: Callable[[int, int], None],
    effort: Effort = Effort(),
) -> None:
    """Time an engine with all threads and with one, unless the file is there.

    Args:
        engine: its folder.
        sha256: of the speech.
        language: to decode a multilingual model with.
        threads: of the machine; batches are timed with them alone.
        tell: called with processes done, of how many.
        effort: how much is measured.

    Raises:
        StageError: a process ended without a result.
        AudioError, StorageError: a recording cannot be read, or the disk is full.
    """
    if file.is_file():
        return
    samples = _joined(speech)
    counts = sorted({threads, 1}, reverse=True)
    grids = []
    for done, count in enumerate(counts):
        tell(done, len(counts))
        asked = effort if count == threads else replace(effort, batches=())
        grids.append(_apart(engine, samples, count, asked, language))
    tell(len(counts), len(counts))
    write_json(
        file,
        {
            "date": datetime.date.today().isoformat(),
            "speech_sha256": sha256,
            "audio_seconds": round(len(samples) / SAMPLE_RATE, 1),
            "grids": grids,
        },
    )


def read_latency(file: Path, model: str) -> ModelLatency | None:
    """What `measure_latency` wrote; None if it did not.

    Raises:
        StorageError, IntegrityError: it is no JSON, or holds something else.
    """
    from evaluation.latency_grid import LatencyGrid
    from evaluation.reports.evaluated_latency import ModelLatency

    if not file.is_file():
        return None
    found = read_json(file)
    try:
        return ModelLatency(
            model=model,
            date=found["date"],
            speech_sha256=found["speech_sha256"],
            audio_seconds=found["audio_seconds"],
            grids=tuple(LatencyGrid.from_dict(one) for one in found["grids"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise IntegrityError(
            f"{file} holds no latency of this version ({error}). Delete it and evaluate again."
        ) from error


def _joined(speech: Speech) -> Samples:
    """The utterances end to end."""
    import numpy as np

    from data.audio import read_flac

    parts: list[Samples] = []
    left = round(AUDIO_SECONDS * SAMPLE_RATE)
    for row in drawn(speech.rows):
        parts.append(read_flac(speech.corpus / row.audio)[:left])
        left -= len(parts[-1])
        if left <= 0:
            break
    return np.concatenate(parts)


def _apart(
    engine: Path, samples: Samples, threads: int, effort: Effort, language: str
) -> dict[str, Any]:
    """The grid, measured in a new process: its start is cold, and its memory is the engine's."""
    from voiceforge.processes import end_with_parent

    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context, initializer=end_with_parent) as pool:
        try:
            return pool.submit(_measure, engine, samples, threads, effort, language).result()
        except BrokenProcessPool as error:
            raise StageError(
                f"The process that timed {engine} ended without a result; most often the memory is "
                "too small for batches of 32 clips. What was heard is kept: run again, or "
                "leave --latency out."
            ) from error


def _measure(
    engine: Path, samples: Samples, threads: int, effort: Effort, language: str
) -> dict[str, Any]:
    from evaluation.timing import measure_grid
    from serving.engines import load_engine
    from serving.engines.contracts import DecodingOptions

    grid = measure_grid(
        lambda: load_engine(engine, threads=threads),
        samples,
        threads=threads,
        lengths=effort.lengths,
        batches=effort.batches,
        repeats=effort.repeats,
        budget=effort.budget,
        patience=effort.patience,
        options=DecodingOptions(language=language),
    )
    return grid.as_dict()
