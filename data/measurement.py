"""What can be heard of a recording without knowing its text: a row of `measurements.parquet`."""

from __future__ import annotations

from dataclasses import dataclass

MEASURING_VERSION = 1
"""Raise it when equal audio comes to be measured otherwise: everything is measured anew."""


@dataclass(frozen=True, slots=True)
class Measurement:
    """Signal facts of one utterance, taken when it is decoded (`data.measuring`).

    Attributes:
        id: the utterance's.
        rate: Hz of the recording as it came; 16,000 for what a machine spoke.
        channels: of the recording as it came.
        peak: largest absolute sample, 0..1.
        level: active level, dBFS, -120..0: root mean square of the 20 ms frames that are not
            silence.
        dc: mean sample, -1..1.
        clipped: share of the original's samples in runs of at least 0.19 ms at its own ceiling,
            0..1 (`data.signals.ClippingMeter`).
        silence: share of 20 ms frames at least 40 dB below the mean of the loudest tenth, 0..1.
        bandwidth: Hz above which the mean spectrum stays 50 dB below its maximum, at most 8,000;
            about 4,000 for what has been through a telephone (`data.signals.bandwidth`).
        speech: seconds of 32 ms windows in which Silero VAD finds speech at least as likely as not.
        fingerprint: hex of an acoustic fingerprint; near-same audio has near-same ones
            (`data.fingerprint`). Empty where there is no sound.
    """

    id: str
    rate: int
    channels: int
    peak: float
    level: float
    dc: float
    clipped: float
    silence: float
    bandwidth: float
    speech: float
    fingerprint: str
