"""Whether confidences mean what they say: how often a model is right when it says 90%.

All are functions of `evaluation.confidence.Judged`. What each is, and where it comes from:

- Reliability curve: mean confidence against accuracy, bin by bin (Murphy and Winkler 1977).
- Expected calibration error (ECE): the mean distance of the two, bins weighted by their units.
  Bins of equal width as in Guo et al. 2017, "On Calibration of Modern Neural Networks", or of
  equal mass as in Nguyen and O'Connor 2015, "Posterior calibration and exploratory analysis for
  natural language processing models". ECE is never 0, even of a calibrated model: what it would be
  by chance is drawn beside it (consistency resampling: Bröcker and Smith 2007).
- Gap: mean confidence minus accuracy, above 0 where the model is too sure of itself.
- Brier score: mean squared distance of confidence and outcome (Brier 1950).
- Normalised cross entropy (NCE) of NIST's evaluations: the share of the outcomes' entropy that the
  confidences explain; 1 at best, 0 for saying the accuracy every time, below 0 for worse than that
  (Siu and Gish 1999; the measure that sclite prints).
- AUROC and AUPRC of finding errors by low confidence: the probability that an error gets a lower
  confidence than what is right, and average precision, whose chance level is the share of errors.

Intervals draw whole clusters (Field and Welsh 2007) and are the percentiles of the draws. Of 95%
intervals from 60 to 200 simulated texts, 91 to 95% held the truth; with fewer texts they are too
narrow.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

from evaluation.cluster_draws import DRAWS_AT_ONCE, Counted, FloatArray, percentile_intervals
from evaluation.clustered import Clustered
from evaluation.confidence import BoolArray, IntArray, Judged, Level
from evaluation.significance import Interval

Binning = Literal["equal-width", "equal-mass"]

_CHANCE_DRAWS = 200


@dataclass(frozen=True, slots=True)
class Bin:
    """Units of similar confidence.

    Attributes:
        low: confidences above this (the first bin: from this on).
        high: up to and with this.
        units: how many; bins without any are left out.
        confidence: their mean confidence.
        accuracy: share that is right.
        accuracy_low: lower end of Wilson's interval (1927), which takes units as independent.
        accuracy_high: upper end.
    """

    low: float
    high: float
    units: int
    confidence: float
    accuracy: float
    accuracy_low: float
    accuracy_high: float


@dataclass(frozen=True, slots=True)
class Calibration:
    """Everything about the confidences of one model on one set.

    Attributes:
        units: utterances or words that were judged.
        errors: how many of them were wrong.
        clusters: independent texts that they come from.
        left_out: utterances that could not be judged, by reason.
        accuracy: share that is right; `mean_confidence` minus it is `gap`.
        ece: of equal-width bins, 0..1.
        ece_equal_mass: of equal-mass bins.
        ece_by_chance: mean ECE (equal width) of a calibrated model with the same confidences, and
            what 95% of its draws stay below: an ECE under it is no sign of miscalibration.
        nce: None where all or none are right: there is no entropy to explain.
        auroc: None likewise, and where areas were not asked for.
        auprc: None likewise.
        curve: equal-mass bins, from low confidence to high.
    """

    level: Level
    units: int
    errors: int
    clusters: int
    left_out: tuple[tuple[str, int], ...]
    accuracy: float
    mean_confidence: float
    gap: Interval
    ece: float
    ece_equal_mass: float
    ece_by_chance: tuple[float, float]
    brier: Interval
    nce: Interval | None
    auroc: Interval | None
    auprc: Interval | None
    curve: tuple[Bin, ...]

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def measure_calibration(
    of: Judged,
    level: Level,
    *,
    bins: int = 15,
    confidence: float,
    resamples: int,
    seed: int,
    areas: bool = True,
) -> Calibration:
    """Every measure of the module.

    Args:
        of: judged utterances or words; at least one.
        bins: of ECE and curve; 15 as in Guo et al. 2017.
        confidence: coverage of the intervals.
        resamples: draws of clusters behind each.
        seed: of the draws.
        areas: measure AUROC and AUPRC, which take most of the time, too.

    Raises:
        ValueError: nothing was judged, or bins, confidence or resamples are out of range.
    """
    _check(of, bins)
    clustered = Clustered(of)
    statistics: dict[str, Counted] = {
        "gap": clustered.mean(of.confidence - of.correct),
        "brier": clustered.mean((of.confidence - of.correct) ** 2),
    }
    if 0 < of.errors < len(of):
        statistics |= {"nce": clustered.nce}
        statistics |= {"auroc": clustered.auroc, "auprc": clustered.auprc} if areas else {}
    found = percentile_intervals(statistics, clustered.count, confidence, resamples, seed)
    return Calibration(
        level=level,
        units=len(of),
        errors=of.errors,
        clusters=clustered.count,
        left_out=of.left_out,
        accuracy=float(of.correct.mean()),
        mean_confidence=float(of.confidence.mean()),
        gap=found["gap"],
        ece=expected_calibration_error(of, bins, "equal-width"),
        ece_equal_mass=expected_calibration_error(of, bins, "equal-mass"),
        ece_by_chance=error_by_chance(of, bins, "equal-width", seed),
        brier=found["brier"],
        nce=found.get("nce"),
        auroc=found.get("auroc"),
        auprc=found.get("auprc"),
        curve=reliability_curve(of, bins, "equal-mass"),
    )


def reliability_curve(of: Judged, bins: int, binning: Binning) -> tuple[Bin, ...]:
    """The bins that hold units, from low confidence to high.

    Equal-width bins are `bins` parts of 0..1. Equal-mass bins hold about as many units each; equal
    confidences are never parted, so that there may be fewer bins.

    Raises:
        ValueError: nothing was judged, or fewer than one bin.
    """
    from scipy.stats import binomtest

    _check(of, bins)
    edges, places = _bins(of.confidence, bins, binning)
    found = []
    for place in np.unique(places):
        inside = places == place
        units, right = int(inside.sum()), int(of.correct[inside].sum())
        wilson = binomtest(right, units).proportion_ci(0.95, method="wilson")
        found.append(
            Bin(
                low=float(edges[place]),
                high=float(edges[place + 1]),
                units=units,
                confidence=float(of.confidence[inside].mean()),
                accuracy=right / units,
                accuracy_low=float(wilson.low),
                accuracy_high=float(wilson.high),
            )
        )
    return tuple(found)


def expected_calibration_error(of: Judged, bins: int, binning: Binning) -> float:
    """ECE, 0..1, over the bins of `reliability_curve`.

    Raises:
        ValueError: as `reliability_curve`.
    """
    _check(of, bins)
    _, places = _bins(of.confidence, bins, binning)
    return float(_ece(of.confidence, of.correct[None, :], places)[0])


def ece_statistic(of: Judged, bins: int) -> Counted:
    """ECE of draws of clusters, over bins of equal width.

    Raises:
        ValueError: as `reliability_curve`.
    """
    _check(of, bins)
    _, places = _bins(of.confidence, bins, "equal-width")
    labels, cluster = np.unique(of.clusters, return_inverse=True)
    shape = len(labels), int(places.max()) + 1
    gaps, units = np.zeros(shape), np.bincount(cluster, minlength=shape[0])
    np.add.at(gaps, (cluster, places), of.confidence - of.correct)
    return lambda counts: np.abs(counts @ gaps).sum(axis=1) / (counts @ units)


def error_by_chance(of: Judged, bins: int, binning: Binning, seed: int) -> tuple[float, float]:
    """ECE of a calibrated model with these confidences: its mean and 95th percentile.

    Each unit is right with the probability of its confidence, independently of the others; words of
    one utterance go wrong together, so that the percentile is rather too low than too high.

    Raises:
        ValueError: as `reliability_curve`.
    """
    _check(of, bins)
    _, places = _bins(of.confidence, bins, binning)
    generator = np.random.default_rng(seed)
    step = max(1, DRAWS_AT_ONCE // len(of))
    found = np.concatenate(
        [
            _ece(
                of.confidence,
                generator.random((min(step, _CHANCE_DRAWS - done), len(of))) < of.confidence,
                places,
            )
            for done in range(0, _CHANCE_DRAWS, step)
        ]
    )
    return float(found.mean()), float(np.quantile(found, 0.95))


def _bins(confidence: FloatArray, bins: int, binning: Binning) -> tuple[FloatArray, IntArray]:
    """Edges [bins + 1] and the bin of each unit [n]; a bin holds its upper edge."""
    if binning == "equal-width":
        edges = np.linspace(0.0, 1.0, bins + 1)
    else:
        inner = np.quantile(confidence, np.linspace(0.0, 1.0, bins + 1)[1:-1], method="lower")
        edges = np.unique(np.concatenate([[0.0], inner, [1.0]]))
    places = np.searchsorted(edges, confidence, side="left") - 1
    return edges, np.clip(places, 0, len(edges) - 2).astype(np.int64)


def _ece(confidence: FloatArray, correct: BoolArray, places: IntArray) -> FloatArray:
    """ECE of several outcomes [draws, n] of the same confidences [n]."""
    order = np.argsort(places, kind="stable")
    starts = np.flatnonzero(np.diff(places[order], prepend=-1))
    gaps = np.add.reduceat((correct - confidence)[:, order], starts, axis=1)
    found: FloatArray = np.abs(gaps).sum(axis=1) / len(confidence)
    return found


def _check(of: Judged, bins: int) -> None:
    if not len(of):
        raise ValueError("Nothing was judged, so there is no calibration to measure.")
    if bins < 1:
        raise ValueError(f"bins is {bins}; it must be at least 1.")
