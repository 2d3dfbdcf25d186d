"""Real bytes for tests of audio: speech in any format that FFmpeg writes, files made by hand."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from pathlib import Path

import av
import numpy as np
import soundfile
import soxr

from data.audio import SAMPLE_RATE, Samples, decode


def prompts(folder: Path, count: int) -> Iterator[tuple[str, Samples]]:
    """Names and samples of the first prompts of a fetched language."""
    for path in sorted(folder.rglob("*.g722"))[:count]:
        yield path.stem, decode(path)


def encode(
    samples: Samples,
    suffix: str,
    codec: str,
    rate: int,
    layout: str = "mono",
    *,
    bits: int = 0,
    options: Mapping[str, str] | None = None,
) -> bytes:
    """The samples as another format, through FFmpeg's own encoders; `bits` a second if given."""
    at_rate = soxr.resample(samples, SAMPLE_RATE, rate).astype(np.float32)
    stream = io.BytesIO()
    with av.open(stream, "w", format=suffix, options=dict(options or {})) as container:
        track = container.add_stream(codec, rate=rate, layout=layout)
        if bits:
            track.bit_rate = bits
        frame = av.AudioFrame.from_ndarray(at_rate[None, :], format="fltp", layout="mono")
        frame.rate, frame.pts = rate, 0
        fit = av.AudioResampler(track.codec_context.format, layout, rate)
        fifo = av.AudioFifo()
        for part in fit.resample(frame):
            fifo.write(part)
        size = track.codec_context.frame_size or at_rate.size
        while part := fifo.read(size, partial=True):
            container.mux(track.encode(part))
        container.mux(track.encode(None))
    return stream.getvalue()


def long_wav(path: Path, seconds: int, speech: Samples, at: int) -> None:
    """A WAV of that length, silent but for `speech` at `at` seconds; its silence takes no disk."""
    stream = io.BytesIO()
    soundfile.write(stream, np.zeros(1, np.int16), SAMPLE_RATE, format="WAV", subtype="PCM_16")
    head = bytearray(stream.getvalue()[:-2])
    size = 2 * SAMPLE_RATE * seconds
    head[4:8] = (len(head) - 8 + size).to_bytes(4, "little")
    head[-4:] = size.to_bytes(4, "little")
    with path.open("wb") as file:
        file.write(head)
        file.truncate(len(head) + size)
        file.seek(len(head) + 2 * SAMPLE_RATE * at)
        file.write(np.rint(speech * 32768).astype("<i2").tobytes())


def encrypted_matroska() -> bytes:
    """A Matroska file whose only track says that its blocks are encrypted (element 0x5035)."""

    def element(name: str, *content: bytes) -> bytes:
        body = b"".join(content)
        return bytes.fromhex(name) + (len(body) | 1 << 56).to_bytes(8, "big") + body

    def number(name: str, value: int) -> bytes:
        return element(name, value.to_bytes(2, "big"))

    encryption = element("5035", number("47e1", 5), element("47e2", b"0123456789abcdef"))
    encoding = element("6240", number("5031", 0), number("5032", 1), number("5033", 1), encryption)
    audio = element("e1", element("b5", np.array([16e3], ">f8").tobytes()), number("9f", 1),
                    number("6264", 16))  # fmt: skip
    track = element("ae", number("d7", 1), number("73c5", 1), number("83", 2),
                    element("86", b"A_PCM/INT/LIT"), audio, element("6d80", encoding))  # fmt: skip
    block = element("a3", b"\x81\0\0\0" + np.random.default_rng(0).bytes(3200))
    segment = element("18538067", element("1549a966", number("2ad7b1", 1)),
                      element("1654ae6b", track),
                      element("1f43b675", number("e7", 0), block))  # fmt: skip
    return element("1a45dfa3", element("4282", b"matroska")) + segment


def with_asf_encryption(whole: bytes) -> bytes:
    """A Windows Media file with the Content Encryption Object that its DRM adds to the header."""
    guid = bytes.fromhex("fbb31122 23bd d211 b4b7 00a0c955fc6e".replace(" ", ""))
    added = guid + (40).to_bytes(8, "little") + bytes(16)
    size = int.from_bytes(whole[16:24], "little") + len(added)
    count = int.from_bytes(whole[24:28], "little") + 1
    head = whole[:16] + size.to_bytes(8, "little") + count.to_bytes(4, "little") + whole[28:30]
    return head + added + whole[30:]
