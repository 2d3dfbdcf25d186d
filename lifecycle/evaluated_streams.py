"""Some of an evaluation's speech through the streaming decoder: event traces, written down once.

Each utterance is streamed in both modes of `evaluation.tracing.record_trace`. Real time is that of
a clock on which computing takes what it takes and waiting for speech takes nobody's time.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from lifecycle.evaluated_speech import drawn
from voiceforge.errors import IntegrityError, UsageError
from voiceforge.files import read_json, write_json

if TYPE_CHECKING:
    from evaluation.reports.evaluated_streaming import Streamed
    from evaluation.traces import Mode, Trace
    from lifecycle.evaluated_speech import Speech
    from serving.engines.contracts import Engine, Samples

STREAMS = 40
"""Utterances that are streamed."""

_CHUNK, _SILENCE, _LONGEST = 0.1, 1.0, 25.0
_MODES: tuple[Mode, ...] = ("real-time", "compute-unaware")
_CONDITIONS = "conditions.json"


def stream(
    engine: Engine,
    speech: Speech,
    place: Path,
    *,
    language: str,
    threads: int,
    tell: Callable[[int, int], None],
) -> None:
    """Write the traces of each mode, unless they are there; goes on where it was interrupted.

    Args:
        place: folder for the files.
        language: to decode a multilingual model with.
        threads: that the engine computes with; recorded only.
        tell: called with utterances done, of how many.

    Raises:
        UsageError: no utterance can be streamed.
        AudioError, StorageError: a recording cannot be read, or the disk is full.
    """
    from data.audio import read_flac
    from evaluation.runners import machine_name
    from evaluation.trace_files import write_traces

    rows = drawn(speech.rows, _LONGEST)[:STREAMS]
    if not rows:
        raise UsageError(
            f"{speech.name} has no utterance with words of at most {_LONGEST:g} s, so there is "
            "nothing to stream. Leave --streaming out."
        )
    conditions = {
        "machine": machine_name(),
        "threads": threads,
        "date": datetime.date.today().isoformat(),
        "chunk_seconds": _CHUNK,
        "silence_seconds": _SILENCE,
    }
    traces = _traces(place)
    if len(traces[_MODES[-1]]) == len(rows):
        return
    if not (place / _CONDITIONS).is_file() or _others(read_json(place / _CONDITIONS), conditions):
        traces = {mode: [] for mode in _MODES}
        for mode in _MODES:  # before the conditions: a kill must not leave theirs beside others
            _file(place, mode).unlink(missing_ok=True)
        write_json(place / _CONDITIONS, conditions)
    begun = len(traces[_MODES[-1]])
    for done, row in enumerate(rows[begun:], begun):
        tell(done, len(rows))
        samples = read_flac(speech.corpus / row.audio)
        if done == begun:  # what a first call costs is no latency of a stream
            _both(engine, samples, row.id, language)
        found = _both(engine, samples, row.id, language)
        for mode in _MODES:
            traces[mode] = [*traces[mode][:done], found[mode]]
            write_traces(_file(place, mode), traces[mode])
    tell(len(rows), len(rows))


def read_streams(place: Path) -> Streamed | None:
    """What `stream` wrote; None if it did not.

    Raises:
        StorageError, IntegrityError: a file is damaged.
    """
    from evaluation.reports.evaluated_streaming import Streamed

    if not (place / _CONDITIONS).is_file():
        return None
    traces = _traces(place)
    if not all(traces.values()):
        return None
    real_time, compute_unaware = (traces[mode] for mode in _MODES)
    shared = min(len(real_time), len(compute_unaware))
    try:
        return Streamed(
            **read_json(place / _CONDITIONS),
            real_time=real_time[:shared],
            compute_unaware=compute_unaware[:shared],
        )
    except TypeError as error:
        raise IntegrityError(
            f"{place / _CONDITIONS} does not say what streams were recorded with ({error}). "
            f"Delete {place} and evaluate again."
        ) from error


def _both(engine: Engine, samples: Samples, name: str, language: str) -> dict[Mode, Trace]:
    """A trace of each mode; what both decode is decoded once."""
    import numpy as np

    from data.features import SAMPLE_RATE
    from evaluation.tracing import ComputingClock, RememberedDecoding, record_trace
    from serving.engines.contracts import DecodingOptions
    from serving.streaming.session import StreamSession

    clock = ComputingClock()
    decode = RememberedDecoding(engine, clock)
    options = DecodingOptions(word_times=True, language=language)
    heard = np.concatenate([samples, np.zeros(round(_SILENCE * SAMPLE_RATE), np.float32)])
    return {
        mode: record_trace(
            StreamSession(decode, decoding=options),
            heard,
            name,
            mode,
            chunk_seconds=_CHUNK,
            clock=clock.now,
            sleep=clock.sleep,
        )
        for mode in _MODES
    }


def _traces(place: Path) -> dict[Mode, list[Trace]]:
    from evaluation.trace_files import read_traces

    return {
        mode: read_traces(file) if (file := _file(place, mode)).is_file() else [] for mode in _MODES
    }


def _others(there: dict[str, object], now: dict[str, object]) -> bool:
    """Whether streams were begun under other conditions, the day apart."""
    return any(there.get(name) != now[name] for name in now if name != "date")


def _file(place: Path, mode: Mode) -> Path:
    return place / f"{mode}.jsonl"
