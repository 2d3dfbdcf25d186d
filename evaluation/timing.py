"""Timing an engine over a grid of clip lengths and batch sizes, in the process that calls this."""

from __future__ import annotations

import resource
import time
from collections.abc import Callable, Sequence

import numpy as np

from data.features import SAMPLE_RATE
from evaluation.latency_grid import LatencyCell, LatencyGrid, latency_cell
from evaluation.runners import GREEDY, machine_name
from serving.engines.contracts import DecodingOptions, Engine, Samples
from serving.longform import transcribe

LENGTHS = (1.0, 5.0, 10.0, 30.0, 60.0)
BATCHES = (1, 2, 4, 8, 16, 32)

_AT_ONCE = 30.0
"""Seconds that an engine hears at once; longer clips are cut at silences, as the service does."""
_LEAST_CALLS = 3


def measure_grid(
    load: Callable[[], Engine],
    speech: Samples,
    *,
    threads: int,
    lengths: Sequence[float] = LENGTHS,
    batches: Sequence[int] = BATCHES,
    batch_clip_seconds: float = 5.0,
    repeats: int = 20,
    budget: float = 60.0,
    options: DecodingOptions = GREEDY,
) -> LatencyGrid:
    """Load an engine and time it, cold, then warm: one clip of each length, then growing batches.

    Args:
        load: loads it; its first call is the cold one.
        speech: speech that clips are cut from, each call from another place; what is shorter than a
            clip is repeated.
        threads: that it is loaded with; recorded only.
        lengths: seconds of the clips that come alone.
        batches: how many clips of `batch_clip_seconds` come at once.
        repeats: calls a cell, after one that warms up.
        budget: seconds after which a cell is ended; it has at least 3 calls.
        options: decoding.

    Raises:
        ValueError: no speech, no lengths, or batches of clips that no engine hears at once.
    """
    if not speech.size or not lengths or repeats < _LEAST_CALLS:
        raise ValueError("Latency needs speech, a length, and at least 3 repeats.")
    if batches and not 0.0 < batch_clip_seconds <= _AT_ONCE:
        raise ValueError(f"Clips of {batch_clip_seconds:g} s cannot be decoded in batches.")
    began = time.perf_counter()
    engine = load()
    loaded = time.perf_counter() - began
    cold = _call(engine, [_clip(speech, lengths[0], 0)], options)
    alone = [(seconds, 1) for seconds in lengths]
    together = [(batch_clip_seconds, size) for size in batches]
    asked = dict.fromkeys(alone + together)
    cells = [_cell(engine, speech, *one, repeats, budget, options) for one in asked]
    return LatencyGrid(
        engine=f"{engine.description.kind} {engine.description.precision}",
        engine_sha256=engine.description.source_sha256,
        threads=threads,
        machine=machine_name(),
        load_seconds=loaded,
        cold_seconds=cold,
        cold_clip_seconds=lengths[0],
        peak_memory_bytes=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        cells=tuple(sorted(cells, key=lambda one: (one.clip_seconds, one.batch_size))),
    )


def _cell(
    engine: Engine,
    speech: Samples,
    clip_seconds: float,
    batch_size: int,
    repeats: int,
    budget: float,
    options: DecodingOptions,
) -> LatencyCell:
    calls: list[float] = []
    began = time.perf_counter()
    for call in range(repeats + 1):
        first = call * batch_size
        clips = [_clip(speech, clip_seconds, first + number) for number in range(batch_size)]
        calls.append(_call(engine, clips, options))
        if len(calls) > _LEAST_CALLS and time.perf_counter() - began > budget:
            break
    return latency_cell(calls[1:], clip_seconds, batch_size)


def _call(engine: Engine, clips: Sequence[Samples], options: DecodingOptions) -> float:
    began = time.perf_counter()
    if len(clips[0]) > _AT_ONCE * SAMPLE_RATE:
        for clip in clips:
            transcribe(engine, clip, options)
    else:
        engine.transcribe(clips, options)
    return time.perf_counter() - began


def _clip(speech: Samples, seconds: float, number: int) -> Samples:
    """The clip of that number: they follow each other, around and around."""
    length = round(seconds * SAMPLE_RATE)
    places = np.arange(number * length, (number + 1) * length) % len(speech)
    return speech[places]
