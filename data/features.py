"""Whisper's log-mel spectrogram in NumPy: the one copy that training, evaluation and serving share.

Source: OpenAI's whisper/audio.py (Radford et al., 2022). 25 ms Hann windows, 10 ms hop, Slaney mel
filters, log10, floored 8 below the clip's own maximum and scaled to about -1..1. Whisper pads
every clip to 3000 frames (30 s); here the caller says how many frames, so that a model trained on
length-matched mels does not pay for silence.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]

SAMPLE_RATE = 16_000
HOP = 160
WINDOW = 400
FRAMES_PER_SECOND = SAMPLE_RATE // HOP
WINDOW_FRAMES = 3000
"""Frames of Whisper's full window, 30 s: the most its encoder hears at once."""
HEARD_WHOLE = 25.0
"""Seconds up to which a recording is heard in one piece when it is transcribed: the window without
the silence that is appended, and to spare."""


def mel_frames(seconds: float) -> int:
    """Frames that cover `seconds`, rounded up to an even number: the encoder halves them."""
    frames = int(np.ceil(seconds * FRAMES_PER_SECOND))
    return frames + frames % 2


def log_mel(samples: Floats, n_mels: int = 80, frames: int | None = None) -> Floats:
    """Log-mel spectrogram of one clip.

    Args:
        samples: mono audio at 16 kHz, shape [samples], values in -1..1.
        n_mels: mel bands, 80 (most Whisper models) or 128 (large-v3).
        frames: width of the result; audio is cut or padded with silence to it. By default the
            clip's own length, at least 2 frames.

    Returns:
        float32, shape [n_mels, frames].
    """
    if frames is None:
        frames = max(2, mel_frames(len(samples) / SAMPLE_RATE))
    audio = np.zeros(frames * HOP, dtype=np.float32)
    used = min(len(samples), len(audio))
    audio[:used] = samples[:used]
    padded = np.pad(audio, WINDOW // 2, mode="reflect")
    windows = np.lib.stride_tricks.sliding_window_view(padded, WINDOW)[::HOP][:frames]
    power = np.abs(np.fft.rfft(windows * _hann(), axis=-1).astype(np.complex64)) ** 2
    log = np.log10(np.maximum(mel_filters(n_mels) @ power.T, 1e-10))
    scaled = (np.maximum(log, log.max() - 8.0) + 4.0) / 4.0
    return np.ascontiguousarray(scaled, dtype=np.float32)


@cache
def _hann() -> Floats:
    return np.hanning(WINDOW + 1)[:-1].astype(np.float32)


@cache
def mel_filters(n_mels: int) -> Floats:
    """Slaney-normalised triangular filters on Slaney's mel scale, shape [n_mels, 201].

    Source: Slaney, Auditory Toolbox (1998); the same as librosa.filters.mel(sr=16000, n_fft=400).
    """
    bins = np.fft.rfftfreq(WINDOW, 1.0 / SAMPLE_RATE)
    edges = _mel_to_hertz(np.linspace(0.0, _hertz_to_mel(SAMPLE_RATE / 2), n_mels + 2))
    slopes = edges[:, None] - bins[None, :]
    widths = np.diff(edges)
    falling = -slopes[:-2] / widths[:-1, None]
    rising = slopes[2:] / widths[1:, None]
    triangles = np.maximum(0.0, np.minimum(falling, rising))
    return (triangles * (2.0 / (edges[2:] - edges[:-2]))[:, None]).astype(np.float32)


_LINEAR_HERTZ = 200.0 / 3.0
_BREAK_HERTZ = 1000.0
_BREAK_MEL = _BREAK_HERTZ / _LINEAR_HERTZ
_LOG_STEP = np.log(6.4) / 27.0


def _hertz_to_mel(hertz: float) -> float:
    if hertz < _BREAK_HERTZ:
        return hertz / _LINEAR_HERTZ
    return float(_BREAK_MEL + np.log(hertz / _BREAK_HERTZ) / _LOG_STEP)


def _mel_to_hertz(mels: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    log = _BREAK_HERTZ * np.exp(_LOG_STEP * (mels - _BREAK_MEL))
    return np.where(mels < _BREAK_MEL, mels * _LINEAR_HERTZ, log)
