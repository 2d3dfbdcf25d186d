"""The latency report: an engine's speed beside the baseline's, on the same clips and machine."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from evaluation.latency import LatencyMeasurement
from evaluation.reports.accuracy import read_report


@dataclass(frozen=True, slots=True)
class LatencyReport:
    """Two engines' measurements.

    Attributes:
        candidate: name of the engine that is reported on.
        baseline: name of the one beside it.
    """

    candidate: str
    baseline: str
    candidate_latency: LatencyMeasurement
    baseline_latency: LatencyMeasurement

    @property
    def same_conditions(self) -> bool:
        """Whether machine, threads and the clips' amount agree, so that ratios mean something."""
        left, right = self.candidate_latency, self.baseline_latency
        return (left.machine, left.threads, left.clips, round(left.audio_seconds, 3)) == (
            right.machine,
            right.threads,
            right.clips,
            round(right.audio_seconds, 3),
        )

    @property
    def speedup(self) -> float:
        """RTFx of the candidate over the baseline's, one clip at a time."""
        return self.candidate_latency.rtfx / self.baseline_latency.rtfx

    @property
    def speedup_batch(self) -> float:
        """The same in batches."""
        return self.candidate_latency.rtfx_batch / self.baseline_latency.rtfx_batch

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> LatencyReport:
        report: LatencyReport = read_report(cls, fields)
        return report


def latency_report(
    candidate: LatencyMeasurement,
    baseline: LatencyMeasurement,
    *,
    candidate_name: str,
    baseline_name: str,
) -> LatencyReport:
    """Put two measurements beside each other."""
    return LatencyReport(candidate_name, baseline_name, candidate, baseline)
