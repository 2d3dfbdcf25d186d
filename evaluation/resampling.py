"""Drawing clusters with replacement, and the intervals that follow from the draws.

Bias-corrected and accelerated intervals (BCa: Efron 1987, "Better bootstrap confidence intervals",
with the acceleration of the jackknife over clusters), the p-value that belongs to them, and the
bound of Clopper and Pearson (1934) where every draw is the same. `evaluation.significance` says
what they are used for; `evaluation.studentised` makes intervals of few and unlike clusters.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
Integers = npt.NDArray[np.integer] | Sequence[int]

_DRAWS_AT_ONCE = 1 << 20
_PACKED_BITS = 62
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

    def percent(self, digits: int = 1) -> str:
        """For example "4.6% [3.2, 6.1]", as `Estimate.percent`."""
        return (
            f"{100 * self.value:.{digits}f}% "
            f"[{100 * self.low:.{digits}f}, {100 * self.high:.{digits}f}]"
        )


@dataclass(frozen=True, slots=True)
class Draws:
    """Sums over all clusters [1, c], over resamples [r, c], and leaving each cluster out [k, c]."""

    whole: FloatArray
    resampled: FloatArray
    without: FloatArray

    def apply(self, statistic: Callable[[FloatArray], FloatArray]) -> Statistic:
        return Statistic(
            float(statistic(self.whole)[0]), statistic(self.resampled), statistic(self.without)
        )


@dataclass(frozen=True, slots=True)
class Statistic:
    """A statistic of the data, of each resample [r] and with each cluster left out [k]."""

    value: float
    resampled: FloatArray
    jackknife: FloatArray


def ratio(above: FloatArray, below: FloatArray) -> FloatArray:
    """Quotients, [n]; NaN where there is nothing to divide by."""
    found = np.full(len(above), np.nan)
    np.divide(above, below, out=found, where=below > 0)
    return found


def by_cluster(clusters: Integers, *columns: Integers) -> tuple[FloatArray, float]:
    """Sums per cluster, [k, columns], and the words of one average utterance per cluster.

    Raises:
        ValueError: lengths differ, counts that are negative or not whole, no words.
    """
    labels = np.asarray(clusters)
    arrays = [np.asarray(column, dtype=np.float64) for column in columns]
    if any(array.shape != labels.shape or array.ndim != 1 for array in arrays):
        raise ValueError("errors, words and clusters must be of the same length, one dimension.")
    if not all(np.array_equal(array, np.trunc(array)) for array in arrays):
        raise ValueError("errors and words must be whole numbers.")
    if any((array < 0).any() for array in arrays):
        raise ValueError("errors and words must not be negative.")
    if not arrays[-1].sum() > 0:
        raise ValueError("There are no reference words, so there is no word error rate.")
    _, inverse = np.unique(labels, return_inverse=True)
    sums: FloatArray = np.stack(
        [np.bincount(inverse, weights=array) for array in arrays], axis=1
    ).astype(np.float64)
    return sums, float(arrays[-1].sum()) * len(sums) / len(labels)


def draw(table: FloatArray, resamples: int, seed: int) -> Draws:
    """Draw as many clusters as there are, with replacement, and sum.

    Args:
        table: [k, c], whole numbers.
    """
    generator = np.random.default_rng(seed)
    count, width = table.shape
    totals = np.empty((resamples, width))
    step = max(1, _DRAWS_AT_ONCE // count)
    packs = _packed(table)
    drawn_values = np.empty((step, count), dtype=np.int64)
    for start in range(0, resamples, step):
        stop = min(start + step, resamples)
        drawn = generator.integers(0, count, size=(stop - start, count), dtype=np.int32)
        values = drawn_values[: stop - start]
        for pack, places in packs:
            # `clip` needs no copy of what is looked up; every number drawn is in range.
            rest = np.take(pack, drawn, out=values, mode="clip").sum(axis=1)
            for column, bits in places:
                totals[start:stop, column] = rest & ((1 << bits) - 1)
                rest >>= bits
    whole = table.sum(axis=0, keepdims=True)
    return Draws(whole, totals, whole - table)


def resampled_sums(table: FloatArray, resamples: int, seed: int) -> FloatArray:
    """Sums of many columns over drawn clusters, [resamples, c].

    For many columns this is faster than `draw`: how often each cluster was drawn is counted once,
    and the sums are one product of matrices. The clusters drawn are those of `draw`.

    Args:
        table: [k, c].
    """
    generator = np.random.default_rng(seed)
    count = len(table)
    totals = np.empty((resamples, table.shape[1]))
    step = max(1, _DRAWS_AT_ONCE // count)
    for start in range(0, resamples, step):
        stop = min(start + step, resamples)
        drawn = generator.integers(0, count, size=(stop - start, count), dtype=np.int32)
        rows = np.arange(stop - start, dtype=np.int64)[:, None] * count
        times = np.bincount((drawn + rows).ravel(), minlength=(stop - start) * count)
        totals[start:stop] = times.reshape(stop - start, count).astype(np.float64) @ table
    return totals


def _packed(table: FloatArray) -> list[tuple[npt.NDArray[np.int64], list[tuple[int, int]]]]:
    """Columns side by side in 64-bit numbers, so that one look-up sums several.

    Returns:
        The numbers [k], and which column lies in how many bits, lowest first. A sum of k drawn
        rows cannot spill over: its largest possible value fits into the bits of its column.
    """
    packs: list[tuple[npt.NDArray[np.int64], list[tuple[int, int]]]] = []
    free = 0
    for index, column in enumerate(table.T.astype(np.int64)):
        bits = max(1, int(len(column) * int(column.max(initial=0))).bit_length())
        if bits > free:
            packs.append((np.zeros(len(column), dtype=np.int64), []))
            free = _PACKED_BITS
        numbers, places = packs[-1]
        numbers += column << (_PACKED_BITS - free)
        places.append((index, bits))
        free -= bits
    return packs


def interval_of(found: Statistic, confidence: float, units: float, *, signed: bool) -> Interval:
    """The BCa interval; Clopper and Pearson's where nothing was seen in any draw.

    Args:
        units: words that the bound for nothing seen rests on.
        signed: whether the statistic can be negative.
    """
    value, count = found.value, len(found.jackknife)
    if count == 1:
        return Interval(value, value, value, confidence, 1, 0)
    observed = found.resampled[~np.isnan(found.resampled)]
    if value == 0.0 and not observed.any():
        bound = 1.0 - ((1.0 - confidence) / 2.0) ** (1.0 / units)
        return Interval(value, -bound if signed else 0.0, bound, confidence, count, 0)
    low, high = np.quantile(observed, bca_levels(found, confidence))
    return Interval(value, float(low), float(high), confidence, count, len(found.resampled))


def bca_levels(found: Statistic, confidence: float) -> tuple[float, float]:
    """The two quantiles of the resamples that make a BCa interval (Efron 1987, equation 3.8)."""
    bias, acceleration = _bca_terms(found)
    tail = (1.0 - confidence) / 2.0
    scores = (bias + _NORMAL.inv_cdf(tail), bias + _NORMAL.inv_cdf(1.0 - tail))
    low, high = (_NORMAL.cdf(bias + score / (1.0 - acceleration * score)) for score in scores)
    return low, high


def _bca_terms(found: Statistic) -> tuple[float, float]:
    """Bias correction and acceleration."""
    observed = found.resampled[~np.isnan(found.resampled)]
    below = np.count_nonzero(observed < found.value) + np.count_nonzero(observed <= found.value)
    # Kept off 0 and 1, where the correction would be infinite.
    edge = 1.0 / (2.0 * len(observed) + 2.0)
    bias = _NORMAL.inv_cdf(min(max(below / (2.0 * len(observed)), edge), 1.0 - edge))
    influence = np.nanmean(found.jackknife) - found.jackknife[~np.isnan(found.jackknife)]
    spread = np.sum(influence**2) ** 1.5
    acceleration = np.sum(influence**3) / (6.0 * spread) if spread > 0 else 0.0
    return bias, float(acceleration)


def check(confidence: float, resamples: int) -> None:
    """Raise ValueError for a confidence or a number of resamples that makes no sense."""
    if not 0.0 < confidence < 1.0:
        raise ValueError(f"confidence is {confidence}; it must be between 0 and 1.")
    if resamples < 1:
        raise ValueError(f"resamples is {resamples}; it must be at least 1.")


def bca_p_value(found: Statistic) -> float:
    """Two-sided p-value of "it is zero", the largest level at which the BCa interval holds zero.

    Solves Efron's equation 3.8 for the tail whose bound is zero. No smaller than two in resamples
    plus two: so many draws can show no more.
    """
    observed = found.resampled[~np.isnan(found.resampled)]
    if len(found.jackknife) == 1 or not observed.any():
        return 1.0
    least = 2.0 / (len(observed) + 2.0)
    bias, acceleration = _bca_terms(found)
    below = np.count_nonzero(observed < 0.0) + np.count_nonzero(observed <= 0.0)
    edge = 1.0 / (2.0 * len(observed) + 2.0)
    score = _NORMAL.inv_cdf(min(max(below / (2.0 * len(observed)), edge), 1.0 - edge)) - bias
    if 1.0 + acceleration * score <= 0.0:
        return least
    tail = _NORMAL.cdf(score / (1.0 + acceleration * score) - bias)
    return max(least, min(1.0, 2.0 * min(tail, 1.0 - tail)))
