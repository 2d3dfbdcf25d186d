"""What can be heard of a recording without knowing its text: a row of `measurements.parquet`."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Measurement:
    """Signal facts of one utterance, taken on its 16 kHz mono samples before they become FLAC.

    Attributes:
        id: the utterance's.
        rate: Hz of the recording as it came; 16,000 for what a machine spoke at that rate.
        channels: of the recording as it came.
        peak: largest absolute sample, 0..1.
        level: active level, dBFS: root mean square of the 20 ms frames that are not silence.
        dc: mean sample, -1..1.
        clipped: share of samples in runs of at least three at the clip's own ceiling, 0..1.
        silence: share of 20 ms frames at least 40 dB below the loudest tenth, 0..1.
        bandwidth: Hz below which 99% of the power above 50 Hz lies, at most 8,000.
        speech: seconds in which Silero VAD hears somebody speak.
        fingerprint: hex of a short acoustic fingerprint; near-same audio has near-same ones.
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
