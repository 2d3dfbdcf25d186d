"""Clipping: what an input that was set too high cuts off."""

from __future__ import annotations

import math

import numpy as np

from data.audio import Samples
from data.augmentation.level import active_level


def clip_peaks(samples: Samples, ceiling: float) -> Samples:
    """A clip whose peaks are cut at `ceiling` dB above its active speech level (ITU-T P.56).

    Peaks of speech are about 15 dB above it; silence, which has no such level, stays as it is.
    """
    level = active_level(samples)
    if not math.isfinite(level):
        return samples
    most = 10.0 ** ((level + ceiling) / 20.0)
    return np.clip(samples, -most, most).astype(np.float32, copy=False)
