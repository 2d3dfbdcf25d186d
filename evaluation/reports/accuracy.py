"""The accuracy report: word error rates of people and synthetic speech, beside the baseline's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from data.utterance import Utterance
from evaluation.comparison import Comparison, Slice
from evaluation.estimate import Estimate
from evaluation.metrics import WordErrors, character_error_rate, word_errors
from evaluation.prediction import Prediction
from evaluation.replacements import Replacements, rules_name
from evaluation.slices import (
    Resampling,
    Scored,
    compare,
    rows_of,
    score,
    slices_of,
    word_error_rate_of,
)

_EXAMPLES = 6


@dataclass(frozen=True, slots=True)
class SliceAccuracy:
    """One model on one slice, and how it compares there.

    Attributes:
        word_error_rate: over everything that the candidate heard of the slice.
        counts: substitutions, deletions, insertions and hits behind that rate.
        character_error_rate: pooled, a fraction.
        comparison: on what the baseline heard too; None where that is nothing.
    """

    slice: Slice
    word_error_rate: Estimate
    counts: WordErrors
    character_error_rate: float
    comparison: Comparison | None


@dataclass(frozen=True, slots=True)
class Example:
    """One utterance worth a look; texts are normalised.

    Attributes:
        baseline: what the baseline said, None where it has not heard the utterance.
        baseline_errors: its errors, None likewise.
    """

    utterance_id: str
    accent: str
    speaker: str
    is_synthetic: bool
    reference: str
    hypothesis: str
    errors: int
    words: int
    baseline: str | None
    baseline_errors: int | None


@dataclass(frozen=True, slots=True)
class AccuracyReport:
    """Word error rates overall, of people and of synthetic speech.

    Attributes:
        candidate: name of the model that is reported on.
        baseline: name of the model that stands beside it.
        slices: overall, then human and synthetic speech where the test set has them.
        worst: the utterances with most errors, one a text.
        losses: where the candidate makes most errors more than the baseline, one a text.
    """

    candidate: str
    baseline: str
    normaliser: str
    language: str
    slices: tuple[SliceAccuracy, ...]
    worst: tuple[Example, ...]
    losses: tuple[Example, ...]

    @property
    def overall(self) -> SliceAccuracy:
        return self.slices[0]

    @property
    def comparisons(self) -> tuple[Comparison, ...]:
        """What gates decide on."""
        return tuple(part.comparison for part in self.slices if part.comparison)

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> AccuracyReport:
        report: AccuracyReport = read_report(cls, fields)
        return report


def accuracy_report(
    candidate: Sequence[Prediction],
    baseline: Sequence[Prediction],
    utterances: Sequence[Utterance],
    *,
    candidate_name: str,
    baseline_name: str,
    normaliser: str,
    language: str,
    confidence: float,
    resamples: int,
    seed: int,
    replacements: Replacements | None = None,
) -> AccuracyReport:
    """Compute the accuracy report.

    Args:
        candidate: predictions of the model reported on.
        baseline: predictions of another model, of all the same utterances or of a sample;
            comparisons use the utterances that both heard.
        utterances: the test split.
        normaliser: of `evaluation.text`.
        replacements: applied after it (`evaluation.replacements`).

    Raises:
        ValueError: no words were predicted, or predictions are of other utterances.
    """
    resampling = Resampling(confidence, resamples, seed)
    how: Any = {"normaliser": normaliser, "language": language, "replacements": replacements}
    rows, others = score(candidate, utterances, **how), score(baseline, utterances, **how)
    spoken = [row for row in rows if row.words]
    parts = [part for part in slices_of(spoken) if part.kind != "accent"]
    if not parts:
        raise ValueError("There are no predictions with reference words to report on.")
    return AccuracyReport(
        candidate=candidate_name,
        baseline=baseline_name,
        normaliser=rules_name(normaliser, replacements),
        language=language,
        slices=tuple(slice_accuracy(rows, others, part, resampling) for part in parts),
        worst=_worst(rows, others),
        losses=_losses(rows, others),
    )


def slice_accuracy(
    rows: Sequence[Scored], others: Sequence[Scored], part: Slice, resampling: Resampling
) -> SliceAccuracy:
    """One slice of a report.

    Raises:
        ValueError: the slice has no reference words.
    """
    own = rows_of(rows, part)
    references, hypotheses = [row.reference for row in own], [row.hypothesis for row in own]
    return SliceAccuracy(
        slice=part,
        word_error_rate=word_error_rate_of(own, resampling),
        counts=word_errors(references, hypotheses),
        character_error_rate=character_error_rate(references, hypotheses),
        comparison=compare(rows, others, part, resampling),
    )


def word_error_rate(
    predictions: Sequence[Prediction],
    utterances: Sequence[Utterance],
    *,
    normaliser: str,
    language: str,
    confidence: float,
    resamples: int,
    seed: int,
) -> Estimate:
    """The pooled word error rate of one model, with its interval.

    Raises:
        ValueError: as `accuracy_report`.
    """
    rows = score(predictions, utterances, normaliser=normaliser, language=language)
    return word_error_rate_of(rows, Resampling(confidence, resamples, seed))


def read_report(kind: type[Any], fields: dict[str, Any]) -> Any:
    """Rebuild a report's dataclasses, nested ones and all, from its JSON form."""
    from pydantic import TypeAdapter

    return TypeAdapter(kind).validate_python(fields)


def _worst(rows: Sequence[Scored], others: Sequence[Scored]) -> tuple[Example, ...]:
    wrong = [row for row in rows if row.errors]
    wrong.sort(key=lambda row: (-row.errors, row.words, row.utterance.id))
    return _examples(wrong, others)


def _losses(rows: Sequence[Scored], others: Sequence[Scored]) -> tuple[Example, ...]:
    before = {row.utterance.id: row.errors for row in others}
    lost = [row for row in rows if row.errors > before.get(row.utterance.id, row.errors)]
    lost.sort(key=lambda row: (before[row.utterance.id] - row.errors, row.utterance.id))
    return _examples(lost, others)


def _examples(ranked: Sequence[Scored], others: Sequence[Scored]) -> tuple[Example, ...]:
    before = {row.utterance.id: row for row in others}
    first = {row.reference: row for row in reversed(ranked)}
    chosen = [row for row in ranked if first[row.reference] is row][:_EXAMPLES]
    examples = []
    for row in chosen:
        other = before.get(row.utterance.id)
        examples.append(
            Example(
                utterance_id=row.utterance.id,
                accent=row.utterance.accent,
                speaker=row.utterance.speaker,
                is_synthetic=row.utterance.is_synthetic,
                reference=row.reference,
                hypothesis=row.hypothesis,
                errors=row.errors,
                words=row.words,
                baseline=other.hypothesis if other else None,
                baseline_errors=other.errors if other else None,
            )
        )
    return tuple(examples)
