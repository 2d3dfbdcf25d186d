"""Speech codecs: what a telephone line or a voice call leaves of a clip.

G.711 (mu-law, A-law) and GSM 06.10 full rate are libsndfile's, at 8 kHz behind the band of a
telephone line; Opus is libopus, set as calls over the internet set it. Each is the real encoder
and decoder, one after the other.
"""

from __future__ import annotations

import io
from functools import cache
from typing import Any

import numpy as np
import soundfile
import soxr

from data.audio import SAMPLE_RATE, Samples
from data.augmentation.samples import of_length, within_range
from voiceforge.params import CodecKind

_LINE_RATE = 8000
_LINE_BAND = 300.0, 3400.0
"""Hz that a telephone line passes (ITU-T G.712)."""
_TAPS = 257
"""Of the line's filter: from passing to stopping takes 100 Hz."""
_SUBTYPES = {"mu-law": "ULAW", "a-law": "ALAW", "gsm": "GSM610"}
_OPUS_OPTIONS = {"application": "voip", "frame_duration": "20", "compression_level": "5"}
"""As mobile telephones set it: level 10 takes 13 ms a second of speech instead of 8."""
_OPUS_TAIL = 960
"""Samples of silence after a clip, so that what Opus holds back comes out."""


def through_codec(samples: Samples, kind: CodecKind, bit_rate: int = 0) -> Samples:
    """A clip after encoder and decoder: as long as it was, speech where it was.

    Args:
        samples: the clip.
        kind: "opus", or what goes through a telephone line: "mu-law", "a-law", "gsm".
        bit_rate: bit/s; of Opus alone, the others have their own.
    """
    if not samples.size:
        return samples
    if kind == "opus":
        heard = _opus(samples, bit_rate)
    else:
        narrow = soxr.resample(samples, SAMPLE_RATE, _LINE_RATE)
        coded = line_codec(within_range(_through_line(narrow)), kind)
        heard = soxr.resample(coded, _LINE_RATE, SAMPLE_RATE)
    return within_range(of_length(heard, len(samples)))


def line_codec(narrow: Samples, kind: CodecKind) -> Samples:
    """Samples at 8 kHz through an encoder and decoder of 8 kHz: "mu-law", "a-law" or "gsm"."""
    subtype = _SUBTYPES[kind]
    raw: dict[str, Any] = {"samplerate": _LINE_RATE, "format": "RAW", "subtype": subtype}
    stream = io.BytesIO()
    soundfile.write(stream, np.clip(np.rint(narrow * 32768.0), -32768, 32767).astype("i2"), **raw)
    stream.seek(0)
    decoded, _ = soundfile.read(stream, dtype="float32", channels=1, **raw)
    return of_length(decoded, len(narrow))


def _through_line(narrow: Samples) -> Samples:
    from scipy.signal import oaconvolve

    return of_length(oaconvolve(narrow, _line_filter())[_TAPS // 2 :], len(narrow))


@cache
def _line_filter() -> Samples:
    from scipy.signal import firwin

    taps = firwin(_TAPS, _LINE_BAND, pass_zero=False, fs=_LINE_RATE)
    return np.asarray(taps, dtype=np.float32)


def _opus(samples: Samples, bit_rate: int) -> Samples:
    import av

    encoder: Any = av.CodecContext.create("libopus", "w")
    encoder.sample_rate, encoder.layout, encoder.format = SAMPLE_RATE, "mono", "flt"
    encoder.bit_rate, encoder.options = bit_rate, _OPUS_OPTIONS
    padded = np.pad(samples, (0, _OPUS_TAIL))[None]
    frame = av.AudioFrame.from_ndarray(padded, format="flt", layout="mono")
    frame.sample_rate, frame.pts = SAMPLE_RATE, 0
    packets = [*encoder.encode(frame), *encoder.encode(None)]
    decoder: Any = av.CodecContext.create("libopus", "r")
    decoder.extradata = encoder.extradata  # tells how much the encoder delays
    heard = [part.to_ndarray() for packet in packets for part in decoder.decode(packet)]
    wide = np.concatenate(heard, axis=1)[0].astype(np.float32) / 32768.0
    return np.asarray(soxr.resample(wide, decoder.sample_rate, SAMPLE_RATE), dtype=np.float32)
