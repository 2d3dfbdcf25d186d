"""Noise under speech: white, pink, or the babble of other people, at a signal-to-noise ratio."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from data.audio import SAMPLE_RATE, Samples
from data.augmentation.level import active_level, mean_level
from data.augmentation.samples import within_range

_LOWEST = 20.0
"""Hz below which pink noise is silent: nobody hears it, and its power would have no end."""


def white_noise(length: int, rng: np.random.Generator) -> Samples:
    """Gaussian noise with the same power in every hertz."""
    return rng.standard_normal(length, dtype=np.float32)


def pink_noise(length: int, rng: np.random.Generator) -> Samples:
    """Gaussian noise with the same power in every octave: 3 dB less per octave upwards."""
    from scipy.fft import irfft, next_fast_len

    padded = next_fast_len(max(length, SAMPLE_RATE), real=True)
    hertz = np.fft.rfftfreq(padded, 1.0 / SAMPLE_RATE)
    parts = rng.standard_normal((2, len(hertz)), dtype=np.float32)
    slope = np.where(hertz < _LOWEST, 0.0, 1.0 / np.sqrt(np.maximum(hertz, _LOWEST)))
    shaped = ((parts[0] + 1j * parts[1]) * slope).astype(np.complex64)
    noise = irfft(shaped, padded)[:length]
    return np.asarray(noise, dtype=np.float32)


def babble(length: int, voices: Sequence[Samples], rng: np.random.Generator) -> Samples:
    """Voices at equal active levels, each repeated from a random place; silent ones do not count.

    Returns:
        `length` samples; their level means nothing, and `add_noise` sets it.
    """
    mix = np.zeros(length, dtype=np.float32)
    for voice in voices:
        start = int(rng.integers(len(voice))) if len(voice) else 0
        level = active_level(voice)
        if math.isfinite(level):
            looped = np.resize(np.roll(voice, -start), length)
            mix += looped * np.float32(10.0 ** (-level / 20.0))
    return mix


def add_noise(samples: Samples, noise: Samples, snr: float) -> Samples:
    """Speech with noise under it.

    Args:
        samples: the speech; where nobody speaks there is no ratio, and it stays as it is.
        noise: as many samples, at any level.
        snr: dB of the active speech level (ITU-T P.56) above the noise's root mean square.
    """
    speech, present = active_level(samples), mean_level(noise)
    if not math.isfinite(speech) or not math.isfinite(present):
        return samples
    gain = 10.0 ** ((speech - snr - present) / 20.0)
    return within_range(samples + noise * np.float32(gain))
