"""Sounds in which nobody speaks: what a model has to answer with nothing."""

from __future__ import annotations

import math

import numpy as np

from data.audio import SAMPLE_RATE, Samples
from data.augmentation.level import mean_level
from data.augmentation.noise import pink_noise, white_noise
from data.augmentation.samples import within_range
from data.speech_activity import WINDOW, speech_probabilities
from voiceforge.params import NoSpeechSound

_CERTAINLY_NONE = 0.1
"""Probability of speech below which a window is a pause."""
_SHORTEST_PAUSE = 0.2
"""Seconds: what is shorter buzzes when it is repeated."""
_LINE_TONES: tuple[tuple[tuple[float, ...], float, float], ...] = (
    ((350.0, 440.0), math.inf, 0.0),  # dialling
    ((440.0, 480.0), 2.0, 4.0),  # ringing
    ((480.0, 620.0), 0.5, 0.5),  # busy
    ((425.0,), 0.5, 0.5),  # busy, most of Europe
    ((770.0, 1336.0), 0.1, 0.1),  # the key 5, again and again
    ((1000.0,), math.inf, 0.0),  # a test tone
)
"""Hertz, seconds on and seconds off (ITU-T E.180 supplement 2 and Q.23)."""


def no_speech(
    sound: NoSpeechSound, length: int, level: float, clip: Samples, rng: np.random.Generator
) -> Samples:
    """`length` samples without speech.

    Args:
        sound: "silence" (digital), "white" or "pink" noise, "tones" of a telephone line, or the
            longest "pause" of a clip, there and back again.
        length: of the result.
        level: dB relative to full scale, of all but silence and pauses, which keep their own.
        clip: where the pause is taken from; a clip without one gives pink noise.
        rng: draws samples, tones and places.
    """
    if sound == "silence" or not length:
        return np.zeros(length, dtype=np.float32)
    if sound == "pause":
        pause = longest_pause(clip)
        if len(pause) >= _SHORTEST_PAUSE * SAMPLE_RATE:
            # There and back: samples meet themselves, and nothing clicks.
            return np.resize(np.concatenate([pause, pause[::-1]]), length)
    if sound == "white":
        noise = white_noise(length, rng)
    elif sound == "tones":
        noise = _tones(length, rng)
    else:
        noise = pink_noise(length, rng)
    gain = 10.0 ** ((level - mean_level(noise)) / 20.0)
    return within_range(noise * np.float32(gain))


def longest_pause(clip: Samples) -> Samples:
    """The longest part of a clip in which Silero VAD is sure that nobody speaks; may be empty."""
    if not clip.size:
        return clip
    quiet = np.pad(speech_probabilities(clip) < _CERTAINLY_NONE, 1).astype(np.int8)
    edges = np.diff(quiet)
    starts, ends = np.flatnonzero(edges == 1), np.flatnonzero(edges == -1)
    if not starts.size:
        return clip[:0]
    widest = int(np.argmax(ends - starts))
    return clip[starts[widest] * WINDOW : ends[widest] * WINDOW]


def _tones(length: int, rng: np.random.Generator) -> Samples:
    hertz, on, off = _LINE_TONES[rng.integers(len(_LINE_TONES))]
    seconds = np.arange(length) / SAMPLE_RATE
    mix = np.sum([np.sin(2.0 * np.pi * one * seconds) for one in hertz], axis=0)
    if off:
        # A clip never falls into a break as a whole.
        mix = mix * ((seconds % (on + off)) < on)
    return np.asarray(mix, dtype=np.float32)
