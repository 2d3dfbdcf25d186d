"""FFmpeg's loop: one audio track, or a part of it, as mono at 16 kHz, a second in memory at a time.

Only demuxers of self-contained files are allowed, so that an upload that is really a playlist
cannot make the machine open other files or addresses.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Any

import numpy as np
import soxr

from data import containers
from data.features import SAMPLE_RATE, Floats
from data.signals import ClippingMeter
from voiceforge.errors import AudioError

_DEMUXERS = (
    "aac,ac3,aiff,alaw,amr,amrnb,amrwb,ape,asf,au,avi,caf,eac3,flac,flv,g722,gsm,loas,matroska,"
    "matroska,webm,mov,mp4,m4a,3gp,3g2,mj2,mp3,mpeg,mpegts,mulaw,ogg,oga,opus,tta,voc,w64,wav,wv"
)
_SIZED = ("wav", "w64", "flac", "aiff", "au", "caf", "mov", "matroska")
"""Formats whose header states the duration; others only allow a guess from the bit rate."""

_SLOWEST, _FASTEST = 2_000, 768_000
"""Frame rates that recordings have, in Hz. Outside of them a header is damaged or a trap: at 1 Hz a
file of 55 bytes would become four gigabytes of samples."""

_LOUDEST = 100.0
"""Of full scale, 40 dB above it. Float files and lossy codecs go over 1, but what lies above this
are no samples of sound between -1 and 1, and far above they overflow what is computed of them."""

_TRUNCATED_SECONDS = 0.1
"""How much less than promised still counts as whole: headers round, encoders pad."""

_PREROLL = 1.0
"""Seconds decoded before a segment and thrown away: codecs with a memory need up to 0.2 s of it."""

_BLOCK_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Decoded:
    """A recording's sound.

    Attributes:
        samples: mono at 16 kHz, float32, shape [samples], at least one; loudness as it was.
        rate: Hz of the recording as it came.
        channels: of the recording as it came.
        clipped: share of its samples, before mixing and resampling, that hit its own ceiling, 0..1.
    """

    samples: Floats
    rate: int
    channels: int
    clipped: float


@dataclass(frozen=True, slots=True)
class Span:
    """A part of a recording: `seconds` from `start` on, to the end where None."""

    start: float = 0.0
    seconds: float | None = None

    @property
    def whole(self) -> bool:
        return self.start == 0.0 and self.seconds is None


WHOLE = Span()


def decode_stream(stream: IO[bytes], name: str, span: Span, longest: float | None) -> Decoded:
    """Decode a seekable stream of bytes.

    Args:
        name: for messages; its suffix tells raw formats.
        span: what of it; the stream is read from shortly before on where its format can.
        longest: most seconds allowed; decoding stops as soon as there are more.

    Raises:
        AudioError: as `data.audio.decode`.
    """
    import av
    from av.error import FFmpegError

    containers.refuse_text(stream, name)
    containers.refuse_encrypted(stream, name)
    if span.whole:
        containers.refuse_short_wav(stream, name)
    raw, options = containers.raw_format(stream, name) or (None, {})
    options = {"format_whitelist": _DEMUXERS, "protocol_whitelist": "none", **options}
    try:
        with av.open(stream, format=raw, options=options, metadata_errors="replace") as container:
            track = _track(container, name)
            declared = _declared(container, track)
            ear = _Ear(name, span, longest)
            chunks = list(ear.hear(container, track))
    except FFmpegError as error:
        raise AudioError(
            f"{name} cannot be read as audio ({error.strerror}). Give a wav, flac, mp3, ogg, m4a "
            "or another format that FFmpeg reads.",
            reason="not-audio",
        ) from error
    samples = np.concatenate(chunks) if chunks else np.zeros(0, np.float32)
    _refuse_part(samples.size / SAMPLE_RATE, declared, span, name)
    if not np.isfinite(samples).all():
        raise AudioError(
            f"{name} holds samples that are not numbers (NaN or infinite). Export it again.",
            reason="not-finite",
        )
    return Decoded(samples, ear.rate, ear.channels, ear.clipping.share)


def empty(name: str) -> AudioError:
    """The refusal of a file without a single sample."""
    return AudioError(
        f"{name} is empty: it holds no audio. Record or export it again.", reason="empty"
    )


def _track(container: Any, name: str) -> Any:
    if not container.streams.audio:
        raise AudioError(
            f"{name} has no audio stream. Give a recording with sound.", reason="no-audio-stream"
        )
    track = container.streams.audio[0]
    if "enc_key_id" in track.metadata:  # where Matroska's demuxer leaves the key's name
        raise containers.encrypted(name)
    if track.codec_context is None:
        raise AudioError(
            f"{name} holds sound in a codec that FFmpeg does not decode. Convert it to WAV with "
            "the program that wrote it.",
            reason="not-audio",
        )
    return track


class _Ear:
    """Listens to the span of one track, and knows afterwards how the track came."""

    def __init__(self, name: str, span: Span, longest: float | None) -> None:
        self.rate = 0
        self.channels = 0
        self._origin = 0
        self._name, self._span, self._longest = name, span, longest

    def hear(self, container: Any, track: Any) -> Iterator[Floats]:
        """The span as mono chunks at 16 kHz."""
        from av.error import FFmpegError

        to_rate: Any = None
        got = False
        try:
            for block in self._blocks(container, track):
                got = True
                self._refuse_loud(block)
                self.clipping.add(block)
                mono = block.mean(axis=0, dtype=np.float32)
                if self.rate == SAMPLE_RATE:
                    yield mono
                    continue
                if to_rate is None:
                    to_rate = soxr.ResampleStream(self.rate, SAMPLE_RATE, 1, dtype="float32")
                yield to_rate.resample_chunk(mono)
        except (FFmpegError, ValueError) as error:
            if not got and not self.rate:
                raise
            raise AudioError(
                f"{self._name} is damaged: decoding stopped part of the way ({error}). Copy it "
                "again from where it came from.",
                reason="damaged",
            ) from error
        if to_rate is not None:
            yield to_rate.resample_chunk(np.zeros(0, np.float32), last=True)

    def _blocks(self, container: Any, track: Any) -> Iterator[Floats]:
        """The span's samples as [channels, samples], about a second at a time."""
        waiting: list[Floats] = []
        size = 0
        for planes in self._cut(container, track):
            if waiting and planes.shape[0] != waiting[0].shape[0]:
                yield np.concatenate(waiting, axis=1)
                waiting, size = [], 0
            waiting.append(planes)
            size += planes.shape[1]
            if size >= _BLOCK_SECONDS * self.rate:
                yield np.concatenate(waiting, axis=1)
                waiting, size = [], 0
        if waiting:
            yield np.concatenate(waiting, axis=1)

    def _cut(self, container: Any, track: Any) -> Iterator[Floats]:
        """The track's frames, cut to the span."""
        at: int | None = None
        heard = 0
        first = last = 0
        for frame in self._frames(container, track):
            if self.rate == 0:
                self._meet(frame)
                first = round(self._span.start * self.rate)
                if self._span.seconds is not None:
                    last = round((self._span.start + self._span.seconds) * self.rate)
            if frame.rate != self.rate:
                raise ValueError(f"its rate changes from {self.rate} to {frame.rate} Hz")
            if at is None:
                at = self._position(frame)
            planes = _planes(frame)
            begin, end = max(0, first - at), planes.shape[1]
            if last:
                end = min(end, last - at)
            at += planes.shape[1]
            if begin < end:
                heard += end - begin
                self._refuse_long(heard)
                yield planes[:, begin:end]
            if last and at >= last:
                return

    def _frames(self, container: Any, track: Any) -> Iterator[Any]:
        """Decoded frames from shortly before the span on, the first with a known position."""
        if self._span.start > _PREROLL:
            # Where the first sample stands, which a header may state otherwise.
            self._origin = next((frame.pts or 0 for frame in container.decode(track)), 0)
            target = (self._span.start - _PREROLL) / float(track.time_base)
            container.seek(int(target) + self._origin, stream=track)
        frames: Iterator[Any] = container.decode(track)
        return frames

    def _position(self, frame: Any) -> int:
        """Samples of the track before this frame."""
        if self._span.start <= _PREROLL:
            return 0
        ticks = int(frame.pts) - self._origin
        return round(ticks * float(frame.time_base) * self.rate)

    def _meet(self, frame: Any) -> None:
        if not _SLOWEST <= frame.rate <= _FASTEST:
            raise AudioError(
                f"{self._name} is damaged: its header says {frame.rate} Hz, and recordings have "
                f"{_SLOWEST:,} to {_FASTEST:,} Hz. Copy or export it again from where it came "
                "from.",
                reason="damaged",
            )
        self.rate, self.channels = frame.rate, frame.layout.nb_channels
        self.clipping = ClippingMeter(frame.rate)

    def _refuse_loud(self, block: Floats) -> None:
        peak = float(np.abs(block).max(initial=0.0))
        if _LOUDEST < peak < np.inf:  # infinite ones are refused by that name
            raise AudioError(
                f"{self._name} is damaged: a sample is {peak:.3g} times full scale, and no sound "
                f"is above {_LOUDEST:g}. Export it again, with samples between -1 and 1.",
                reason="damaged",
            )

    def _refuse_long(self, heard: int) -> None:
        if self._longest is not None and heard > self._longest * self.rate:
            raise AudioError(
                f"{self._name} is longer than {self._longest:g} s, the most allowed here. Cut it "
                "into parts.",
                reason="too-long",
            )


