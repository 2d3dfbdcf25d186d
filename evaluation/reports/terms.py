"""The term report: recall and precision of a domain's vocabulary, beside the baseline's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from data.utterance import Utterance
from evaluation.comparison import Slice
from evaluation.prediction import Prediction
from evaluation.replacements import Replacements, rules_name, text_rules
from evaluation.significance import Interval
from evaluation.slices import (
    Resampling,
    Scored,
    interval_method,
    rows_of,
    score,
    slices_of,
    text_labels,
)
from evaluation.terms import (
    TermCounts,
    Vocabulary,
    bootstrap_gain,
    bootstrap_share,
    count_terms,
    merge_counts,
)


@dataclass(frozen=True, slots=True)
class TermRate:
    """A recall, a precision or a difference of two recalls, with its interval.

    Attributes:
        value: a fraction.
        occurrences: of terms, that it rests on; in references, of a precision in hypotheses.
        utterances: those with such an occurrence.
        speakers: theirs.
        method: how the interval was made.
    """

    value: float
    low: float
    high: float
    confidence: float
    occurrences: int
    utterances: int
    speakers: int
    method: str

    def percent(self) -> str:
        """For example "91.2% [86.0, 95.1], 96 occurrences"."""
        return (
            f"{100 * self.value:.1f}% [{100 * self.low:.1f}, {100 * self.high:.1f}], "
            f"{self.occurrences:,} occurrences"
        )


@dataclass(frozen=True, slots=True)
class TermSlice:
    """The vocabulary in one slice of the test set.

    Attributes:
        recall: None where no reference holds a term.
        precision: None where no hypothesis holds one.
        compared: the candidate's recall on what the baseline heard as well; None where that has
            no term, as are the next two.
        baseline: the baseline's there.
        gain: the difference of both; above 0 the candidate is better.
    """

    slice: Slice
    recall: TermRate | None
    precision: TermRate | None
    compared: TermRate | None
    baseline: TermRate | None
    gain: TermRate | None


@dataclass(frozen=True, slots=True)
class TermRow:
    """One term, as params.yaml writes it, in the whole test set."""

    term: str
    occurrences: int
    found: int
    said: int


@dataclass(frozen=True, slots=True)
class TermReport:
    """Recall and precision overall, of people and of synthetic speech, then term by term.

    Attributes:
        slices: overall, then people and synthetic speech where the test set has them.
        terms: every term of the vocabulary in its order, also those that no reference holds.
    """

    candidate: str
    baseline: str
    normaliser: str
    language: str
    slices: tuple[TermSlice, ...]
    terms: tuple[TermRow, ...]

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def term_report(
    candidate: Sequence[Prediction],
    baseline: Sequence[Prediction],
    utterances: Sequence[Utterance],
    terms: Sequence[str],
    *,
    candidate_name: str,
    baseline_name: str,
    normaliser: str,
    language: str,
    confidence: float,
    resamples: int,
    seed: int,
    replacements: Replacements | None = None,
) -> TermReport:
    """Count a vocabulary in two models' predictions.

    Args:
        candidate, baseline, utterances: as `evaluation.reports.accuracy.accuracy_report`.
        terms: as they are written; the normaliser is applied to them as to every text.
        replacements: likewise.

    Raises:
        ValueError: a term that the normaliser leaves nothing of, two that it makes one, or
            predictions of other utterances.
    """
    vocabulary = Vocabulary([*map(text_rules(normaliser, language, replacements), terms)])
    resampling = Resampling(confidence, resamples, seed)
    how: Any = {"normaliser": normaliser, "language": language, "replacements": replacements}
    rows, others = score(candidate, utterances, **how), score(baseline, utterances, **how)
    parts = [part for part in slices_of(rows) if part.kind != "accent"]
    counted = merge_counts(count_terms(row.reference, row.hypothesis, vocabulary) for row in rows)
    return TermReport(
        candidate=candidate_name,
        baseline=baseline_name,
        normaliser=rules_name(normaliser, replacements),
        language=language,
        slices=tuple(_slice(rows, others, part, vocabulary, resampling) for part in parts),
        terms=tuple(
            TermRow(term, *_plain(counted.get(number, TermCounts())))
            for number, term in enumerate(terms)
        ),
    )


def term_rates(
    rows: Sequence[Scored], vocabulary: Vocabulary, resampling: Resampling
) -> tuple[TermRate | None, TermRate | None]:
    """Recall and precision over some utterances; None for one that rests on nothing.

    Intervals draw whole texts, as those of word error rates.
    """
    counts = [_total(row, vocabulary) for row in rows]
    recall = _share(rows, [(one.found, one.occurrences) for one in counts], resampling)
    return recall, _share(rows, [(one.found, one.said) for one in counts], resampling)


def recall_gain(
    rows: Sequence[Scored],
    others: Sequence[Scored],
    vocabulary: Vocabulary,
    resampling: Resampling,
) -> TermRate | None:
    """Difference of two models' recalls; `rows` and `others` are of the same utterances."""
    pairs = [
        (row, _total(row, vocabulary), _total(other, vocabulary))
        for row, other in zip(rows, others, strict=True)
    ]
    held = [pair for pair in pairs if pair[1].occurrences]
    if not held:
        return None
    found = bootstrap_gain(
        [own.found for _, own, _ in held],
        [theirs.found for _, _, theirs in held],
        [own.occurrences for _, own, _ in held],
        text_labels([row for row, _, _ in held]),
        confidence=resampling.confidence,
        resamples=resampling.resamples,
        seed=resampling.seed,
    )
    total = sum(own.occurrences for _, own, _ in held)
    return _rate(found, [row for row, _, _ in held], total)


