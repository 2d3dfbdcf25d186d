"""Quantiles of durations, and how sure they are.

Of durations that were drawn independently, such as repeated calls, the interval goes from one order
statistic to another, whatever their distribution: the number of durations below the quantile is
binomial (David and Nagaraja 2003, "Order Statistics", 7.1; Hahn and Meeker 1991, "Statistical
Intervals", 5.2). It holds at least what it promises; where there are too few durations for that,
which for the 99th percentile at 95% are fewer than 368, its upper end is not known.

Of durations that come in clusters, such as the words of one utterance, whole clusters are drawn.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from evaluation.cluster_draws import Counted, percentile_intervals
from evaluation.resampling import FloatArray, Interval


@dataclass(frozen=True, slots=True)
class Quantile:
    """A quantile in seconds.

    Attributes:
        value: the least duration that at least that share does not pass (Hyndman and Fan 1996, type
            1), so that it lies in its interval however few there are.
        low: lower end of the interval; None where too few durations lie below.
        high: upper end; None where too few durations lie above.
        confidence: least coverage of the interval.
        count: durations that it rests on.
    """

    value: float
    low: float | None
    high: float | None
    confidence: float
    count: int


@dataclass(frozen=True, slots=True)
class Quantiles:
    """Median, tail and mean of durations that come in clusters, with intervals.

    Attributes:
        count: durations.
    """

    p50: Interval
    p95: Interval
    p99: Interval
    mean: Interval
    count: int


def quantile(seconds: Sequence[float], share: float, confidence: float = 0.95) -> Quantile:
    """A quantile of independent durations.

    Args:
        seconds: at least one.
        share: such as 0.95, between 0 and 1.
        confidence: least coverage, between 0 and 1.

    Raises:
        ValueError: no durations, one that is no number, or shares out of range.
    """
    from scipy.stats import binom

    if not 0.0 < share < 1.0 or not 0.0 < confidence < 1.0:
        raise ValueError(f"share is {share}, confidence is {confidence}; both lie in 0 to 1.")
    ordered = np.sort(_finite(seconds))
    count, tail = len(ordered), (1.0 - confidence) / 2.0
    # The largest rank l with P(fewer than l lie below the quantile) <= tail, and its mirror.
    below = int(binom.ppf(tail, count, share))
    if binom.cdf(below, count, share) <= tail:
        below += 1
    above = int(binom.ppf(1.0 - tail, count, share)) + 1
    return Quantile(
        value=float(np.quantile(ordered, share, method="inverted_cdf")),
        low=float(ordered[below - 1]) if below >= 1 else None,
        high=float(ordered[above - 1]) if above <= count else None,
        confidence=confidence,
        count=count,
    )


def clustered_quantiles(
    seconds: Sequence[float],
    clusters: Sequence[int],
    *,
    confidence: float,
    resamples: int,
    seed: int,
) -> Quantiles:
    """Quantiles of durations of which those with the same label come together.

    Values are as `quantile`'s, so that a draw has those of its durations written down.

    Args:
        seconds: [n], at least one.
        clusters: [n] integer label.
        confidence: coverage of the intervals.
        resamples: draws of clusters.
        seed: of the draws.

    Raises:
        ValueError: no durations, one that is no number, lengths that differ, or as
            `percentile_intervals`.
    """
    values = _finite(seconds)
    if len(values) != len(clusters):
        raise ValueError(f"There are {len(values)} durations and {len(clusters)} labels.")
    order = np.argsort(values, kind="stable")
    ordered = values[order]
    labels, cluster = np.unique(np.asarray(clusters)[order], return_inverse=True)

    def at(share: float) -> Counted:
        def statistic(counts: FloatArray) -> FloatArray:
            found = []
            for row in counts:
                passed = np.cumsum(row[cluster])
                found.append(ordered[np.searchsorted(passed, share * passed[-1] * (1 - 1e-12))])
            return np.asarray(found)

        return statistic

    def mean(counts: FloatArray) -> FloatArray:
        sums = np.bincount(cluster, weights=ordered)
        return np.asarray(counts @ sums / (counts @ np.bincount(cluster)))

    found = percentile_intervals(
        {"p50": at(0.5), "p95": at(0.95), "p99": at(0.99), "mean": mean},
        len(labels),
        confidence,
        resamples,
        seed,
    )
    return Quantiles(**found, count=len(values))


def _finite(seconds: Sequence[float]) -> FloatArray:
    values = np.asarray(seconds, dtype=np.float64)
    if not values.size or not all(map(math.isfinite, values)):
        raise ValueError("There are no durations, or one of them is no number.")
    return values
