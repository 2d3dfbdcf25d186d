"""What a candidate has forgotten: its base model beside it on general speech, language by language.

Keeping is shown, not assumed: a language is kept when a loss that matters is excluded, and where
the words do not suffice for that the answer is that nobody can tell.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Literal

from evaluation import blocks
from evaluation.estimate import Estimate
from evaluation.multiple import holm
from evaluation.pairing import paired_rows
from evaluation.power import Power, comparison_power
from evaluation.scanned import Question
from evaluation.slices import Resampling, Scored
from evaluation.units import choose_units

Outcome = Literal["improved", "kept", "forgot", "cannot tell"]


@dataclass(frozen=True, slots=True)
class LanguageKept:
    """One language of the general suite.

    Attributes:
        language: ISO 639-1 code.
        candidate: its word error rate.
        base: the base model's, on the same utterances.
        difference: candidate less base, a fraction; above zero is forgotten.
        p_value: two-sided, of "no difference".
        p_holm: adjusted over all languages.
        power: what the comparison could have found; None for a single text.
        outcome: "improved": the whole interval lies below zero. "kept": below the margin.
            "forgot": above zero, and the loss may reach the margin. "cannot tell": none of these,
            or too few words, texts or speakers to judge.
        claim: what the interval holds for.
        text: the outcome in words.
    """

    language: str
    candidate: Estimate
    base: Estimate
    difference: Estimate
    p_value: float
    p_holm: float
    power: Power | None
    outcome: Outcome
    claim: str
    text: str


@dataclass(frozen=True, slots=True)
class Forgetting:
    """The whole suite.

    Attributes:
        languages: sorted by their codes.
        outcome: "forgot" if any language is forgotten; else "cannot tell" if any cannot be told;
            else "improved" if all are, or "kept". All must be kept, so "kept" needs no correction
            for their number (intersection-union test: Berger 1982).
        text: in words.
    """

    languages: tuple[LanguageKept, ...]
    outcome: Outcome
    text: str


def forgetting(
    heard: Mapping[str, tuple[Sequence[Scored], Sequence[Scored]]],
    *,
    resampling: Resampling,
    question: Question,
) -> Forgetting:
    """Compare a candidate with its base model on a general suite.

    Args:
        heard: by language, what the candidate and what the base model said; the same utterances.
        resampling: of every interval.
        question: the margin (the smallest loss that matters), the power asked for, and what a
            language needs to be judged.

    Raises:
        ValueError: no language, or the models did not hear the same (`paired_rows`).
    """
    if not heard:
        raise ValueError("The general suite has no language.")
    found = [
        _language(name, *paired_rows(*heard[name]), resampling, question) for name in sorted(heard)
    ]
    adjusted = holm([one.p_value for one in found])
    languages = tuple(
        replace(one, p_holm=p_value) for one, p_value in zip(found, adjusted, strict=True)
    )
    return Forgetting(languages, _together(languages), _said(languages))


def _language(
    name: str, candidate: Sequence[Scored], base: Sequence[Scored],
    resampling: Resampling, question: Question,
) -> LanguageKept:  # fmt: skip
    words = [row.words for row in candidate]
    speakers = [row.utterance.speaker for row in candidate]
    texts = [row.reference for row in candidate]
    units = choose_units(speakers, texts, words)
    both = blocks.paired(
        [row.errors for row in candidate], [row.errors for row in base], words, units,
        **asdict(resampling),
    )  # fmt: skip
    counts = sum(words), len(words), len(set(speakers))
    power = None
    if units.count > 1:
        power = comparison_power(
            both.difference.standard_error, units.count, counts[0], question.margin,
            confidence=resampling.confidence, power=question.power, kind=units.kind,
        )  # fmt: skip
    difference = both.difference.estimate(*counts)
    lacks = question.lacks(counts[0], len(set(texts)), counts[2])
    outcome = _outcome(difference, question.margin, single=units.count < 2, lacks=lacks)
    return LanguageKept(
        language=name,
        candidate=both.a.estimate(*counts),
        base=both.b.estimate(*counts),
        difference=difference,
        p_value=both.p_value,
        p_holm=both.p_value,
        power=power,
        outcome=outcome,
        claim=units.claim,
        text=_text(name, difference, outcome, power, lacks),
    )


def _outcome(difference: Estimate, margin: float, *, single: bool, lacks: str) -> Outcome:
    if single or lacks:
        return "cannot tell"
    if difference.high < 0.0:
        return "improved"
    if difference.high < margin:
        return "kept"
    return "forgot" if difference.low > 0.0 else "cannot tell"


def _text(
    name: str, difference: Estimate, outcome: Outcome, power: Power | None, lacks: str
) -> str:
    size = (
        f"{100 * difference.value:+.2f} points [{100 * difference.low:+.2f}, "
        f"{100 * difference.high:+.2f}], {difference.words:,} words"
    )
    if outcome != "cannot tell":
        return f"{name}: {outcome}, {size}."
    if lacks or power is None:
        return f"{name}: cannot tell, {lacks or 'a single text'} ({size})."
    return f"{name}: cannot tell, {size}. {power.lack}"


def _together(languages: Sequence[LanguageKept]) -> Outcome:
    outcomes = {one.outcome for one in languages}
    for outcome in ("forgot", "cannot tell", "kept"):
        if outcome in outcomes:
            return outcome
    return "improved"


def _said(languages: Sequence[LanguageKept]) -> str:
    groups: dict[Outcome, list[str]] = {}
    for one in languages:
        groups.setdefault(one.outcome, []).append(one.language)
    order: tuple[tuple[Outcome, str], ...] = (
        ("forgot", "Forgot"),
        ("cannot tell", "Cannot tell for"),
        ("kept", "Kept"),
        ("improved", "Improved"),
    )
    return (
        "; ".join(f"{word} {', '.join(groups[key])}" for key, word in order if key in groups) + "."
    )
