"""Recordings in, samples out: every part of VoiceForge hears audio through this module.

Whatever FFmpeg decodes becomes mono float32 at 16 kHz: channels averaged, resampled with soxr,
loudness left alone.
"""

from __future__ import annotations

import io
import stat
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import soundfile
import soxr

from data.decoding import WHOLE as WHOLE
from data.decoding import Decoded as Decoded
from data.decoding import Span as Span
from data.decoding import decode_stream, empty
from data.features import SAMPLE_RATE as SAMPLE_RATE
from voiceforge.errors import AudioError
from voiceforge.files import storage_errors, write_bytes

Samples = npt.NDArray[np.float32]
"""Mono audio at 16 kHz, shape [samples], values in -1..1."""


def decode(source: Path, *, longest: float | None = None) -> Samples:
    """Decode a file: wav, flac, mp3, ogg, m4a, raw `.g722`, a video's sound and the like.

    Args:
        source: the file.
        longest: most seconds allowed; decoding stops as soon as there are more.

    Raises:
        AudioError: with `reason` one of missing, empty, not-audio (no audio can be found in it),
            no-audio-stream, encrypted, truncated, damaged, not-finite, too-long.
    """
    return decode_file(source, longest=longest).samples


def decode_file(source: Path, span: Span = WHOLE, *, longest: float | None = None) -> Decoded:
    """Decode a file or a part of it; also says how the recording came.

    A part is found by seeking and costs about as much as decoding it. It begins and ends at the
    sample nearest to its times; Matroska and Windows Media keep those in milliseconds.

    Raises:
        AudioError: as `decode`; and outside: the recording ends before the span does.
    """
    try:
        status = source.stat()
        if not stat.S_ISREG(status.st_mode):
            raise AudioError(f"{source} is not a file. Check the path.", reason="missing")
        if status.st_size == 0:
            raise empty(str(source))
        stream = source.open("rb")
    except FileNotFoundError as error:
        raise AudioError(f"{source} does not exist. Check the path.", reason="missing") from error
    except OSError as error:  # forbidden, a loop of links, a name that is too long
        why = f"{source} cannot be read ({error.strerror}). Check the path and its permissions."
        raise AudioError(why, reason="missing") from error
    with stream:
        return decode_stream(stream, str(source), span, longest)


def decode_bytes(content: bytes, name: str, *, longest: float | None = None) -> Samples:
    """Decode the bytes of an upload. `name` is used in messages; its suffix tells raw formats.

    Raises:
        AudioError: as `decode`.
    """
    if not content:
        raise empty(name)
    return decode_stream(io.BytesIO(content), name, WHOLE, longest).samples


def encode_flac(samples: Samples) -> bytes:
    """Samples as a 16-bit mono FLAC file; equal samples give equal bytes."""
    stream = io.BytesIO()
    soundfile.write(stream, _pcm16(samples), SAMPLE_RATE, format="FLAC", subtype="PCM_16")
    return stream.getvalue()


def write_flac(path: Path, samples: Samples) -> None:
    """Write samples as a 16-bit mono FLAC, whole or not at all.

    Raises:
        StorageError: the disk is full, read-only or refuses the file.
    """
    write_bytes(path, encode_flac(samples))


def read_flac(path: Path) -> Samples:
    """Read a FLAC that `write_flac` wrote; much faster than `decode`.

    Raises:
        AudioError: missing, not a FLAC, or not 16 kHz mono.
    """
    if not path.is_file():
        raise AudioError(f"{path} does not exist. Make its corpus again.", reason="missing")
    try:
        with storage_errors(path):
            samples, rate = soundfile.read(path, dtype="float32")
    except soundfile.LibsndfileError as error:
        raise AudioError(f"{path} cannot be read as FLAC ({error}).", reason="damaged") from error
    if rate != SAMPLE_RATE or samples.ndim != 1:
        raise AudioError(
            f"{path} is not {SAMPLE_RATE} Hz mono. Corpora hold only that; make its corpus again.",
            reason="damaged",
        )
    return np.asarray(samples, dtype=np.float32)


def resample(samples: npt.NDArray[Any], rate: int) -> Samples:
    """Bring mono samples from `rate` Hz to 16 kHz (soxr, high quality)."""
    resampled: Samples = soxr.resample(samples.astype(np.float32), rate, SAMPLE_RATE)
    return resampled


def _pcm16(samples: Samples) -> npt.NDArray[np.int16]:
    # libsndfile scales by 32767 on writing and 32768 on reading; this way 16-bit audio is exact.
    scaled: npt.NDArray[np.int16] = np.clip(np.rint(samples * 32768.0), -32768, 32767).astype("i2")
    return scaled
