"""What a file is before FFmpeg sees it: text, encrypted, shorter than its header says.

FFmpeg believes what it is told and goes on as long as it can: it decodes encrypted packets to
noise, takes any bytes for a raw format, and the size of a cut file for its length. So the few bytes
that say otherwise are read here first. Every check leaves the stream at its beginning.
"""

from __future__ import annotations

import codecs
import io
from collections.abc import Iterator
from typing import IO

from voiceforge.errors import AudioError

_RAW = {
    "g722": ("g722", {}),
    "gsm": ("gsm", {}),
    "ulaw": ("mulaw", {"sample_rate": "8000"}),
    "alaw": ("alaw", {"sample_rate": "8000"}),
}
"""Telephony's formats without a header, known by their suffix alone: FFmpeg's name, its options."""

_MAGIC = (
    b"RIFF", b"RF64", b"fLaC", b"OggS", b"ID3", b"FORM", b".snd", b"caff", b"#!AMR", b"riff",
    b"\x1a\x45\xdf\xa3", b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", b"FLV", b"MAC ", b"wvpk", b"TTA1",
)  # fmt: skip
"""How files with a header of their own begin, whatever their suffix says."""

_OTHERS = (b"\xff\xd8\xff", b"\x89PNG", b"GIF8", b"%PDF", b"PK\x03\x04", b"\x1f\x8b", b"\x7fELF")
"""How pictures, documents, archives and programs begin, which a raw format would take for noise."""

_TRUNCATED_SHARE = 0.01
"""How much less than promised still counts as whole: headers round."""

_BOXES = {b"moov", b"trak", b"mdia", b"minf", b"stbl"}
"""The boxes of an MP4 on the way to its tracks' codecs."""

_ENCRYPTED_CODECS = {b"drms", b"drmi", b"drmt", b"enca", b"encv", b"enct", b"encs", b"aavd"}
"""Sample entries of FairPlay (m4p), of Common Encryption (ISO/IEC 23001-7) and of Audible (AAX)."""

_ASF = b"\x30\x26\xb2\x75\x8e\x66\xcf\x11\xa6\xd9\x00\xaa\x00\x62\xce\x6c"
_ASF_ENCRYPTION = (
    b"\xfb\xb3\x11\x22\x23\xbd\xd2\x11\xb4\xb7\x00\xa0\xc9\x55\xfc\x6e",
    b"\x14\xe6\x8a\x29\x22\x26\x17\x4c\xb9\x35\xda\xe0\x7e\xe9\x28\x9c",
)
"""Windows Media: the header object, and the two content encryption objects (ASF, chapter 3)."""

_LARGEST_HEADER = 1 << 20


def raw_format(stream: IO[bytes], name: str) -> tuple[str, dict[str, str]] | None:
    """FFmpeg's name and options of a raw format, or None where the content says what it is.

    Args:
        name: its suffix tells raw formats.

    Raises:
        AudioError: not-audio: a picture, document or archive under such a suffix.
    """
    known = _RAW.get(name.rpartition(".")[2].lower())
    head = _head(stream, 16)
    if known is None or head.startswith(_MAGIC) or head[4:8] in (b"ftyp", b"moov"):
        return None
    if head.startswith(_OTHERS):
        raise AudioError(f"{name} is not a recording: it begins as another file does, a picture, "
                         "document, archive or program.", reason="not-audio")  # fmt: skip
    return known


def refuse_text(stream: IO[bytes], name: str) -> None:
    """Raise not-audio for plain text, which raw formats would take for audio."""
    head = _head(stream, 4096)
    if b"\0" in head:
        return
    try:
        # Incremental, since the head may end inside a letter.
        text = codecs.getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError:
        return
    if all(letter.isprintable() or letter in "\r\n\t\f\ufeff" for letter in text):
        raise AudioError(f"{name} is a text file, not a recording.", reason="not-audio")


def refuse_encrypted(stream: IO[bytes], name: str) -> None:
    """Raise encrypted for MP4 and Windows Media files with copy protection."""
    head = _head(stream, 24)
    try:
        found = (head[4:8] in (b"ftyp", b"moov", b"mdat", b"free", b"wide", b"skip") and any(
            codec in _ENCRYPTED_CODECS for codec in _mp4_codecs(stream)
        )) or (head.startswith(_ASF) and _asf_encrypted(stream, head))  # fmt: skip
    finally:
        stream.seek(0)
    if found:
        raise encrypted(name)


def encrypted(name: str) -> AudioError:
    """The refusal of a file that only its shop's player opens."""
    return AudioError(
        f"{name} is encrypted (copy protection): its sound cannot be decoded. Give a recording "
        "without copy protection.",
        reason="encrypted",
    )


def refuse_short_wav(stream: IO[bytes], name: str) -> None:
    """Raise truncated for a WAV that holds less than its header says."""
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
                    raise truncated(name, f"its header promises {size} bytes, {there} are there")
                return
            stream.seek(start + size + size % 2)
    finally:
        stream.seek(0)


def truncated(name: str, why: str) -> AudioError:
    """The refusal of a file that ends too early."""
    return AudioError(
        f"{name} is cut off: {why}. Copy it again from where it came from.", reason="truncated"
    )


def _head(stream: IO[bytes], size: int) -> bytes:
    head = stream.read(size)
    stream.seek(0)
    return head


def _mp4_codecs(stream: IO[bytes]) -> Iterator[bytes]:
    """The four letters of every track's sample entries (ISO/IEC 14496-12)."""
    end = stream.seek(0, io.SEEK_END)
    todo = [(0, end)]
    while todo:
        at, end = todo.pop()
        while at + 8 <= end:
            stream.seek(at)
            size, kind = int.from_bytes(stream.read(4), "big"), stream.read(4)
            body = at + 8
            if size == 1:
                size, body = int.from_bytes(stream.read(8), "big"), at + 16
            size = size or end - at
            if size < body - at:
                break
            if kind == b"stsd":
                yield from _entries(stream, body, min(at + size, end))
            elif kind in _BOXES:
                todo.append((body, min(at + size, end)))
            at += size


def _entries(stream: IO[bytes], body: int, end: int) -> Iterator[bytes]:
    stream.seek(body + 4)
    count = int.from_bytes(stream.read(4), "big")
    at = body + 8
    for _ in range(min(count, 64)):
        stream.seek(at)
        size, codec = int.from_bytes(stream.read(4), "big"), stream.read(4)
        if size < 8 or at + size > end:
            return
        yield codec
        at += size


def _asf_encrypted(stream: IO[bytes], head: bytes) -> bool:
    size = min(int.from_bytes(head[16:24], "little"), _LARGEST_HEADER)
    header = _head(stream, size)
    return any(guid in header for guid in _ASF_ENCRYPTION)
