"""Speed perturbation: a clip played faster or slower, its pitch with it.

Source: Ko et al. 2015, "Audio Augmentation for Speech Recognition".
"""

from __future__ import annotations

import soxr

from data.audio import SAMPLE_RATE, Samples
from data.augmentation.samples import of_length, within_range


def changed_length(length: int, ratio: float) -> int:
    """Samples that a clip of `length` has at that speed."""
    return round(length / ratio)


def change_speed(samples: Samples, ratio: float) -> Samples:
    """A clip at `ratio` times its speed and pitch; `changed_length` samples."""
    if ratio == 1.0:
        return samples
    faster = soxr.resample(samples, SAMPLE_RATE * ratio, SAMPLE_RATE)
    return within_range(of_length(faster, changed_length(len(samples), ratio)))