_SCALES = {"u8": 128.0, "s16": 32768.0, "s32": 2147483648.0, "s64": 2.0**63, "flt": 1.0, "dbl": 1.0}


def _planes(frame: Any) -> Floats:
    """A frame's samples as float32 in -1..1, shape [channels, samples]."""
    values = frame.to_ndarray()
    kind = frame.format.name
    if not frame.format.is_planar:
        values = values.reshape(-1, frame.layout.nb_channels).T
    scale = _SCALES[kind.removesuffix("p")]
    if kind.startswith("u8"):
        values = values.astype(np.float32) - 128.0
    floats: Floats = values.astype(np.float32)
    return floats if scale == 1.0 else floats * np.float32(1.0 / scale)


def _declared(container: Any, track: Any) -> float | None:
    """Seconds that the header promises, where the format has a header that does."""
    if container.format.name.split(",")[0] not in _SIZED:
        return None
    if track.duration is not None:
        return float(track.duration * track.time_base)
    if container.duration is not None and len(container.streams) == 1:
        return float(container.duration) / 1e6
    return None


def _refuse_part(heard: float, declared: float | None, span: Span, name: str) -> None:
    """Raise where less was heard than the header or the span promise."""
    if span.whole:
        if not heard:
            raise empty(name)
        if declared is not None and heard < declared - _TRUNCATED_SECONDS:
            raise containers.truncated(
                name, f"its header promises {declared:.2f} s, {heard:.2f} s are there"
            )
        return
    wanted = span.seconds if span.seconds is not None else 0.0
    if heard and heard >= wanted - _TRUNCATED_SECONDS:
        return
    end = span.start + wanted
    if declared is not None and declared >= end - _TRUNCATED_SECONDS:
        raise containers.truncated(
            name, f"its header promises {declared:.2f} s, and {end:.2f} s are not there"
        )
    raise AudioError(
        f"{name} has no part of {wanted:g} s at {span.start:g} s: it ends before. Correct offset "
        "and duration.",
        reason="outside",
    )
