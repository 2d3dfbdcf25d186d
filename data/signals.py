"""Signal facts of a recording that need no model: clipping, level, silence, bandwidth. Pure."""

from __future__ import annotations

from functools import cache

import numpy as np
import numpy.typing as npt

from data.features import SAMPLE_RATE, Floats

_CEILING = 0.999
"""Of the largest sample: what lies above counts as at the ceiling."""

_SHORTEST_RUN = 3 / SAMPLE_RATE
"""Seconds that a clipped stretch lasts at least: a natural peak of speech is narrower."""

_QUIETEST_CEILING = 0.001
"""Largest samples below this (-60 dBFS) are no ceiling that anything could hit."""

_FRAME = SAMPLE_RATE // 50
_SILENT = 1e-4
"""Of the loudest frames' power, -40 dB: what is weaker is silence."""

_FLOOR = 1e-12

_FFT = 512
_HOP = 160
_AUDIBLE = 1e-5
"""Of the spectrum's largest power, -50 dB: the bandwidth ends where it stays below."""


class ClippingMeter:
    """Counts samples in flat tops while a recording passes, without holding it.

    A flat top is a run of at least 0.19 ms (and three samples) within 0.1% of the largest sample
    of the whole recording, whatever its level: audio that was clipped and then turned down counts,
    too. Above full scale, where mp3 and float files may go, the top is flat once it is a FLAC.
    Runs across two blocks are counted by what of them lies in each.
    """

    def __init__(self, rate: int) -> None:
        self._shortest = max(3, round(_SHORTEST_RUN * rate))
        self._peak = 0.0
        self._flat = 0
        self._seen = 0

    def add(self, block: Floats) -> None:
        """Hear the next samples, shape [channels, samples]."""
        size = np.minimum(np.abs(block), 1.0)
        self._seen += block.size
        peak = float(size.max(initial=0.0))
        if not peak > 0.0 or peak < _CEILING * self._peak:
            return
        if peak * _CEILING > self._peak:
            self._flat = 0  # what was flat below the new ceiling was no clipping
        self._peak = max(peak, self._peak)
        at = np.pad(size >= _CEILING * self._peak, ((0, 0), (1, 1)))
        edges = np.flatnonzero(np.diff(at.ravel().astype(np.int8)))
        runs = edges[1::2] - edges[::2]
        self._flat += int(runs[runs >= self._shortest].sum())

    @property
    def share(self) -> float:
        """Share of all samples so far, 0..1."""
        if not self._seen or self._peak < _QUIETEST_CEILING:
            return 0.0
        return self._flat / self._seen


def clipped_share(samples: Floats, rate: int = SAMPLE_RATE) -> float:
    """`ClippingMeter` of samples that are at hand, shape [samples]."""
    meter = ClippingMeter(rate)
    meter.add(samples[None, :])
    return meter.share


def level_and_silence(samples: Floats) -> tuple[float, float]:
    """Active level and share of silence, over frames of 20 ms.

    Silence is what lies at least 40 dB below the mean power of the loudest tenth of the frames.

    Returns:
        Root mean square of the other frames in dBFS (a full-scale square wave has 0), at least
        -120; and the share of silent frames, 0..1.
    """
    padded = np.pad(samples, (0, -len(samples) % _FRAME)).reshape(-1, _FRAME)
    power = np.einsum("ij,ij->i", padded, padded, dtype=np.float64) / _FRAME
    loudest = np.sort(power)[-max(1, len(power) // 10) :].mean()
    active = power > max(_FLOOR, _SILENT * loudest)
    if not active.any():
        return -120.0, 1.0
    return 10.0 * float(np.log10(power[active].mean())), 1.0 - float(active.mean())


def bandwidth(samples: Floats) -> float:
    """Hz up to which there is sound: the highest with a mean power above -50 dB of the strongest.

    Source: `eval_bandwidth` of NVIDIA NeMo's Speech Data Explorer (512 points, 10 ms hop,
    Blackman-Harris window). A mean other than zero and what lies below 50 Hz are left out.
    """
    centred = samples - samples.mean(dtype=np.float64).astype(np.float32)
    padded = np.pad(centred, (0, max(0, _FFT - len(samples))))
    frames = np.lib.stride_tricks.sliding_window_view(padded, _FFT)[::_HOP]
    spectrum = np.zeros(_FFT // 2 + 1)
    for start in range(0, len(frames), 256):
        part = np.fft.rfft(frames[start : start + 256] * _blackman_harris(), axis=-1)
        spectrum += (part.real**2 + part.imag**2).sum(axis=0)
    hertz = np.fft.rfftfreq(_FFT, 1 / SAMPLE_RATE)
    spectrum[hertz < 50.0] = 0.0
    if not spectrum.max() > 0.0:
        return 0.0
    return float(hertz[np.flatnonzero(spectrum > _AUDIBLE * spectrum.max())[-1]])


@cache
def _blackman_harris() -> npt.NDArray[np.float32]:
    """Harris (1978), four terms, periodic."""
    phase = 2 * np.pi * np.arange(_FFT) / _FFT
    terms = (0.35875, -0.48829, 0.14128, -0.01168)
    window = sum(term * np.cos(order * phase) for order, term in enumerate(terms))
    return np.asarray(window, dtype=np.float32)
