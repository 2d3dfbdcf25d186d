"""How far speech lies above the noise of its own recording, from the recording alone."""

from __future__ import annotations

import math

import numpy as np

from data.features import SAMPLE_RATE, Floats

_FRAME = SAMPLE_RATE // 50
_PAUSE = 4
"""Frames (80 ms): so long a gap is found in nearly all speech, and it is long enough that the
quietest of many gaps in steady noise lies only some tenths of a dB below the noise's mean."""

_HANGOVER = 10
_MARGIN = 15.9
_ROUNDS = 30
_FLOOR = 1e-12

HIGHEST = 80.0
"""dB: what is returned for recordings without noise; 16-bit audio holds no more to speak of."""


def signal_to_noise(samples: Floats) -> float | None:
    """Signal-to-noise ratio in dB: active speech level over the power of the quietest 80 ms.

    The noise is that of the quietest gap (minimum statistics: Martin 2001, "Noise power spectral
    density estimation based on optimal smoothing and minimum statistics", here of the whole band);
    it is taken off every frame, and the level of what is left is the active level of ITU-T P.56
    (15.9 dB margin, 200 ms hangover) over frames of 20 ms. It is the ratio that
    `data.augmentation.noise.add_noise` mixes at.

    On prompts with white noise at 0 to 30 dB it is off by less than half a dB in the median (tests
    hold it). Noise that comes and goes, such as babble, is heard where it is weakest: the ratio
    then comes out some dB too high. Speech without any gap takes its faintest part for noise: too
    low.

    Args:
        samples: mono audio at 16 kHz, shape [samples].

    Returns:
        dB, at most 80; None for less than 80 ms, for silence, and where nothing rises above the
        noise.
    """
    count = len(samples) // _FRAME
    if count < _PAUSE:
        return None
    frames = samples[: count * _FRAME].reshape(count, _FRAME)
    power = np.einsum("ij,ij->i", frames, frames, dtype=np.float64) / _FRAME
    sums = np.concatenate([[0.0], np.cumsum(power)])
    noise = max(0.0, float((sums[_PAUSE:] - sums[:-_PAUSE]).min()) / _PAUSE)
    speech = _active_power(np.maximum(power - noise, 0.0))
    if speech <= _FLOOR:
        return None
    return min(HIGHEST, 10.0 * math.log10(speech / max(noise, _FLOOR)))


def _active_power(power: Floats) -> float:
    """Mean power of the frames that are within 15.9 dB of it, or shortly after such a frame."""
    energy, index = float(power.sum()), np.arange(len(power))
    level = energy / len(power)
    for _ in range(_ROUNDS):
        above = power > level * 10.0 ** (-_MARGIN / 10.0)
        last = np.maximum.accumulate(np.where(above, index, -len(power) - _HANGOVER))
        active = int(np.count_nonzero(index - last <= _HANGOVER))
        if not active:
            return 0.0
        before, level = level, energy / active
        if math.isclose(before, level, rel_tol=1e-9):
            break
    return level
