"""Two programs on the same clips, each in a process of its own; faster-whisper as one of them."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from data.utterance import Utterance
from serving.engines.contracts import Samples

Measured = TypeVar("Measured")


def apart(measure: Callable[..., Measured], *given: Any) -> Measured:
    """What `measure` of these gives, in a new process."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(measure, *given).result()


def faster_whisper(
    folder: Path, language: str, threads: int, clips: Sequence[Samples]
) -> tuple[float, float]:
    """Seconds of faster-whisper on the clips: decoding as ours, and with its own defaults.

    Args:
        folder: of a CTranslate2 model with its tokenizer.
        language: ISO 639-1 code of the speech.
    """
    from faster_whisper import WhisperModel

    model = WhisperModel(str(folder), device="cpu", compute_type="int8", cpu_threads=threads)

    def greedy() -> None:
        for clip in clips:
            segments, _ = model.transcribe(
                clip,
                language=language,
                beam_size=1,
                temperature=0.0,
                without_timestamps=True,
                condition_on_previous_text=False,
            )
            list(segments)

    def defaults() -> None:
        for clip in clips:
            segments, _ = model.transcribe(clip, language=language)
            list(segments)

    list(model.transcribe(clips[0], language=language)[0])
    return clock(greedy), clock(defaults)


def clock(work: Callable[[], Any]) -> float:
    """Seconds that it takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def spread(utterances: Sequence[Utterance], count: int) -> list[Utterance]:
    """Clips spread evenly over the lengths that there are, long and short alike."""
    ordered = sorted(utterances, key=lambda row: (row.duration, row.id))
    step = max(1, len(ordered) // count)
    return ordered[step // 2 :: step][:count]
