"""Two programs on the same clips, each in a process of its own; faster-whisper as one of them."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from data.utterance import Utterance
from serving.engines.contracts import Samples

Measured = TypeVar("Measured")


@dataclass(frozen=True, slots=True)
class Heard:
    """What a program said of each clip, and the seconds that it took."""

    texts: Sequence[str]
    seconds: Sequence[float]

    @property
    def total(self) -> float:
        """Seconds of all clips."""
        return sum(self.seconds)


def apart(measure: Callable[..., Measured], *given: Any) -> Measured:
    """What `measure` of these gives, in a new process."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(measure, *given).result()


def faster_whisper(
    folder: Path, language: str, threads: int, clips: Sequence[Samples]
) -> tuple[Heard, Heard]:
    """faster-whisper on the clips: decoding as ours, and with its own defaults.

    Args:
        folder: of a CTranslate2 model with its tokenizer.
        language: ISO 639-1 code of the speech.
    """
    from faster_whisper import WhisperModel

    model = WhisperModel(str(folder), device="cpu", compute_type="int8", cpu_threads=threads)

    ours = {
        "beam_size": 1,
        "temperature": 0.0,
        "without_timestamps": True,
        "condition_on_previous_text": False,
    }

    def heard(**options: Any) -> Heard:
        texts, seconds = [], []
        for clip in clips:
            began = time.perf_counter()
            segments, _ = model.transcribe(clip, language=language, **options)
            texts.append(" ".join(segment.text.strip() for segment in segments))
            seconds.append(time.perf_counter() - began)
        return Heard(texts, seconds)

    list(model.transcribe(clips[0], language=language)[0])
    return heard(**ours), heard()


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
