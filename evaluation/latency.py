"""What an engine's speed was, measured: the numbers behind the latency report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True, slots=True)
class Percentiles:
    """Seconds per clip, one clip at a time."""

    p50: float
    p95: float
    p99: float


@dataclass(frozen=True, slots=True)
class LatencyMeasurement:
    """One engine on one machine.

    Attributes:
        seconds: percentiles over every timed call, `clips` times `repeats` of them.
        cold_seconds: the very first call, which the percentiles leave out.
        rtfx: audio seconds per compute second, one clip at a time.
        rtfx_batch: the same, `batch_size` clips at a time.
        clips: distinct clips.
        repeats: times that each was transcribed.
        audio_seconds: length of the distinct clips together.
        median_clip_seconds: length of the clip in the middle.
        threads: CPU threads that the engine was given.
        machine: processor and cores, as the system names them.
    """

    seconds: Percentiles
    cold_seconds: float
    rtfx: float
    rtfx_batch: float
    batch_size: int
    clips: int
    repeats: int
    audio_seconds: float
    median_clip_seconds: float
    threads: int
    machine: str

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> LatencyMeasurement:
        return cls(**{**fields, "seconds": Percentiles(**fields["seconds"])})


def percentiles(seconds: Sequence[float]) -> Percentiles:
    """Linear-interpolated percentiles of at least one duration."""
    p50, p95, p99 = np.percentile(np.asarray(seconds, dtype=np.float64), [50, 95, 99])
    return Percentiles(float(p50), float(p95), float(p99))
