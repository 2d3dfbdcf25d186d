"""How quick models are, side by side: what an evaluation's report says of measured grids."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from evaluation.latency_grid import LatencyCell, LatencyGrid
from evaluation.quantiles import Quantile


@dataclass(frozen=True, slots=True)
class ModelLatency:
    """One model, each number of threads in a process of its own.

    Attributes:
        date: of the measurement, ISO 8601.
        speech_sha256: of the speech that clips were cut from.
        audio_seconds: of it, that clips were cut from.
        grids: one for each number of threads, most threads first.
    """

    model: str
    date: str
    speech_sha256: str
    audio_seconds: float
    grids: tuple[LatencyGrid, ...]


@dataclass(frozen=True, slots=True)
class SpeedRatio:
    """How many times as fast the candidate is: the baseline's median over the candidate's.

    Attributes:
        low: from the ends of both medians' intervals that are worst for the candidate; None where
            one is not known, as is `high`.
        confidence: least coverage: where both intervals hold, the ratio lies in its own.
    """

    threads: int
    clip_seconds: float
    batch_size: int
    value: float
    low: float | None
    high: float | None
    confidence: float


@dataclass(frozen=True, slots=True)
class EvaluatedLatency:
    """The candidate's latency and, if it was measured too, the baseline's.

    Attributes:
        models: one or two.
        ratios: of cells that both have; none where they were not measured side by side.
        not_compared: why there are no ratios of two models; "" otherwise.
    """

    models: tuple[ModelLatency, ...]
    ratios: tuple[SpeedRatio, ...]
    not_compared: str

    def ratio(self, threads: int, clip_seconds: float, batch_size: int) -> SpeedRatio | None:
        """Of that cell, if there is one."""
        for one in self.ratios:
            if (one.threads, one.clip_seconds, one.batch_size) == (
                threads,
                clip_seconds,
                batch_size,
            ):
                return one
        return None


def evaluated_latency(models: Sequence[ModelLatency]) -> EvaluatedLatency:
    """Put the candidate's latency beside the baseline's.

    Args:
        models: the candidate and, optionally, the baseline.
    """
    if len(models) != 2:
        return EvaluatedLatency(tuple(models), (), "")
    if differing := _differing(*models):
        why = f"They were not measured side by side: {differing} differ, so no ratios are given."
        return EvaluatedLatency(tuple(models), (), why)
    return EvaluatedLatency(tuple(models), tuple(_ratios(*models)), "")


def _differing(candidate: ModelLatency, baseline: ModelLatency) -> str:
    """What keeps two measurements from being compared."""
    machines = [{grid.machine for grid in model.grids} for model in (candidate, baseline)]
    if machines[0] != machines[1]:
        return "machines"
    if candidate.speech_sha256 != baseline.speech_sha256:
        return "clips"
    return ""


def _ratios(candidate: ModelLatency, baseline: ModelLatency) -> list[SpeedRatio]:
    others = {
        (grid.threads, cell.clip_seconds, cell.batch_size): cell
        for grid in baseline.grids
        for cell in grid.cells
    }
    return [
        _ratio(grid.threads, cell, other)
        for grid in candidate.grids
        for cell in grid.cells
        if (other := others.get((grid.threads, cell.clip_seconds, cell.batch_size)))
    ]


def _ratio(threads: int, cell: LatencyCell, other: LatencyCell) -> SpeedRatio:
    ours, theirs = cell.p50, other.p50
    return SpeedRatio(
        threads=threads,
        clip_seconds=cell.clip_seconds,
        batch_size=cell.batch_size,
        value=theirs.value / ours.value,
        low=_over(theirs.low, ours.high),
        high=_over(theirs.high, ours.low),
        confidence=1.0 - _missed(ours) - _missed(theirs),
    )


def _over(above: float | None, below: float | None) -> float | None:
    return None if above is None or below is None else above / below


def _missed(of: Quantile) -> float:
    return 1.0 - of.confidence
