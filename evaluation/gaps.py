"""The worst slice and the largest gap, when both are looked for in noisy figures.

The largest of many estimates is larger than the largest of the true values, and the slice that
looks worst need not be. So nothing here is the interval of a pair that was chosen beforehand: all
pairs of slices get intervals that hold together with the confidence stated, and what is said of the
largest follows from all of them. The true largest gap lies between the largest of their lower ends
and the largest of their upper ends; a slice could be the worst unless another is surely worse.

Source: bootstrap of the largest of studentised differences, as Romano and Wolf 2005, "Exact and
approximate stepdown methods for multiple hypothesis testing"; the set of what could be worst is
that of multiple comparisons with the best (Hsu 1981).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from evaluation.resampling import FloatArray, resampled_sums
from evaluation.units import IntArray, Units

RESAMPLES = 2000
"""Draws behind a largest gap at most: the level of its interval is then sure to half a percent."""

_NUMBERS_AT_ONCE = 1 << 22
_LEAST_SPREAD = 0.5
"""Of the data's variance: less than that is chance of a resample that drew like units. Without this
floor slices of 8 to 12 speakers get intervals that hold nearly always, at 1.0 some that hold 90%;
simulation (docs/significance.md) has between 95 and 97% at a half."""


@dataclass(frozen=True, slots=True)
class Largest:
    """The largest of several figures, or of the gaps between them. Fractions of words.

    Attributes:
        highest: the slice whose figure is highest: the worst word error rate, or the most that was
            lost against a baseline.
        lowest: the slice that it is furthest from; "" where figures are compared with zero.
        value: the gap between the two, or the highest figure, as estimated: tends to be too large.
        low: lower end for the true largest one, wherever it is.
        high: upper end.
        confidence: that all slices' intervals hold together.
        p_value: of "there is no gap at all"; of a loss, of "no slice lost anything".
        could_be_highest: slices that cannot be excluded from being the highest, `highest` first.
        share: of resamples in which `highest` was the highest.
        slices: how many were compared.
        resamples: draws.
        claim: what was drawn, and what that claims.
    """

    highest: str
    lowest: str
    value: float
    low: float
    high: float
    confidence: float
    p_value: float
    could_be_highest: tuple[str, ...]
    share: float
    slices: int
    resamples: int
    claim: str


@dataclass(frozen=True, slots=True, eq=False)
class SliceSums:
    """Sums over each slice: of the data, of resamples, and their spread. One figure a slice.

    Attributes:
        values: [s] pooled figures.
        resampled: [r, s] figures of each resample; NaN where it drew no words of a slice.
        variances: [r, s] of those figures, each from its own resample.
        covariance: [s, s] of the values over what is drawn.
        spread: [s, s] the same, widened where speakers share texts.
    """

    values: FloatArray
    resampled: FloatArray
    variances: FloatArray
    covariance: FloatArray
    spread: FloatArray


def slice_sums(
    columns: Sequence[tuple[npt.ArrayLike, npt.ArrayLike, IntArray, int]],
    units: Units, *, resamples: int, seed: int,
) -> list[SliceSums]:  # fmt: skip
    """Figures of several ways to cut, all from the same resamples.

    Args:
        columns: of each way to cut: [n] what is above the line (errors, or errors of one model less
            those of the other), [n] words, [n] number of each utterance's slice or -1 for none, and
            how many slices there are. Every slice has words.
        units: what is drawn.
        resamples: draws.
        seed: of the draws.
    """
    tables = [
        np.concatenate(
            [_sums(one, labels, units.labels, units.count, count) for one in (above, words)], axis=1
        )
        for above, words, labels, count in columns
    ]
    drawn = resampled_sums(
        np.concatenate([_moments(one) for one in tables], axis=1), resamples, seed
    )
    found, start = [], 0
    for (above, words, labels, count), table in zip(columns, tables, strict=True):
        part = drawn[:, start : start + 5 * count].reshape(resamples, 5, count)
        start += 5 * count
        covariance = _covariance(table, count)
        spread = covariance
        if units.crossed is not None:
            texts = units.crossed
            cells = units.labels * (int(texts.max()) + 1) + texts
            others = [
                _covariance(
                    np.concatenate(
                        [_sums(one, labels, which, 0, count) for one in (above, words)], axis=1
                    ),
                    count,
                )
                for which in (texts, np.unique(cells, return_inverse=True)[1])
            ]
            spread = covariance + others[0] - others[1]
        totals = table.sum(axis=0)
        found.append(
            SliceSums(
                totals[:count] / totals[count:],
                *_resampled_figures(part, units.count),
                covariance,
                spread,
            )
        )
    return found


def largest_gap(
    sums: SliceSums, names: Sequence[str], units: Units, *, confidence: float
) -> Largest:
    """The worst slice and how far it is from the best one.

    Args:
        sums: of two slices at least.
        names: [s] of the slices.

    Raises:
        ValueError: fewer than two slices.
    """
    count = len(names)
    if count < 2:
        raise ValueError("A gap needs at least two slices.")
    high, low = (index.astype(np.int64) for index in np.triu_indices(count, 1))
    values = sums.values[high] - sums.values[low]
    drawn, wide = (_pair_errors(one, high, low) for one in (sums.covariance, sums.spread))
    largest, _ = _scores(sums, high, low, drawn)
    width = float(np.quantile(largest, confidence))
    half = width * np.maximum(drawn, wide)
    worst, best = int(np.argmax(sums.values)), int(np.argmin(sums.values))
    # A slice is surely not the worst where another lies above it by more than the interval.
    beaten = np.zeros(count, dtype=np.bool_)
    beaten[low[values - half > 0.0]] = True
    beaten[high[values + half < 0.0]] = True
    return _largest(
        sums, names, units, worst, names[best],
        low=float(np.max(np.abs(values) - half)), high=float(np.max(np.abs(values) + half)),
        observed=_observed(np.abs(values), np.maximum(drawn, wide)), largest=largest, beaten=beaten,
        value=float(sums.values[worst] - sums.values[best]), confidence=confidence,
    )  # fmt: skip


def largest_loss(
    sums: SliceSums, names: Sequence[str], units: Units, *, confidence: float
) -> Largest:
    """The slice that lost most against the baseline; `low` above zero says that one surely lost.

    Args:
        sums: of differences, candidate less baseline.
        names: [s] of the slices.
    """
    every = np.arange(len(names), dtype=np.int64)
    drawn, wide = (np.sqrt(np.maximum(np.diag(x), 0.0)) for x in (sums.covariance, sums.spread))
    largest, upward = _scores(sums, every, None, drawn)
    width = float(np.quantile(largest, confidence))
    half = width * np.maximum(drawn, wide)
    worst = int(np.argmax(sums.values))
    beaten = sums.values + half < np.max(sums.values - half)
    return _largest(
        sums, names, units, worst, "",
        low=float(np.max(sums.values - half)), high=float(np.max(sums.values + half)),
        observed=_observed(sums.values, np.maximum(drawn, wide)), largest=upward, beaten=beaten,
        value=float(sums.values[worst]), confidence=confidence,
    )  # fmt: skip


def _largest(
    sums: SliceSums, names: Sequence[str], units: Units, highest: int, lowest: str,
    *, low: float, high: float, observed: float, largest: FloatArray,
    beaten: npt.NDArray[np.bool_], value: float, confidence: float,
) -> Largest:  # fmt: skip
    drawn = np.where(np.isnan(sums.resampled), -np.inf, sums.resampled)
    others = [name for index, name in enumerate(names) if not beaten[index] and index != highest]
    return Largest(
        highest=names[highest],
        lowest=lowest,
        value=value,
        low=max(0.0, low) if lowest else low,
        high=high,
        confidence=confidence,
        p_value=(1 + int(np.count_nonzero(largest >= observed))) / (1 + len(largest)),
        could_be_highest=(names[highest], *others),
        share=float(np.mean(np.argmax(drawn, axis=1) == highest)),
        slices=len(names),
        resamples=len(sums.resampled),
        claim=units.claim,
    )


def _scores(
    sums: SliceSums, one: IntArray, other: IntArray | None, errors: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """The largest score of each resample, either way and upward, in standard errors, [r].

    Each resample is measured in its own standard errors, since slices may have few speakers; the
    covariance of two slices is the data's.
    """
    away = sums.resampled - sums.values
    known = errors > 0.0
    one, scale = one[known], errors[known]
    other = None if other is None else other[known]
    shared = 0.0 if other is None else 2.0 * sums.covariance[one, other]
    largest, upward = np.zeros(len(away)), np.full(len(away), -np.inf)
    step = max(1, _NUMBERS_AT_ONCE // max(1, len(one)))
    for start in range(0, len(away) if len(one) else 0, step):
        part, own = away[start : start + step], sums.variances[start : start + step]
        if other is None:
            moved, spread = part[:, one], own[:, one]
        else:
            moved = part[:, one] - part[:, other]
            spread = own[:, one] + own[:, other] - shared
        scores = moved / np.sqrt(np.maximum(spread, _LEAST_SPREAD * scale**2))
        largest[start : start + step] = np.nanmax(np.abs(scores), axis=1, initial=0.0)
        upward[start : start + step] = np.nanmax(scores, axis=1, initial=-np.inf)
    return largest, upward


def _observed(values: FloatArray, errors: FloatArray) -> float:
    known = errors > 0.0
    return float(np.max(values[known] / errors[known], initial=-np.inf))


def _pair_errors(covariance: FloatArray, one: IntArray, other: IntArray) -> FloatArray:
    variances = np.diag(covariance)
    spread = variances[one] + variances[other] - 2.0 * covariance[one, other]
    return np.sqrt(np.maximum(spread, 0.0))


def _moments(table: FloatArray) -> FloatArray:
    """Per unit and slice: what is above the line, words, and their products, [k, 5 s]."""
    above, words = np.split(table, 2, axis=1)
    return np.concatenate([table, above**2, above * words, words**2], axis=1)


def _resampled_figures(sums: FloatArray, units: int) -> tuple[FloatArray, FloatArray]:
    """Figures of resamples and their variances, linearised, from sums of `_moments` [r, 5, s]."""
    above, words, squares, products, word_squares = sums.transpose(1, 0, 2)
    with np.errstate(divide="ignore", invalid="ignore"):
        figures = above / words
        spread = squares - 2.0 * figures * products + figures**2 * word_squares
        variances = np.maximum(spread, 0.0) / words**2 * units / max(1, units - 1)
    return figures, variances


def _sums(
    values: npt.ArrayLike, labels: IntArray, units: IntArray, count: int, slices: int
) -> FloatArray:
    """Sums per unit and slice, [count, slices]."""
    count = count or int(units.max()) + 1
    inside = labels >= 0
    places = units[inside] * slices + labels[inside]
    weights = np.asarray(values, dtype=np.float64)[inside]
    sums = np.bincount(places, weights=weights, minlength=count * slices)
    return sums.reshape(count, slices).astype(np.float64)


def _covariance(table: FloatArray, count: int) -> FloatArray:
    """Of the slices' ratios over units, [s, s], linearised (Cochran 1977, chapter 6)."""
    above, words = table[:, :count], table[:, count:]
    total = words.sum(axis=0)
    influence = (above - words * (above.sum(axis=0) / total)) / total
    units = max(2, len(table))
    covariance: FloatArray = influence.T @ influence * units / (units - 1)
    return covariance
