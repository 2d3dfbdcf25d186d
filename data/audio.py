"""Recordings in, samples out: every part of VoiceForge hears audio through this module.

Whatever FFmpeg decodes becomes mono float32 at 16 kHz: channels averaged, resampled with soxr,
loudness left alone. Only demuxers of self-contained files are allowed, so that an upload that is
really a playlist cannot make the machine open other files or addresses.
"""

from __future__ import annotations

import codecs
import io
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt
import soundfile
import soxr

from data.features import SAMPLE_RATE as SAMPLE_RATE
from voiceforge.errors import AudioError
from voiceforge.files import storage_errors, write_bytes

Samples = npt.NDArray[np.float32]
"""Mono audio at 16 kHz, shape [samples], values in -1..1."""

_RAW = {".g722": "g722"}
"""Formats without a header, known by their suffix alone."""

_DEMUXERS = (
    "aac,ac3,aiff,amr,amrnb,amrwb,ape,asf,au,avi,caf,eac3,flac,flv,g722,loas,matroska,"
    "matroska,webm,mov,mp4,m4a,3gp,3g2,mj2,mp3,mpeg,mpegts,ogg,oga,opus,tta,voc,w64,wav,wv"
)
_SIZED = ("wav", "w64", "flac", "aiff", "au", "caf", "mov", "matroska")
"""Formats whose header states the duration; others only allow a guess from the bit rate."""

_SLOWEST, _FASTEST = 2_000, 768_000
"""Frame rates that recordings have, in Hz. Outside of them a header is damaged or a trap: at 1 Hz a
file of 55 bytes would become four gigabytes of samples."""

_TRUNCATED_SECONDS = 0.1
_TRUNCATED_SHARE = 0.01
"""How much less than promised still counts as whole: headers round, encoders pad."""


def decode(source: Path, *, longest: float | None = None) -> Samples:
    """Decode a file: wav, flac, mp3, ogg, m4a, raw `.g722`, a video's sound and the like.

    Args:
        source: the file.
        longest: most seconds allowed; decoding stops as soon as there are more.

    Raises:
        AudioError: with `reason` one of missing, empty, not-audio (no audio can be found in it),
            no-audio-stream, truncated, damaged, not-finite, too-long.
    """
    try:
        if source.stat().st_size == 0:
            raise _empty(str(source))
        stream = source.open("rb")
    except FileNotFoundError as error:
        raise AudioError(f"{source} does not exist. Check the path.", reason="missing") from error
    except (PermissionError, IsADirectoryError, NotADirectoryError) as error:
        why = f"{source} cannot be read ({error.strerror}). Check the path and its permissions."
        raise AudioError(why, reason="missing") from error
    with stream:
        return _decode(stream, str(source), longest)


def decode_bytes(content: bytes, name: str, *, longest: float | None = None) -> Samples:
    """Decode the bytes of an upload. `name` is used in messages; its suffix tells raw formats.

    Raises:
        AudioError: as `decode`.
    """
    if not content:
        raise _empty(name)
    return _decode(io.BytesIO(content), name, longest)


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


def _decode(stream: IO[bytes], name: str, longest: float | None) -> Samples:
    import av
    from av.error import FFmpegError

    _refuse_text(stream, name)
    _refuse_short_wav(stream, name)
    options = {"format_whitelist": _DEMUXERS, "protocol_whitelist": "none"}
    raw = _RAW.get(Path(name).suffix.lower())
    try:
        with av.open(stream, format=raw, options=options, metadata_errors="replace") as container:
            if not container.streams.audio:
                raise AudioError(
                    f"{name} has no audio stream. Give a recording with sound.",
                    reason="no-audio-stream",
                )
            track = container.streams.audio[0]
            declared = _declared(container, track)
            chunks = list(_mono(container, track, name, longest))
    except FFmpegError as error:
        raise AudioError(
            f"{name} cannot be read as audio ({error.strerror}). Give a wav, flac, mp3, ogg, m4a "
            "or another format that FFmpeg reads.",
            reason="not-audio",
        ) from error
    samples = np.concatenate(chunks) if chunks else np.zeros(0, np.float32)
    if not samples.size:
        raise _empty(name)
    seconds = samples.size / SAMPLE_RATE
    if declared is not None and seconds < declared - _TRUNCATED_SECONDS:
        raise _truncated(name, f"its header promises {declared:.2f} s, {seconds:.2f} s are there")
    if not np.isfinite(samples).all():
        raise AudioError(
            f"{name} holds samples that are not numbers (NaN or infinite). Export it again.",
            reason="not-finite",
        )
    return samples