def _slice(
    rows: Sequence[Scored],
    others: Sequence[Scored],
    part: Slice,
    vocabulary: Vocabulary,
    resampling: Resampling,
) -> TermSlice:
    own = rows_of(rows, part)
    recall, precision = term_rates(own, vocabulary, resampling)
    heard = {row.utterance.id: row for row in rows_of(others, part)}
    shared = [row for row in own if row.utterance.id in heard]
    theirs = [heard[row.utterance.id] for row in shared]
    return TermSlice(
        slice=part,
        recall=recall,
        precision=precision,
        compared=term_rates(shared, vocabulary, resampling)[0],
        baseline=term_rates(theirs, vocabulary, resampling)[0],
        gain=recall_gain(shared, theirs, vocabulary, resampling),
    )


def _share(
    rows: Sequence[Scored], counts: Sequence[tuple[int, int]], resampling: Resampling
) -> TermRate | None:
    held = [(row, found, of) for row, (found, of) in zip(rows, counts, strict=True) if of]
    if not held:
        return None
    interval = bootstrap_share(
        [found for _, found, _ in held],
        [of for _, _, of in held],
        text_labels([row for row, _, _ in held]),
        confidence=resampling.confidence,
        resamples=resampling.resamples,
        seed=resampling.seed,
    )
    return _rate(interval, [row for row, _, _ in held], sum(of for _, _, of in held))


def _rate(interval: Interval, rows: Sequence[Scored], occurrences: int) -> TermRate:
    return TermRate(
        value=interval.value,
        low=interval.low,
        high=interval.high,
        confidence=interval.confidence,
        occurrences=occurrences,
        utterances=len(rows),
        speakers=len({row.utterance.speaker for row in rows}),
        method=interval_method(interval, "all or nothing"),
    )


def _total(row: Scored, vocabulary: Vocabulary) -> TermCounts:
    total = TermCounts()
    for one in count_terms(row.reference, row.hypothesis, vocabulary).values():
        total = total.plus(one)
    return total


def _plain(counts: TermCounts) -> tuple[int, int, int]:
    return counts.occurrences, counts.found, counts.said
