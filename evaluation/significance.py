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
from dataclasses import dataclass

import numpy as np

from evaluation.resampling import (
    FloatArray,
    Integers,
    Interval,
    Statistic,
    bca_levels,
    bca_p_value,
    by_cluster,
    check,
    draw,
    interval_of,
    ratio,
)

__all__ = ["Integers", "Interval", "PairedBootstrap", "bootstrap_rate", "paired_bootstrap"]


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
        two_sided: p-value of "there is no difference"; belongs to the difference's interval.
    """

    a: Interval
    b: Interval
    difference: Interval
    reduction: Interval | None
    p_value: float
    two_sided: float


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
    check(confidence, resamples)
    table, units = by_cluster(clusters, errors, words)
    draws = draw(table, resamples, seed)
    return interval_of(draws.apply(_rate), confidence, units, signed=False)


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
    check(confidence, resamples)
    table, units = by_cluster(clusters, errors_a, errors_b, words)
    draws = draw(table, resamples, seed)
    difference = draws.apply(_difference)
    known = difference.resampled[~np.isnan(difference.resampled)]
    return PairedBootstrap(
        a=interval_of(draws.apply(_rate), confidence, units, signed=False),
        b=interval_of(draws.apply(_other_rate), confidence, units, signed=False),
        difference=interval_of(difference, confidence, units, signed=True),
        reduction=_reduction_interval(draws.apply(_reduction), confidence)
        if draws.whole[0, 1]
        else None,
        p_value=(1 + int(np.count_nonzero(known >= 0.0))) / (1 + len(known)),
        two_sided=bca_p_value(difference),
    )


def _rate(totals: FloatArray) -> FloatArray:
    """Errors over words, [n]; NaN in the rare resample that drew only clusters without words."""
    return ratio(totals[:, 0], totals[:, -1])


def _other_rate(totals: FloatArray) -> FloatArray:
    return ratio(totals[:, 1], totals[:, -1])


def _difference(totals: FloatArray) -> FloatArray:
    return ratio(totals[:, 0] - totals[:, 1], totals[:, -1])


def _reduction(totals: FloatArray) -> FloatArray:
    """Share of b's errors that a avoids; without errors of b nothing can be avoided: -inf or 0."""
    errors_a, errors_b = totals[:, 0], totals[:, 1]
    shares = np.where(errors_a > 0, -np.inf, 0.0)
    np.divide(errors_b - errors_a, errors_b, out=shares, where=errors_b > 0)
    return shares


def _reduction_interval(found: Statistic, confidence: float) -> Interval | None:
    value, count = found.value, len(found.jackknife)
    if count == 1 or not np.isfinite([value, *found.jackknife]).all():
        return None
    if (found.resampled == value).all():
        return Interval(value, value, value, confidence, count, 0)
    levels = bca_levels(found, confidence)
    low, high = np.quantile(found.resampled, levels, method="nearest")
    if not (math.isfinite(low) and math.isfinite(high)):
        return None
    return Interval(value, float(low), float(high), confidence, count, len(found.resampled))