def _mono(container: Any, track: Any, name: str, longest: float | None) -> Iterator[Samples]:
    """The track's frames as mono chunks at 16 kHz; what is too long is not resampled any more."""
    import av
    from av.error import FFmpegError

    to_float: Any = None
    to_rate: Any = None
    heard = 0
    try:
        for frame in container.decode(track):
            if to_float is None:
                _refuse_rate(frame.rate, name)
                to_float = av.AudioResampler(format="fltp", layout=frame.layout, rate=frame.rate)
                to_rate = soxr.ResampleStream(frame.rate, SAMPLE_RATE, 1, dtype="float32")
            for planes in to_float.resample(frame):
                heard += planes.samples
                if longest is not None and heard > longest * planes.rate:
                    raise AudioError(
                        f"{name} is longer than {longest:g} s, the most allowed here. Cut it into "
                        "parts.",
                        reason="too-long",
                    )
                yield to_rate.resample_chunk(planes.to_ndarray().mean(axis=0, dtype=np.float32))
    except (FFmpegError, ValueError) as error:
        if not heard:
            raise
        raise AudioError(
            f"{name} is damaged: decoding stopped part of the way ({error}). Copy it again from "
            "where it came from.",
            reason="damaged",
        ) from error
    if to_rate is not None:
        yield to_rate.resample_chunk(np.zeros(0, np.float32), last=True)


def _refuse_rate(rate: int, name: str) -> None:
    if not _SLOWEST <= rate <= _FASTEST:
        raise AudioError(
            f"{name} is damaged: its header says {rate} Hz, and recordings have {_SLOWEST:,} to "
            f"{_FASTEST:,} Hz. Copy or export it again from where it came from.",
            reason="damaged",
        )


def _declared(container: Any, track: Any) -> float | None:
    """Seconds that the header promises, where the format has a header that does."""
    if container.format.name.split(",")[0] not in _SIZED:
        return None
    if track.duration is not None:
        return float(track.duration * track.time_base)
    if container.duration is not None and len(container.streams) == 1:
        return float(container.duration) / 1e6
    return None


def _refuse_text(stream: IO[bytes], name: str) -> None:
    """Raw formats take any bytes for audio, so plain text is told apart before FFmpeg sees it."""
    head = stream.read(4096)
    stream.seek(0)
    if b"\0" in head:
        return
    try:
        # Incremental, since the head may end inside a letter.
        text = codecs.getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError:
        return
    if all(letter.isprintable() or letter in "\r\n\t\f\ufeff" for letter in text):
        raise AudioError(f"{name} is a text file, not a recording.", reason="not-audio")


def _refuse_short_wav(stream: IO[bytes], name: str) -> None:
    """FFmpeg believes the file's size rather than a WAV's header, so cuts are found here."""
    try:
        if stream.read(4) != b"RIFF" or len(head := stream.read(8)) < 8 or head[4:] != b"WAVE":
            return
        while len(chunk := stream.read(8)) == 8:
            size = int.from_bytes(chunk[4:], "little")
            start = stream.tell()
            if chunk[:4] == b"data":
                there = stream.seek(0, io.SEEK_END) - start
                # Programs that write into a pipe cannot know the size and leave 0 or a huge one.
                if there < size < 0x7FFF_0000 and size - there > _TRUNCATED_SHARE * size:
                    raise _truncated(name, f"its header promises {size} bytes, {there} are there")
                return
            stream.seek(start + size + size % 2)
    finally:
        stream.seek(0)


def _truncated(name: str, why: str) -> AudioError:
    return AudioError(
        f"{name} is cut off: {why}. Copy it again from where it came from.", reason="truncated"
    )


def _empty(name: str) -> AudioError:
    return AudioError(
        f"{name} is empty: it holds no audio. Record or export it again.", reason="empty"
    )
