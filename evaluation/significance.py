"""How sure a word error rate, or a difference between two, is: cluster bootstrap.

Utterances that share a cluster are drawn together, because they are not independent: the same text
spoken by many voices, or everything of one speaker. Rates are pooled inside each resample (errors
over words), intervals are percentile intervals.

Sources: Efron 1979, "Bootstrap methods: another look at the jackknife"; Bisani and Ney 2004,
"Bootstrap estimates for confidence intervals in ASR performance evaluation" (pooled rates and the
paired difference); Field and Welsh 2007, "Bootstrapping clustered data" (whole clusters are drawn).

Where no utterance carries an error (or none differs between two models) every resample is the same
and the bootstrap would claim certainty. The bounds are then Clopper and Pearson's for nothing seen
in n trials (1934; the "rule of three"), where n is the words of one average utterance per cluster.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
Integers = npt.NDArray[np.integer] | Sequence[int]

_DRAWS_AT_ONCE = 1 << 20


@dataclass(frozen=True, slots=True)
class Interval:
    """A value with its interval.

    Attributes:
        value: computed on the data itself, not a mean of resamples.
        low: lower end; equal to `value`, as is `high`, where there is a single cluster, which
            says nothing about how clusters vary.
        high: upper end.
        confidence: coverage, such as 0.95.
        clusters: independent units that were drawn.
        resamples: draws; 0 where the interval was not made by drawing.
    """

    value: float
    low: float
    high: float
    confidence: float
    clusters: int
    resamples: int


@dataclass(frozen=True, slots=True)
class PairedBootstrap:
    """Two models, a and b, on the same utterances; all intervals are of the same resamples.

    Attributes:
        a: word error rate of a.
        b: word error rate of b.
        difference: rate of a minus rate of b; negative where a is better.
        reduction: share of b's errors that a avoids, (b - a) / b; None where b has no errors in
            the data or in too many resamples for the interval to be finite.
        p_value: one-sided, of "a is no better than b": the share of resamples in which a is not
            better, (1 + count) / (1 + resamples).
    """

    a: Interval
    b: Interval
    difference: Interval
    reduction: Interval | None
    p_value: float


def bootstrap_rate(
    errors: Integers,
    words: Integers,
    clusters: Integers,
    *,
    confidence: float,
    resamples: int,
    seed: int,
) -> Interval:
    """Interval of a pooled word error rate.

    Args:
        errors: [n] errors of each utterance.
        words: [n] reference words of each utterance.
        clusters: [n] integer label; utterances with the same label are drawn together.
        confidence: coverage, between 0 and 1.
        resamples: number of draws.
        seed: of the draws; the same arguments give the same interval.

    Raises:
        ValueError: lengths differ, negative counts, no words, or a bad confidence or resamples.
    """
    _check(confidence, resamples)
    table, units = _by_cluster(clusters, errors, words)
    totals = _resample(table, resamples, seed)
    rates = _ratio(totals[:, 0], totals[:, 1])
    return _interval(_rate(table, 0), rates, confidence, table, units, signed=False)


def paired_bootstrap(
    errors_a: Integers,
    errors_b: Integers,
    words: Integers,
    clusters: Integers,
    *,
    confidence: float,
    resamples: int,
    seed: int,
) -> PairedBootstrap:
    """Compare two models on the same utterances, drawing both from the same resamples.

    Args:
        errors_a: [n] errors of model a in each utterance.
        errors_b: [n] errors of model b in the same utterances.
        words: [n] reference words of each utterance.
        clusters: [n] integer label; utterances with the same label are drawn together.
        confidence: coverage, between 0 and 1.
        resamples: number of draws.
        seed: of the draws.

    Raises:
        ValueError: as `bootstrap_rate`.
    """
    _check(confidence, resamples)
    table, units = _by_cluster(clusters, errors_a, errors_b, words)
    totals = _resample(table, resamples, seed)
    rates_a, rates_b = _ratio(totals[:, 0], totals[:, 2]), _ratio(totals[:, 1], totals[:, 2])
    rate_a, rate_b = _rate(table, 0), _rate(table, 1)
    differences = rates_a - rates_b
    known = differences[~np.isnan(differences)]
    return PairedBootstrap(
        a=_interval(rate_a, rates_a, confidence, table, units, signed=False),
        b=_interval(rate_b, rates_b, confidence, table, units, signed=False),
        difference=_interval(rate_a - rate_b, differences, confidence, table, units, signed=True),
        reduction=_reduction(rate_a, rate_b, totals, confidence, len(table)),
        p_value=(1 + int(np.count_nonzero(known >= 0.0))) / (1 + len(known)),
    )


def _by_cluster(clusters: Integers, *columns: Integers) -> tuple[FloatArray, float]:
    """Sums per cluster, [k, columns], and the words of one average utterance per cluster."""
    labels = np.asarray(clusters)
    arrays = [np.asarray(column, dtype=np.float64) for column in columns]
    if any(array.shape != labels.shape or array.ndim != 1 for array in arrays):
        raise ValueError("errors, words and clusters must be of the same length, one dimension.")
    if any((array < 0).any() for array in arrays):
        raise ValueError("errors and words must not be negative.")
    if not arrays[-1].sum() > 0:
        raise ValueError("There are no reference words, so there is no word error rate.")
    _, inverse = np.unique(labels, return_inverse=True)
    sums: FloatArray = np.stack(
        [np.bincount(inverse, weights=array) for array in arrays], axis=1
    ).astype(np.float64)
    return sums, float(arrays[-1].sum()) * len(sums) / len(labels)


def _resample(table: FloatArray, resamples: int, seed: int) -> FloatArray:
    """Draw as many clusters as there are, with replacement, and sum: [resamples, columns]."""
    generator = np.random.default_rng(seed)
    count, width = table.shape
    totals = np.empty((resamples, width))
    step = max(1, _DRAWS_AT_ONCE // count)
    columns = np.ascontiguousarray(table.T)
    for start in range(0, resamples, step):
        stop = min(start + step, resamples)
        drawn = generator.integers(0, count, size=(stop - start, count), dtype=np.int32)
        for index, column in enumerate(columns):
            totals[start:stop, index] = column[drawn].sum(axis=1)
    return totals


def _ratio(errors: FloatArray, words: FloatArray) -> FloatArray:
    """Errors over words; NaN in the rare resample that drew only clusters without words."""
    rates = np.full(len(errors), np.nan)
    np.divide(errors, words, out=rates, where=words > 0)
    return rates


def _rate(table: FloatArray, column: int) -> float:
    return float(table[:, column].sum() / table[:, -1].sum())


def _interval(
    value: float,
    resampled: FloatArray,
    confidence: float,
    table: FloatArray,
    units: float,
    *,
    signed: bool,
) -> Interval:
    count = len(table)
    if count == 1:
        return Interval(value, value, value, confidence, 1, 0)
    tail = (1.0 - confidence) / 2.0
    observed = resampled[~np.isnan(resampled)]
    if value == 0.0 and not observed.any():
        bound = 1.0 - tail ** (1.0 / units)
        return Interval(value, -bound if signed else 0.0, bound, confidence, count, 0)
    low, high = np.quantile(observed, [tail, 1.0 - tail])
    return Interval(value, float(low), float(high), confidence, count, len(resampled))


def _reduction(
    rate_a: float, rate_b: float, totals: FloatArray, confidence: float, count: int
) -> Interval | None:
    if rate_b == 0.0 or count == 1:
        return None
    errors_a, errors_b = totals[:, 0], totals[:, 1]
    # Without errors of b a resample has nothing to reduce: as bad as can be, unless a has none.
    shares = np.where(errors_a > 0, -np.inf, 0.0)
    np.divide(errors_b - errors_a, errors_b, out=shares, where=errors_b > 0)
    tail = (1.0 - confidence) / 2.0
    low, high = np.quantile(shares, [tail, 1.0 - tail], method="nearest")
    if not (math.isfinite(low) and math.isfinite(high)):
        return None
    value = (rate_b - rate_a) / rate_b
    return Interval(value, float(low), float(high), confidence, count, len(totals))


def _check(confidence: float, resamples: int) -> None:
    if not 0.0 < confidence < 1.0:
        raise ValueError(f"confidence is {confidence}; it must be between 0 and 1.")
    if resamples < 1:
        raise ValueError(f"resamples is {resamples}; it must be at least 1.")
