"""The accent report: the same model, accent by accent, beside the baseline."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from data.utterance import Utterance
from evaluation.comparison import Comparison
from evaluation.prediction import Prediction
from evaluation.replacements import Replacements, rules_name
from evaluation.reports.accuracy import SliceAccuracy, read_report, slice_accuracy
from evaluation.slices import Resampling, score, slices_of


@dataclass(frozen=True, slots=True)
class AccentReport:
    """Word error rates per accent; people and machines of one accent are kept apart.

    Attributes:
        slices: one an accent, from the highest word error rate to the lowest.
        minimum_words: an accent with fewer words is shown, and said to be too small to judge.
    """

    candidate: str
    baseline: str
    normaliser: str
    language: str
    slices: tuple[SliceAccuracy, ...]
    minimum_words: int

    @property
    def judged(self) -> tuple[SliceAccuracy, ...]:
        """The accents with at least `minimum_words` words."""
        return tuple(
            part for part in self.slices if part.word_error_rate.words >= self.minimum_words
        )

    @property
    def worst(self) -> SliceAccuracy | None:
        """The judged accent with the highest word error rate; None where none is judged."""
        return max(self.judged, key=lambda part: part.word_error_rate.value, default=None)

    @property
    def best(self) -> SliceAccuracy | None:
        return min(self.judged, key=lambda part: part.word_error_rate.value, default=None)

    @property
    def gap(self) -> float | None:
        """Word error rate of the worst judged accent minus the best one's, a fraction."""
        if self.worst is None or self.best is None:
            return None
        return self.worst.word_error_rate.value - self.best.word_error_rate.value

    @property
    def comparisons(self) -> tuple[Comparison, ...]:
        """What gates decide on."""
        return tuple(part.comparison for part in self.slices if part.comparison)

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> AccentReport:
        report: AccentReport = read_report(cls, fields)
        return report


def accent_report(
    candidate: Sequence[Prediction],
    baseline: Sequence[Prediction],
    utterances: Sequence[Utterance],
    *,
    candidate_name: str,
    baseline_name: str,
    normaliser: str,
    language: str,
    minimum_words: int,
    confidence: float,
    resamples: int,
    seed: int,
    replacements: Replacements | None = None,
) -> AccentReport:
    """Compute the accent report; arguments as `accuracy_report`.

    An accent without a single reference word is left out: it has no rate.

    Raises:
        ValueError: predictions are of other utterances.
    """
    resampling = Resampling(confidence, resamples, seed)
    how: Any = {"normaliser": normaliser, "language": language, "replacements": replacements}
    rows, others = score(candidate, utterances, **how), score(baseline, utterances, **how)
    spoken = [row for row in rows if row.words]
    parts = [part for part in slices_of(spoken) if part.kind == "accent"]
    slices = [slice_accuracy(rows, others, part, resampling) for part in parts]
    slices.sort(key=lambda part: (-part.word_error_rate.value, part.slice.name))
    return AccentReport(
        candidate=candidate_name,
        baseline=baseline_name,
        normaliser=rules_name(normaliser, replacements),
        language=language,
        slices=tuple(slices),
        minimum_words=minimum_words,
    )
