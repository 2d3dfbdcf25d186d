"""Plots that are kept beside the artifacts that they show."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any


def write_loss_curve(
    path: Path, training: Sequence[Mapping[str, Any]], dev: Sequence[Mapping[str, Any]]
) -> None:
    """Draw training loss by step, with dev word error rates on a second axis, as PNG.

    Args:
        training: points with "step" and "loss".
        dev: points with "step" and "word_error_rate" (fraction).
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 2.8), layout="constrained")
    axis = figure.add_subplot()
    axis.plot([p["step"] for p in training], [p["loss"] for p in training], color="#1f5faa")
    axis.set_xlabel("step")
    axis.set_ylabel("training loss", color="#1f5faa")
    axis.set_ylim(bottom=0)
    if dev:
        right = axis.twinx()
        rates = [100 * p["word_error_rate"] for p in dev]
        right.plot([p["step"] for p in dev], rates, "o-", color="#c2571a")
        right.set_ylabel("dev word error rate, %", color="#c2571a")
        right.set_ylim(bottom=0)
    figure.savefig(path, format="png", dpi=110)
