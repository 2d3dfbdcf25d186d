"""Intervals of statistics that are no ratio of sums, such as an area under a curve.

Whole clusters are drawn with replacement (Field and Welsh 2007, "Bootstrapping clustered data") and
the interval is the percentiles of the statistic over the draws (Efron 1979). Word error rates and
their differences have narrower needs and the better intervals of `evaluation.significance`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from evaluation.resampling import FloatArray as FloatArray
from evaluation.resampling import Interval

DRAWS_AT_ONCE = 1 << 22
"""Numbers that are held at once; bounds the memory of many draws."""

Counted = Callable[[FloatArray], FloatArray]
"""How often each cluster was drawn, [draws, clusters], to a statistic of each draw, [draws]."""


def percentile_intervals(
    statistics: Mapping[str, Counted], count: int, confidence: float, resamples: int, seed: int
) -> dict[str, Interval]:
    """Intervals of several statistics from the same draws of clusters.

    An interval's `resamples` are the draws that have the statistic; without any its ends are its
    value.

    Args:
        statistics: by name.
        count: clusters; a single one says nothing of how they vary, and gives no interval.
        confidence: coverage, between 0 and 1.
        resamples: draws, at least one.
        seed: of the draws; the same arguments give the same intervals.

    Raises:
        ValueError: confidence or resamples are out of range.
    """
    if not 0.0 < confidence < 1.0 or resamples < 1 or count < 1:
        raise ValueError(
            f"confidence is {confidence}, resamples is {resamples}, clusters are {count}; needed "
            "are a confidence between 0 and 1, and at least one of the others."
        )
    values = {name: float(one(np.ones((1, count)))[0]) for name, one in statistics.items()}
    if count == 1:
        return {name: Interval(v, v, v, confidence, 1, 0) for name, v in values.items()}
    generator, step = np.random.default_rng(seed), max(1, DRAWS_AT_ONCE // count)
    found: dict[str, list[FloatArray]] = {name: [] for name in statistics}
    for done in range(0, resamples, step):
        draws = min(step, resamples - done)
        drawn = generator.integers(0, count, (draws, count)) + count * np.arange(draws)[:, None]
        counts = np.bincount(drawn.ravel(), minlength=draws * count).reshape(draws, count)
        for name, statistic in statistics.items():
            found[name].append(statistic(counts.astype(np.float64)))
    tail = (1.0 - confidence) / 2.0
    intervals = {}
    for name, value in values.items():
        # A draw without an error, or without anything right, has no such statistic.
        drawn_values = np.concatenate(found[name])
        known = drawn_values[~np.isnan(drawn_values)]
        low, high = np.quantile(known, [tail, 1.0 - tail]) if len(known) else (value, value)
        intervals[name] = Interval(value, float(low), float(high), confidence, count, len(known))
    return intervals
