"""Plots that are kept beside the artifacts that they show."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from data.features import FRAMES_PER_SECOND, SAMPLE_RATE, WINDOW, Floats, mel_filters

_HERTZ = (500, 1000, 2000, 4000, 8000)
"""Marks on the axis of a spectrogram."""


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


def write_spectrograms(path: Path, before: Floats, after: Floats) -> None:
    """Draw two log-mel spectrograms above each other on one scale of time and level, as PNG.

    Args:
        before, after: from `data.features.log_mel`, shape [n_mels, frames].
    """
    from matplotlib.figure import Figure

    bands = len(before)
    centres = mel_filters(bands).argmax(axis=1) * SAMPLE_RATE / WINDOW
    marks = [int(np.abs(centres - hertz).argmin()) for hertz in _HERTZ]
    seconds = max(before.shape[1], after.shape[1]) / FRAMES_PER_SECOND
    top = max(before.max(), after.max())
    figure = Figure(figsize=(6.4, 3.3))
    axes = figure.subplots(2, 1, sharex=True, sharey=True)
    # Margins by hand: a layout that measures every label doubles the time of a page of plots.
    figure.subplots_adjust(left=0.115, right=0.985, top=0.98, bottom=0.15, hspace=0.1)
    for axis, name, mel in zip(axes, ("before", "after"), (before, after), strict=True):
        axis.imshow(
            mel,
            origin="lower",
            aspect="auto",
            interpolation="nearest",
            cmap="magma",
            vmin=top - 2.0,  # 80 dB in Whisper's scale
            vmax=top,
            extent=(0.0, mel.shape[1] / FRAMES_PER_SECOND, -0.5, bands - 0.5),
        )
        axis.set_xlim(0.0, seconds)
        axis.set_facecolor("#eef1f5")
        axis.set_yticks(marks, [f"{hertz / 1000:g}" for hertz in _HERTZ])
        axis.set_ylabel(f"{name}, kHz", fontsize=11)
        axis.tick_params(labelsize=10)
        for side in axis.spines.values():
            side.set_visible(False)
    axes[1].set_xlabel("seconds", fontsize=11)
    figure.savefig(path, format="png", dpi=110)
