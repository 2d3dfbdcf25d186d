"""Two models, slice by slice: what each slice rests on, how sure it is, and what it answers.

The scan looks for trouble; it does not decide a promotion (`experiments.gates` does). Its p-values
are Holm's over all slices of all dimensions that were judged, so one small p-value among many is
not taken for news.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace

import numpy as np

from evaluation import blocks
from evaluation.cuts import DEFAULT_BINS, DIMENSIONS, Bins, Dimension, Facts, cut, in_order
from evaluation.gaps import RESAMPLES, Largest, largest_gap, largest_loss, slice_sums
from evaluation.multiple import holm
from evaluation.power import comparison_power
from evaluation.scanned import DimensionResult, Question, Scan, SliceResult
from evaluation.slices import Resampling, Scored
from evaluation.units import IntArray, Units, choose_units, numbered, text_units
from evaluation.verdict import judge

_SPEAKERS_IN_SLICE = 8
"""With fewer in a slice, its worst and best are told apart over texts, for these speakers alone."""

_FEW_IN_SLICES = f"some slices have fewer than {_SPEAKERS_IN_SLICE} speakers"


def scan(
    candidate: Sequence[Scored],
    baseline: Sequence[Scored] | None,
    facts: Sequence[Facts],
    *,
    resampling: Resampling,
    question: Question | None = None,
    dimensions: Sequence[Dimension] = DIMENSIONS,
    bins: Bins = DEFAULT_BINS,
) -> Scan:
    """Look at a candidate, beside a baseline where there is one, slice by slice.

    Args:
        candidate: [n] scored utterances.
        baseline: [n] the same utterances in the same order (`paired_rows`); None for one model.
        facts: [n] what slices are cut by.
        resampling: of every interval; largest gaps take at most 2,000 resamples.
        question: what is asked; `Question()` where it is None.
        dimensions: along which to cut.

    Raises:
        ValueError: no reference words at all, or utterances that do not belong together.
    """
    table = _Table(candidate, baseline, facts, resampling, question or Question())
    every = np.arange(len(candidate), dtype=np.int64)
    overall = table.result("overall", "overall", every)
    cuts = [(dimension, cut(facts, dimension, bins)) for dimension in dimensions]
    cut_rows = {dimension: _rows_by_name(labels, dimension, bins) for dimension, labels in cuts}
    results = {
        dimension: [table.result(dimension, name, rows) for name, rows in named.items()]
        for dimension, named in cut_rows.items()
    }
    tested = [
        (one.dimension, one.name, one.p_value)
        for found in results.values()
        for one in found
        if one.p_value is not None and _is_tested(one, overall)
    ]
    adjusted = {
        (dimension, name): p_value
        for (dimension, name, _), p_value in zip(
            tested, holm([p_value for _, _, p_value in tested]), strict=True
        )
    }
    largest = table.largest(cut_rows, results)
    return Scan(
        overall=overall,
        dimensions=tuple(
            DimensionResult(
                dimension=dimension,
                slices=tuple(
                    replace(one, p_holm=adjusted.get((one.dimension, one.name))) for one in found
                ),
                unknown=len(candidate) - sum(one.utterances for one in found),
                gap=largest[dimension][0],
                loss=largest[dimension][1],
            )
            for dimension, found in results.items()
        ),
        tests=len(tested),
        remark=_resolution(len(tested), resampling),
    )


class _Table:
    """Counts of all utterances as columns, of which slices take rows."""

    def __init__(
        self, candidate: Sequence[Scored], baseline: Sequence[Scored] | None,
        facts: Sequence[Facts], resampling: Resampling, question: Question,
    ) -> None:  # fmt: skip
        others = candidate if baseline is None else baseline
        if not len(candidate) == len(others) == len(facts):
            raise ValueError("Give as many rows of the baseline and facts as of the candidate.")
        if any(
            (one.utterance.id, one.words) != (other.utterance.id, other.words)
            for one, other in zip(candidate, others, strict=True)
        ):
            raise ValueError("Candidate and baseline are not the same utterances in one order.")
        self.words = _column([row.words for row in candidate])
        self.errors = _column([row.errors for row in candidate])
        self.before = None if baseline is None else _column([row.errors for row in baseline])
        self.speakers = numbered([row.speaker for row in facts])
        self.texts = numbered([row.reference for row in candidate])
        self.resampling = resampling
        self.question = question

    def result(self, dimension: str, name: str, rows: IntArray) -> SliceResult:
        """Everything about one slice but its adjusted p-value."""
        words = int(self.words[rows].sum())
        who, what = self.speakers[rows], self.texts[rows]
        speakers, texts = len(np.unique(who)), len(np.unique(what))
        small = self.question.lacks(words, texts, speakers)
        counts = words, len(rows), speakers
        plain = SliceResult(
            dimension, name, words, len(rows), texts, speakers,
            None, None, None, None, None, None, None, "", small,
        )  # fmt: skip
        if not words:
            return plain
        units = choose_units(who.tolist(), what.tolist(), self.words[rows])
        plain = replace(plain, claim=units.claim)
        drawn = asdict(self.resampling)
        if self.before is None:
            found = blocks.rate(self.errors[rows], self.words[rows], units, **drawn)
            return replace(plain, candidate=found.estimate(*counts))
        both = blocks.paired(self.errors[rows], self.before[rows], self.words[rows], units, **drawn)
        measured = replace(
            plain,
            candidate=both.a.estimate(*counts),
            baseline=both.b.estimate(*counts),
            difference=both.difference.estimate(*counts),
            p_value=both.p_value,
        )
        if small or units.count < 2:
            return measured
        power = comparison_power(
            both.difference.standard_error, units.count, words, self.question.margin,
            confidence=self.resampling.confidence, power=self.question.power, kind=units.kind,
        )  # fmt: skip
        return replace(measured, power=power, verdict=judge(both.difference.interval, power))

    def largest(
        self, cuts: Mapping[Dimension, Mapping[str, IntArray]],
        results: Mapping[Dimension, Sequence[SliceResult]],
    ) -> dict[Dimension, tuple[Largest | None, Largest | None]]:  # fmt: skip
        """Gap and loss of each dimension, over its judged slices."""
        judged = {
            dimension: [one.name for one in found if not one.too_small]
            for dimension, found in results.items()
        }
        several = [dimension for dimension, names in judged.items() if len(names) > 1]
        by_speaker = choose_units(self.speakers.tolist(), self.texts.tolist(), self.words)
        by_text = (
            text_units(self.speakers, self.texts, self.words, _FEW_IN_SLICES)
            if by_speaker.kind == "speaker"
            else by_speaker
        )
        found: dict[Dimension, tuple[Largest | None, Largest | None]] = dict.fromkeys(
            judged, (None, None)
        )
        for units in {id(units): units for units in (by_speaker, by_text)}.values():
            chosen = [
                dimension
                for dimension in several
                if (by_text if self._has_few(cuts[dimension], judged[dimension]) else by_speaker)
                is units
            ]
            if chosen:
                found |= self._largest_over(units, chosen, cuts, judged)
        return found

    def _largest_over(
        self, units: Units, dimensions: Sequence[Dimension],
        cuts: Mapping[Dimension, Mapping[str, IntArray]], judged: Mapping[Dimension, list[str]],
    ) -> dict[Dimension, tuple[Largest | None, Largest | None]]:  # fmt: skip
        changed = None if self.before is None else self.errors - self.before
        figures = [self.errors] if changed is None else [self.errors, changed]
        columns = []
        for dimension in dimensions:
            labels = np.full(len(self.words), -1, dtype=np.int64)
            for index, name in enumerate(judged[dimension]):
                labels[cuts[dimension][name]] = index
            count = len(judged[dimension])
            columns += [(figure, self.words, labels, count) for figure in figures]
        sums = slice_sums(
            columns, units,
            resamples=min(RESAMPLES, self.resampling.resamples), seed=self.resampling.seed,
        )  # fmt: skip
        confidence = self.resampling.confidence
        found: dict[Dimension, tuple[Largest | None, Largest | None]] = {}
        for place, dimension in enumerate(dimensions):
            names = judged[dimension]
            of_rates = sums[place * len(figures)]
            of_changes = None if changed is None else sums[place * len(figures) + 1]
            found[dimension] = (
                largest_gap(of_rates, names, units, confidence=confidence),
                None
                if of_changes is None
                else largest_loss(of_changes, names, units, confidence=confidence),
            )
        return found

    def _has_few(self, rows: Mapping[str, IntArray], names: Sequence[str]) -> bool:
        return any(len(np.unique(self.speakers[rows[name]])) < _SPEAKERS_IN_SLICE for name in names)


def _rows_by_name(
    labels: Sequence[str | None], dimension: Dimension, bins: Bins
) -> dict[str, IntArray]:
    rows: dict[str, list[int]] = {}
    for index, label in enumerate(labels):
        if label is not None:
            rows.setdefault(label, []).append(index)
    return {name: _column(rows[name]) for name in in_order(list(rows), dimension, bins)}


def _is_tested(one: SliceResult, overall: SliceResult) -> bool:
    return one.verdict is not None and one.utterances < overall.utterances


def _resolution(tests: int, resampling: Resampling) -> str:
    least = 2.0 / (resampling.resamples + 2.0)
    if tests * least <= 1.0 - resampling.confidence:
        return ""
    return (
        f"{resampling.resamples:,} resamples show no p-value below {least:.2g}: over {tests} "
        f"slices Holm's correction can find nothing. Take at least "
        f"{math.ceil(2.0 * tests / (1.0 - resampling.confidence)):,}."
    )


def _column(values: Sequence[int]) -> IntArray:
    return np.asarray(values, dtype=np.int64)
