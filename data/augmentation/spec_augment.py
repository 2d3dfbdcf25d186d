"""Masks on a mel spectrogram, in time and in frequency.

Source: Park et al. 2019, "SpecAugment", without time warping, which it found to help least; the
widest mask in time goes with the clip's length, as in Park et al. 2020, "SpecAugment on Large
Scale Datasets".
"""

from __future__ import annotations

import numpy as np

from data.features import Floats
from voiceforge.params import SpecAugmentParams


def mask(mel: Floats, frames: int, params: SpecAugmentParams, rng: np.random.Generator) -> Floats:
    """A copy of a mel with masks over speech, never over the padding behind it.

    A mask is 0 to its widest wide, evenly drawn, and holds the mean of the clip.

    Args:
        mel: shape [n_mels, width].
        frames: how many of the frames are the clip; what follows is padding.
        params: how many masks, and how wide at most.

    Returns:
        float32, the shape of `mel`.
    """
    masked = mel.copy()
    speech = masked[:, : min(frames, mel.shape[1])]
    bands, length = speech.shape
    mean = speech.mean() if speech.size else np.float32(0.0)
    for _ in range(params.time_masks):
        start, end = _place(length, round(params.time_share * length), rng)
        speech[:, start:end] = mean
    for _ in range(params.frequency_masks):
        start, end = _place(bands, round(params.frequency_share * bands), rng)
        speech[start:end] = mean
    return masked


def _place(length: int, widest: int, rng: np.random.Generator) -> tuple[int, int]:
    width = int(rng.integers(widest + 1))
    start = int(rng.integers(length - width + 1))
    return start, start + width
