"""From predictions to estimates: errors are counted once, then looked at slice by slice.

Intervals draw whole texts: the same sentence spoken by many voices stands or falls together. The
key of a text is its normalised reference.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from data.utterance import Utterance
from evaluation.comparison import Comparison, Slice
from evaluation.estimate import Estimate
from evaluation.metrics import per_utterance_errors
from evaluation.prediction import Prediction
from evaluation.replacements import Replacements, text_rules
from evaluation.significance import (
    Interval,
    PairedBootstrap,
    bootstrap_rate,
    paired_bootstrap,
)


@dataclass(frozen=True, slots=True)
class Scored:
    """An utterance with what a model said and its errors; texts are normalised."""

    utterance: Utterance
    reference: str
    hypothesis: str
    errors: int
    words: int


@dataclass(frozen=True, slots=True)
class Resampling:
    """How intervals are made; see evaluation.significance."""

    confidence: float
    resamples: int
    seed: int


def score(
    predictions: Sequence[Prediction],
    utterances: Sequence[Utterance],
    *,
    normaliser: str,
    language: str,
    replacements: Replacements | None = None,
) -> tuple[Scored, ...]:
    """Normalise and count the errors of each prediction.

    Args:
        predictions: of any subset of the utterances, each at most once.
        utterances: rows of the corpus.
        replacements: applied after the normaliser.

    Raises:
        ValueError: a prediction is of no utterance given, or of one twice.
    """
    known = {row.id: row for row in utterances}
    heard = [row.utterance_id for row in predictions]
    if strangers := sorted(set(heard) - set(known)):
        raise ValueError(
            f"{len(strangers)} predictions are of utterances that are not in the corpus, such as "
            f"{strangers[0]!r}: predictions and corpus are of different versions."
        )
    if len(set(heard)) != len(heard):
        raise ValueError("An utterance has more than one prediction.")
    rules = text_rules(normaliser, language, replacements)
    references = [rules(row.reference) for row in predictions]
    hypotheses = [rules(row.hypothesis) for row in predictions]
    counts = per_utterance_errors(references, hypotheses)
    return tuple(
        Scored(known[identity], reference, hypothesis, int(errors), int(words))
        for identity, reference, hypothesis, (errors, words) in zip(
            heard, references, hypotheses, counts, strict=True
        )
    )


def slices_of(rows: Sequence[Scored]) -> tuple[Slice, ...]:
    """Overall, people, synthetic speech, then every accent of either, sorted; empty ones not."""
    kinds = {row.utterance.is_synthetic for row in rows}
    found = [Slice("overall")] if rows else []
    found += [Slice("human", is_synthetic=False)] if False in kinds else []
    found += [Slice("synthetic", is_synthetic=True)] if True in kinds else []
    accents = sorted({(row.utterance.is_synthetic, row.utterance.accent) for row in rows})
    found += [Slice("accent", accent, is_synthetic) for is_synthetic, accent in accents]
    return tuple(found)


def rows_of(rows: Sequence[Scored], part: Slice) -> list[Scored]:
    """The rows that belong to a slice."""
    return [
        row
        for row in rows
        if part.is_synthetic in (None, row.utterance.is_synthetic)
        and part.accent in ("", row.utterance.accent)
    ]


def word_error_rate_of(rows: Sequence[Scored], resampling: Resampling) -> Estimate:
    """Pooled word error rate with its interval.

    Raises:
        ValueError: there are no reference words.
    """
    interval = bootstrap_rate(
        [row.errors for row in rows],
        [row.words for row in rows],
        text_labels(rows),
        confidence=resampling.confidence,
        resamples=resampling.resamples,
        seed=resampling.seed,
    )
    return _estimate(interval, rows)


def compare(
    candidate: Sequence[Scored], baseline: Sequence[Scored], part: Slice, resampling: Resampling
) -> Comparison | None:
    """Compare two models on the utterances of a slice that both have heard.

    Returns:
        None where they share no utterance with words.

    Raises:
        ValueError: they were given different references for the same utterance.
    """
    others = {row.utterance.id: row for row in rows_of(baseline, part)}
    pairs = [
        (row, others[row.utterance.id])
        for row in rows_of(candidate, part)
        if row.utterance.id in others
    ]
    if any(row.reference != other.reference for row, other in pairs):
        raise ValueError("The two models were given different references for one utterance.")
    rows = [row for row, _ in pairs]
    if not sum(row.words for row in rows):
        return None
    result = paired_rates(rows, [other for _, other in pairs], resampling)
    return Comparison(
        slice=part,
        candidate=_estimate(result.a, rows),
        baseline=_estimate(result.b, rows),
        difference=_estimate(result.difference, rows),
        reduction=None if result.reduction is None else _estimate(result.reduction, rows),
        p_value=result.p_value,
        texts=result.difference.clusters,
    )


def paired_rates(
    rows: Sequence[Scored], others: Sequence[Scored], resampling: Resampling
) -> PairedBootstrap:
    """Two word error rates of the same utterances and their difference; texts are drawn.

    Args:
        rows: [n] at least one with words.
        others: [n] the same utterances, row by row, heard otherwise.

    Raises:
        ValueError: lengths differ, or there are no reference words.
    """
    return paired_bootstrap(
        [row.errors for row in rows],
        [row.errors for row in others],
        [row.words for row in rows],
        text_labels(rows),
        confidence=resampling.confidence,
        resamples=resampling.resamples,
        seed=resampling.seed,
    )


def text_labels(rows: Sequence[Scored]) -> list[int]:
    """A number for each normalised reference: what intervals draw together."""
    labels: dict[str, int] = {}
    return [labels.setdefault(row.reference, len(labels)) for row in rows]


def interval_method(interval: Interval, seen: str = "nothing seen") -> str:
    """How an interval over texts was made.

    Args:
        seen: what an interval without resamples rests on.
    """
    texts = f"{interval.clusters} texts"
    if interval.clusters == 1:
        return "no interval: a single text"
    if interval.resamples:
        return f"BCa bootstrap, {interval.resamples} resamples of {texts}"
    if interval.low == interval.high:
        return f"no interval: the same in all resamples of {texts}"
    return f"Clopper-Pearson, {seen} in {texts}"


def _estimate(interval: Interval, rows: Sequence[Scored]) -> Estimate:
    return Estimate(
        value=interval.value,
        low=interval.low,
        high=interval.high,
        confidence=interval.confidence,
        words=sum(row.words for row in rows),
        utterances=len(rows),
        speakers=len({row.utterance.speaker for row in rows}),
        method=interval_method(interval),
    )
