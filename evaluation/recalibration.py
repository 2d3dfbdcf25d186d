"""What a calibrator changed: the same units before and after it.

The expected calibration error has intervals over draws of whole texts here. An error that is a mean
of distances grows when units are drawn, so that an interval lies rather too high; the interval of
the difference of two, from the same draws, is hardly touched by that. The log loss is a proper
score (Gneiting and Raftery 2007): it gets better only where the probabilities do.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from evaluation.calibration import Calibration, ece_statistic, measure_calibration
from evaluation.calibrator import Calibrator, Kind
from evaluation.cluster_draws import Counted, FloatArray, percentile_intervals
from evaluation.clustered import Clustered, log_loss
from evaluation.confidence import Judged
from evaluation.significance import Interval


@dataclass(frozen=True, slots=True)
class Recalibration:
    """Confidences before and after a calibrator that was fitted elsewhere.

    Attributes:
        kind: of the calibrator.
        after: of the calibrated confidences; without areas, since no order is turned around.
        ece: expected calibration error (equal width) before, after, and the change.
        log_loss: mean log loss likewise; changes below 0 are improvements.
    """

    kind: Kind
    after: Calibration
    ece: Mapping[str, Interval]
    log_loss: Mapping[str, Interval]


def recalibrate(
    of: Judged,
    calibrator: Calibrator,
    *,
    bins: int = 15,
    confidence: float,
    resamples: int,
    seed: int,
) -> Recalibration:
    """Judge a calibrator on units that it was not fitted on.

    Args:
        of: judged with the confidences as the model gave them.
        bins, confidence, resamples, seed: as in `evaluation.calibration.measure_calibration`.

    Raises:
        ValueError: as `measure_calibration`.
    """
    after = Judged(calibrator.apply(of.confidence), of.correct, of.clusters, of.left_out)
    drawn: Any = {"confidence": confidence, "resamples": resamples, "seed": seed}
    clustered = Clustered(of)
    both = {"before": of, "after": after}
    losses = {name: log_loss(one.confidence, one.correct) for name, one in both.items()}
    errors = {name: ece_statistic(one, bins) for name, one in both.items()}
    found = percentile_intervals(
        {
            **{f"ece {name}": statistic for name, statistic in errors.items()},
            "ece change": _difference(errors["after"], errors["before"]),
            **{f"loss {name}": clustered.mean(values) for name, values in losses.items()},
            "loss change": clustered.mean(losses["after"] - losses["before"]),
        },
        clustered.count,
        **drawn,
    )
    names = (*both, "change")
    return Recalibration(
        kind=calibrator.kind,
        after=measure_calibration(after, calibrator.level, bins=bins, areas=False, **drawn),
        ece={name: found[f"ece {name}"] for name in names},
        log_loss={name: found[f"loss {name}"] for name in names},
    )


def _difference(one: Counted, other: Counted) -> Counted:
    def statistic(counts: FloatArray) -> FloatArray:
        return one(counts) - other(counts)

    return statistic
