"""Active speech level: how loud somebody is while speaking, pauses not counted.

Source: ITU-T P.56 (12/2011), method B.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from data.audio import SAMPLE_RATE, Samples

_TIME_CONSTANT = 0.03
_STEP = 8
"""Samples (0.5 ms) whose mean the envelope follows: it is so slow that the level moves by less than
0.05 dB, and comes in a ninth of the time."""
_HANGOVER = round(0.2 * SAMPLE_RATE / _STEP)
_MARGIN = 15.9
"""dB between the active level and the threshold that tells speech from pauses."""
_THRESHOLDS = 2.0 ** np.arange(-15, 0)


def active_level(samples: Samples) -> float:
    """Active speech level in dB relative to full scale (a square wave of 1); -inf for silence."""
    from scipy.signal import lfilter

    energy = float(np.sum(samples.astype(np.float64) ** 2))
    steps = np.pad(np.abs(samples), (0, -len(samples) % _STEP)).reshape(-1, _STEP).mean(axis=1)
    decay = math.exp(-_STEP / (SAMPLE_RATE * _TIME_CONSTANT))
    once = lfilter([1.0 - decay], [1.0, -decay], steps)
    envelope = lfilter([1.0 - decay], [1.0, -decay], once)
    before: tuple[float, float] | None = None
    for threshold in _THRESHOLDS:
        active = _STEP * _active(envelope >= threshold)
        if not active:
            break
        level = 10.0 * math.log10(energy / active)
        above = level - 20.0 * math.log10(threshold)
        if above <= _MARGIN:
            if before is None:
                return level
            share = (before[1] - _MARGIN) / (before[1] - above)
            return before[0] + share * (level - before[0])
        before = level, above
    return before[0] if before else -math.inf


def mean_level(samples: Samples) -> float:
    """Level of all samples (root mean square) in dB relative to full scale; -inf for silence."""
    power = float(np.mean(samples.astype(np.float64) ** 2)) if samples.size else 0.0
    return 10.0 * math.log10(power) if power else -math.inf


def _active(above: npt.NDArray[np.bool_]) -> int:
    """How many are at or above the threshold, or in the hangover that follows."""
    index = np.arange(len(above))
    last = np.maximum.accumulate(np.where(above, index, -len(above) - _HANGOVER))
    return int(np.count_nonzero(index - last <= _HANGOVER))
