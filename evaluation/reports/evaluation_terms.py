"""Terms in an evaluation's report: how much of a list came through, and which were missed most."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from evaluation.shares import Share, gain, share
from evaluation.slices import Resampling, Scored
from evaluation.terms import TermCounts, Vocabulary, count_terms, merge_counts

Part = tuple[str, Callable[[Scored], bool]]

_PARTS: tuple[Part, ...] = (
    ("all speech", lambda row: True),
    ("people", lambda row: not row.utterance.is_synthetic),
    ("machines", lambda row: row.utterance.is_synthetic),
)


@dataclass(frozen=True, slots=True)
class ModelTerms:
    """What one model made of the terms in some speech.

    Attributes:
        recall: found, of those in the references; None where these have none.
        precision: said, of those in what was heard; None where no term was heard.
    """

    recall: Share | None
    precision: Share | None


@dataclass(frozen=True, slots=True)
class TermPart:
    """All speech, people or machines.

    Attributes:
        baseline: None without a second model.
        gain: candidate's recall less baseline's, above 0 is better; None likewise, and where the
            references have no term.
    """

    name: str
    candidate: ModelTerms
    baseline: ModelTerms | None
    gain: Share | None


@dataclass(frozen=True, slots=True)
class TermLine:
    """One term: how often it is in the references, was found, and was heard.

    Attributes:
        baseline_found, baseline_said: of the second model; None without one.
    """

    term: str
    occurrences: int
    found: int
    said: int
    baseline_found: int | None
    baseline_said: int | None

    @property
    def missed(self) -> int:
        """Occurrences that the model did not write."""
        return self.occurrences - self.found

    @property
    def invented(self) -> int:
        """How often it was heard and not said."""
        return self.said - self.found


@dataclass(frozen=True, slots=True)
class EvaluatedTerms:
    """A list of terms in an evaluation.

    Attributes:
        source: where the list is from, as the user named it.
        parts: all speech, then people and machines where there are both.
        lines: every term that is said or heard; most often missed first, then most often invented.
        absent: terms that nobody says and neither model heard, in the order of the list.
    """

    source: str
    terms: int
    parts: tuple[TermPart, ...]
    lines: tuple[TermLine, ...]
    absent: tuple[str, ...]

    @property
    def occurrences(self) -> int:
        """In the references."""
        return sum(line.occurrences for line in self.lines)


def evaluated_terms(
    rows: Sequence[Scored],
    others: Sequence[Scored] | None,
    terms: Sequence[str],
    *,
    normalise: Callable[[str], str],
    source: str,
    resampling: Resampling,
) -> EvaluatedTerms:
    """Count a list of terms.

    Args:
        rows: [n] of the candidate.
        others: [n] of the baseline, the same utterances in the same order; None without one.
        terms: as they are written.
        normalise: what texts went through.
        source: of the list.

    Raises:
        ValueError: a term of which nothing is left, or two that become one.
    """
    vocabulary = Vocabulary([normalise(term) for term in terms])
    ours = [count_terms(row.reference, row.hypothesis, vocabulary) for row in rows]
    theirs = (
        None
        if others is None
        else [count_terms(row.reference, row.hypothesis, vocabulary) for row in others]
    )
    chosen = [[index for index, row in enumerate(rows) if belongs(row)] for _, belongs in _PARTS]
    parts = tuple(
        _part(
            name,
            [rows[index] for index in inside],
            [_sum(ours[index]) for index in inside],
            [_sum(theirs[index]) for index in inside] if theirs else None,
            resampling,
        )
        for (name, _), inside in zip(_PARTS, chosen, strict=True)
        if inside and (name == _PARTS[0][0] or len(inside) < len(rows))
    )
    totals = merge_counts(ours)
    before = merge_counts(theirs) if theirs else None
    known = set(totals) | set(before or ())
    lines = [
        _line(term, totals.get(number), before, number)
        for number, term in enumerate(terms)
        if number in known
    ]
    lines.sort(key=lambda line: (-line.missed, -line.invented, -line.occurrences))
    return EvaluatedTerms(
        source=source,
        terms=len(terms),
        parts=parts,
        lines=tuple(lines),
        absent=tuple(term for number, term in enumerate(terms) if number not in known),
    )


def _part(
    name: str,
    rows: Sequence[Scored],
    ours: Sequence[TermCounts],
    theirs: Sequence[TermCounts] | None,
    resampling: Resampling,
) -> TermPart:
    return TermPart(
        name=name,
        candidate=_model(rows, ours, resampling),
        baseline=_model(rows, theirs, resampling) if theirs else None,
        gain=gain(
            rows,
            [one.found for one in ours],
            [one.found for one in theirs],
            [one.occurrences for one in ours],
            resampling,
        )
        if theirs
        else None,
    )


def _model(
    rows: Sequence[Scored], counts: Sequence[TermCounts], resampling: Resampling
) -> ModelTerms:
    found = [one.found for one in counts]
    return ModelTerms(
        recall=share(rows, found, [one.occurrences for one in counts], resampling),
        precision=share(rows, found, [one.said for one in counts], resampling),
    )


def _line(
    term: str, ours: TermCounts | None, before: dict[int, TermCounts] | None, number: int
) -> TermLine:
    ours = ours or TermCounts()
    theirs = None if before is None else before.get(number, TermCounts())
    return TermLine(
        term=term,
        # A term that the candidate never said is in its counts if a reference has it.
        occurrences=ours.occurrences,
        found=ours.found,
        said=ours.said,
        baseline_found=theirs.found if theirs else None,
        baseline_said=theirs.said if theirs else None,
    )


def _sum(counts: dict[int, TermCounts]) -> TermCounts:
    total = TermCounts()
    for one in counts.values():
        total = total.plus(one)
    return total
