"""How sure a word error rate, or a difference between two, is: cluster bootstrap.

Utterances that share a cluster are drawn together, because they are not independent: the same text
spoken by many voices, or everything of one speaker. Rates are pooled inside each resample (errors
over words). Intervals are bias-corrected and accelerated (BCa): errors are few and skewed, and
plain percentile intervals let a model that is a point too bad pass two to three times as often as
they claim to (tests/experiments/test_gates.py holds this).

Sources: Bisani and Ney 2004, "Bootstrap estimates for confidence intervals in ASR performance
evaluation" (pooled rates and the paired difference); Field and Welsh 2007, "Bootstrapping clustered
data" (whole clusters are drawn); Efron 1987, "Better bootstrap confidence intervals" (BCa, with the
acceleration of the jackknife over clusters).

Where no utterance carries an error (or none differs between two models) every resample is the same
and the bootstrap would claim certainty. The bounds are then Clopper and Pearson's for nothing seen
in n trials (1934; the "rule of three"), where n is the words of one average utterance per cluster.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
Integers = npt.NDArray[np.integer] | Sequence[int]

_DRAWS_AT_ONCE = 1 << 20
_NORMAL = NormalDist()


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
            the data or in too many resamples for the interval to be finite. Its ends equal its
            value where all resamples agree (a is b, or a makes no errors): nothing was drawn then.
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
    draws = _draws(table, resamples, seed)
    return _interval(draws.apply(_rate), confidence, units, signed=False)


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
    draws = _draws(table, resamples, seed)
    difference = draws.apply(_difference)
    known = difference.resampled[~np.isnan(difference.resampled)]
    return PairedBootstrap(
        a=_interval(draws.apply(_rate), confidence, units, signed=False),
        b=_interval(draws.apply(_other_rate), confidence, units, signed=False),
        difference=_interval(difference, confidence, units, signed=True),
        reduction=_reduction_interval(draws.apply(_reduction), confidence)
        if draws.whole[0, 1]
        else None,
        p_value=(1 + int(np.count_nonzero(known >= 0.0))) / (1 + len(known)),
    )


@dataclass(frozen=True, slots=True)
class _Draws:
    """Sums over all clusters [1, c], over resamples [r, c], and leaving each cluster out [k, c]."""

    whole: FloatArray
    resampled: FloatArray
    without: FloatArray

    def apply(self, statistic: Callable[[FloatArray], FloatArray]) -> _Statistic:
        return _Statistic(
            float(statistic(self.whole)[0]), statistic(self.resampled), statistic(self.without)
        )


@dataclass(frozen=True, slots=True)
class _Statistic:
    """A statistic of the data, of each resample [r] and with each cluster left out [k]."""

    value: float
    resampled: FloatArray
    jackknife: FloatArray


def _rate(totals: FloatArray) -> FloatArray:
    """Errors over words, [n]; NaN in the rare resample that drew only clusters without words."""
    return _ratio(totals[:, 0], totals[:, -1])


def _other_rate(totals: FloatArray) -> FloatArray:
    return _ratio(totals[:, 1], totals[:, -1])


def _difference(totals: FloatArray) -> FloatArray:
    return _ratio(totals[:, 0] - totals[:, 1], totals[:, -1])


def _reduction(totals: FloatArray) -> FloatArray:
    """Share of b's errors that a avoids; without errors of b nothing can be avoided: -inf or 0."""
    errors_a, errors_b = totals[:, 0], totals[:, 1]
    shares = np.where(errors_a > 0, -np.inf, 0.0)
    np.divide(errors_b - errors_a, errors_b, out=shares, where=errors_b > 0)
    return shares


def _ratio(above: FloatArray, below: FloatArray) -> FloatArray:
    found = np.full(len(above), np.nan)
    np.divide(above, below, out=found, where=below > 0)
    return found


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


def _draws(table: FloatArray, resamples: int, seed: int) -> _Draws:
    """Draw as many clusters as there are, with replacement, and sum."""
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
    whole = table.sum(axis=0, keepdims=True)
    return _Draws(whole, totals, whole - table)


def _interval(found: _Statistic, confidence: float, units: float, *, signed: bool) -> Interval:
    value, count = found.value, len(found.jackknife)
    if count == 1:
        return Interval(value, value, value, confidence, 1, 0)
    observed = found.resampled[~np.isnan(found.resampled)]
    if value == 0.0 and not observed.any():
        bound = 1.0 - ((1.0 - confidence) / 2.0) ** (1.0 / units)
        return Interval(value, -bound if signed else 0.0, bound, confidence, count, 0)
    low, high = np.quantile(observed, _bca_levels(found, confidence))
    return Interval(value, float(low), float(high), confidence, count, len(found.resampled))


def _reduction_interval(found: _Statistic, confidence: float) -> Interval | None:
    value, count = found.value, len(found.jackknife)
    if count == 1 or not np.isfinite([value, *found.jackknife]).all():
        return None
    if (found.resampled == value).all():
        return Interval(value, value, value, confidence, count, 0)
    levels = _bca_levels(found, confidence)
    low, high = np.quantile(found.resampled, levels, method="nearest")
    if not (math.isfinite(low) and math.isfinite(high)):
        return None
    return Interval(value, float(low), float(high), confidence, count, len(found.resampled))


def _bca_levels(found: _Statistic, confidence: float) -> tuple[float, float]:
    """The two quantiles of the resamples that make a BCa interval (Efron 1987, equation 3.8)."""
    observed = found.resampled[~np.isnan(found.resampled)]
    below = np.count_nonzero(observed < found.value) + np.count_nonzero(observed <= found.value)
    # Kept off 0 and 1, where the correction would be infinite.
    edge = 1.0 / (2.0 * len(observed) + 2.0)
    bias = _NORMAL.inv_cdf(min(max(below / (2.0 * len(observed)), edge), 1.0 - edge))
    influence = np.nanmean(found.jackknife) - found.jackknife[~np.isnan(found.jackknife)]
    spread = np.sum(influence**2) ** 1.5
    acceleration = np.sum(influence**3) / (6.0 * spread) if spread > 0 else 0.0
    tail = (1.0 - confidence) / 2.0
    scores = (bias + _NORMAL.inv_cdf(tail), bias + _NORMAL.inv_cdf(1.0 - tail))
    low, high = (_NORMAL.cdf(bias + score / (1.0 - acceleration * score)) for score in scores)
    return low, high


def _check(confidence: float, resamples: int) -> None:
    if not 0.0 < confidence < 1.0:
        raise ValueError(f"confidence is {confidence}; it must be between 0 and 1.")
    if resamples < 1:
        raise ValueError(f"resamples is {resamples}; it must be at least 1.")
