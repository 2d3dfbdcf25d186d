"""Timing an engine over a grid of clip lengths and batch sizes, in the process that calls this."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence

import numpy as np

from data.features import SAMPLE_RATE
from evaluation.latency_grid import BATCHES, LENGTHS, LatencyCell, LatencyGrid, latency_cell
from evaluation.runners import GREEDY, machine_name
from serving.engines.contracts import DecodingOptions, Engine, Samples
from serving.longform import transcribe
from voiceforge.memory import peak_memory

_AT_ONCE = 30.0
"""Seconds that an engine hears at once; longer clips are cut at silences, as the service does."""
_LEAST_CALLS, _FEWEST_CALLS = 6, 3
"""Of one clip: what the interval of a median needs, and what there is of slow ones."""


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
    patience: float = math.inf,
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
        budget: seconds after which a cell is ended; it has at least 6 calls, or 1 of a batch.
        patience: seconds after which one that has no 6 calls is ended at 3; and that the two least
            calls of a batch may take, going by that clip alone: batches that would take longer are
            left out and named.
        options: decoding.

    Raises:
        ValueError: no speech, no lengths, or batches of clips that no engine hears at once.
    """
    if not speech.size or not lengths or repeats < _FEWEST_CALLS:
        raise ValueError("Latency needs speech, a length, and at least 3 repeats.")
    if batches and not 0.0 < batch_clip_seconds <= _AT_ONCE:
        raise ValueError(f"Clips of {batch_clip_seconds:g} s cannot be decoded in batches.")
    began = time.perf_counter()
    engine = load()
    loaded, loaded_memory = time.perf_counter() - began, peak_memory()
    cold = _call(engine, [_clip(speech, lengths[0], 0)], options)
    alone = dict.fromkeys([*lengths, *([batch_clip_seconds] if 1 in batches else [])])
    ends = repeats, budget, patience
    cells = [_cell(engine, speech, length, 1, *ends, options) for length in alone]
    single_memory = peak_memory()
    single = next((one.p50.value for one in cells if one.clip_seconds == batch_clip_seconds), 0.0)
    left_out = []
    for size in sorted({size for size in batches if size > 1}):
        if 2 * size * single > patience:
            left_out.append((batch_clip_seconds, size))
            continue
        cells.append(_cell(engine, speech, batch_clip_seconds, size, *ends, options))
    return LatencyGrid(
        engine=f"{engine.description.kind} {engine.description.precision}",
        engine_sha256=engine.description.source_sha256,
        threads=threads,
        machine=machine_name(),
        load_seconds=loaded,
        cold_seconds=cold,
        cold_clip_seconds=lengths[0],
        loaded_memory_bytes=loaded_memory,
        single_memory_bytes=single_memory,
        peak_memory_bytes=peak_memory(),
        cells=tuple(sorted(cells, key=lambda one: (one.clip_seconds, one.batch_size))),
        left_out=tuple(left_out),
    )


def _cell(
    engine: Engine,
    speech: Samples,
    clip_seconds: float,
    batch_size: int,
    repeats: int,
    budget: float,
    patience: float,
    options: DecodingOptions,
) -> LatencyCell:
    calls: list[float] = []
    began = time.perf_counter()
    for call in range(repeats + 1):
        first = call * batch_size
        clips = [_clip(speech, clip_seconds, first + number) for number in range(batch_size)]
        calls.append(_call(engine, clips, options))
        passed = time.perf_counter() - began
        least = 1 if batch_size > 1 else _LEAST_CALLS if passed < patience else _FEWEST_CALLS
        if len(calls) > least and passed > budget:
            break
    return latency_cell(calls[1:], clip_seconds, batch_size)


def _call(engine: Engine, clips: Sequence[Samples], options: DecodingOptions) -> float:
    began = time.perf_counter()
    if len(clips[0]) > _AT_ONCE * SAMPLE_RATE:
        for clip in clips:
            transcribe(engine, clip, options, segmentation="quiet")
    else:
        engine.transcribe(clips, options)
    return time.perf_counter() - began


def _clip(speech: Samples, seconds: float, number: int) -> Samples:
    """The clip of that number: they follow each other, around and around."""
    length = round(seconds * SAMPLE_RATE)
    places = np.arange(number * length, (number + 1) * length) % len(speech)
    return speech[places]
