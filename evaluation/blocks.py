"""Word error rates and differences with intervals over chosen units, each saying how it was made.

Texts and utterances: the BCa bootstrap of `evaluation.significance`, so that a figure over texts is
the certificate's. Speakers: the studentised bootstrap, and BCa where hardly any speaker brings an
error.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from statistics import NormalDist

import numpy as np

from evaluation import studentised
from evaluation.estimate import Estimate
from evaluation.resampling import Integers, Interval, by_cluster
from evaluation.significance import bootstrap_rate, paired_bootstrap
from evaluation.studentised import ClusterDraws, Form, jackknife_error, multiway_widening
from evaluation.units import Units

_NORMAL = NormalDist()


@dataclass(frozen=True, slots=True)
class Measured:
    """A figure with its interval.

    Attributes:
        interval: see `evaluation.significance.Interval`.
        standard_error: over the units, the jackknife's; NaN for a single unit.
        method: how the interval was made, such as "bootstrap-t, 10000 resamples of 42 speakers".
    """

    interval: Interval
    standard_error: float
    method: str

    def estimate(self, words: int, utterances: int, speakers: int) -> Estimate:
        """The figure as reports have it, with what it rests on."""
        return Estimate(
            value=self.interval.value,
            low=self.interval.low,
            high=self.interval.high,
            confidence=self.interval.confidence,
            words=words,
            utterances=utterances,
            speakers=speakers,
            method=self.method,
        )


@dataclass(frozen=True, slots=True)
class Paired:
    """Two models on the same utterances.

    Attributes:
        a: word error rate of a.
        b: word error rate of b.
        difference: rate of a minus rate of b; negative where a is better.
        reduction: share of b's errors that a avoids; None where it has no finite interval.
        p_value: two-sided, of "there is no difference"; belongs to the difference's interval.
        units: what was drawn; its `claim` says what the intervals hold for.
    """

    a: Measured
    b: Measured
    difference: Measured
    reduction: Measured | None
    p_value: float
    units: Units


def rate(
    errors: Integers, words: Integers, units: Units,
    *, confidence: float, resamples: int, seed: int,
) -> Measured:  # fmt: skip
    """Pooled word error rate over chosen units.

    Args:
        errors: [n] errors of each utterance.
        words: [n] reference words.
        units: what is drawn (`evaluation.units.choose_units`).

    Raises:
        ValueError: as `evaluation.significance.bootstrap_rate`.
    """
    none = np.zeros(len(errors), dtype=np.int64)
    plain = bootstrap_rate(
        errors, words, units.labels, confidence=confidence, resamples=resamples, seed=seed
    )
    maker = _Maker(errors, none, words, units, confidence, resamples, seed)
    return maker.measured(studentised.RATE_A, plain)[0]


def paired(
    errors_a: Integers, errors_b: Integers, words: Integers, units: Units,
    *, confidence: float, resamples: int, seed: int,
) -> Paired:  # fmt: skip
    """Two models on the same utterances, over chosen units.

    Args:
        errors_a: [n] errors of model a in each utterance.
        errors_b: [n] errors of model b in the same utterances.
        words: [n] reference words.
        units: what is drawn.

    Raises:
        ValueError: as `evaluation.significance.bootstrap_rate`.
    """
    plain = paired_bootstrap(
        errors_a, errors_b, words, units.labels,
        confidence=confidence, resamples=resamples, seed=seed,
    )  # fmt: skip
    maker = _Maker(errors_a, errors_b, words, units, confidence, resamples, seed)
    difference, p_value = maker.measured(studentised.DIFFERENCE, plain.difference)
    return Paired(
        a=maker.measured(studentised.RATE_A, plain.a)[0],
        b=maker.measured(studentised.RATE_B, plain.b)[0],
        difference=difference,
        reduction=maker.measured(studentised.REDUCTION, plain.reduction)[0]
        if plain.reduction is not None
        else None,
        p_value=maker.widened(plain.two_sided) if p_value is None else p_value,
        units=units,
    )


class _Maker:
    """Every figure of one comparison, from one set of resamples."""

    def __init__(
        self, a: Integers, b: Integers, words: Integers, units: Units,
        confidence: float, resamples: int, seed: int,
    ) -> None:  # fmt: skip
        self._units = units
        self._confidence = confidence
        self._columns = np.stack([np.asarray(column) for column in (a, b, words)], axis=1)
        self._table, _ = by_cluster(units.labels, a, b, words)
        self._draws = (
            ClusterDraws(self._table, resamples=resamples, seed=seed)
            if units.kind == "speaker"
            else None
        )

    def measured(self, form: Form, plain: Interval) -> tuple[Measured, float | None]:
        """The figure, and the p-value where it was studentised.

        Args:
            form: which ratio.
            plain: its BCa interval, taken where nothing better is to be had.
        """
        widening = self._widening(form)
        if self._draws is not None:
            found = self._draws.ratio(form, confidence=self._confidence, widening=widening)
            if found is not None:
                low, high = _within(form, found.low, found.high)
                interval = replace(plain, low=low, high=high, resamples=self._draws.resamples)
                how = _method(interval, self._units, "bootstrap-t", widening)
                return Measured(interval, found.standard_error, how), found.p_value
        low, high = _within(
            form,
            plain.value - widening * (plain.value - plain.low),
            plain.value + widening * (plain.high - plain.value),
        )
        interval = replace(plain, low=low, high=high)
        error = widening * jackknife_error(self._table, form)
        return Measured(
            interval, error, _method(interval, self._units, "BCa bootstrap", widening)
        ), None

    def widened(self, p_value: float) -> float:
        """The p-value that belongs to a widened BCa interval of the difference."""
        score = _NORMAL.inv_cdf(1.0 - p_value / 2.0) / self._widening(studentised.DIFFERENCE)
        return 2.0 * (1.0 - _NORMAL.cdf(score))

    def _widening(self, form: Form) -> float:
        texts = self._units.crossed
        if texts is None:
            return 1.0
        above, below = (self._columns @ np.asarray(weights) for weights in form)
        return multiway_widening(above, below, self._units.labels, texts)


def _within(form: Form, low: float, high: float) -> tuple[float, float]:
    """No rate is below zero, and nobody avoids more errors than there are."""
    if form in (studentised.RATE_A, studentised.RATE_B):
        return max(0.0, low), high
    return (low, min(1.0, high)) if form == studentised.REDUCTION else (low, high)


def _method(interval: Interval, units: Units, name: str, widening: float) -> str:
    drawn = f"{units.count:,} {units.kind}{'' if units.count == 1 else 's'}"
    if units.count == 1:
        return f"no interval: a single {units.kind}"
    if not interval.resamples:
        what = "the same in all resamples" if interval.low == interval.high else ""
        return f"no interval: {what} of {drawn}" if what else f"Clopper-Pearson, none in {drawn}"
    wider = f", {widening:.2f} times as wide for shared texts" if widening > 1.0 else ""
    return f"{name}, {interval.resamples} resamples of {drawn}{wider}"
