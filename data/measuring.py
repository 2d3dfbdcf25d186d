"""Measure a decoded recording: every field of `data.measurement.Measurement`."""

from __future__ import annotations

import numpy as np

from data.decoding import Decoded
from data.fingerprint import fingerprint
from data.measurement import Measurement
from data.signals import bandwidth, level_and_silence
from data.speech_activity import speech_seconds


def measure(name: str, decoded: Decoded) -> Measurement:
    """The facts of one recording.

    Args:
        name: the utterance's id.
        decoded: its sound, at least one sample.

    Raises:
        StageError: the speech model is not installed.
    """
    samples = decoded.samples
    level, silence = level_and_silence(samples)
    return Measurement(
        id=name,
        rate=decoded.rate,
        channels=decoded.channels,
        peak=float(np.abs(samples).max()),
        level=level,
        dc=float(samples.mean(dtype=np.float64)),
        clipped=decoded.clipped,
        silence=silence,
        bandwidth=bandwidth(samples),
        speech=speech_seconds(samples),
        fingerprint=fingerprint(samples),
    )
