"""Any recording becomes 16 kHz mono, and what is not a recording is told apart by reason."""

from __future__ import annotations

import io
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile
import soxr
from hypothesis import given
from hypothesis import strategies as st

from data.audio import (
    SAMPLE_RATE,
    Samples,
    decode,
    decode_bytes,
    encode_flac,
    read_flac,
    write_flac,
)
from data.fetch import fetch
from voiceforge.errors import AudioError


@pytest.fixture(scope="module")
def g722(cache: Path) -> Path:
    folder = fetch("prompts-en", cache=cache, offline=False, timeout=10)
    return folder / "usr/share/asterisk/sounds/en_US_f_Allison/vm-login.g722"


@pytest.fixture(scope="module")
def speech(g722: Path) -> Samples:
    return decode(g722)


def _encode(samples: Samples, suffix: str, codec: str, rate: int, layout: str = "mono") -> bytes:
    """The samples as another format, through FFmpeg's own encoders."""
    at_rate = soxr.resample(samples, SAMPLE_RATE, rate).astype(np.float32)
    stream = io.BytesIO()
    with av.open(stream, "w", format=suffix) as container:
        track = container.add_stream(codec, rate=rate, layout=layout)
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


def _reason(content: bytes, name: str, **limits: float) -> str:
    with pytest.raises(AudioError) as caught:
        decode_bytes(content, name, **limits)
    assert name in str(caught.value)
    return caught.value.reason


def test_raw_g722_is_read_by_its_suffix(g722: Path, speech: Samples) -> None:
    assert speech.dtype == np.float32
    # G.722 has 64 kbit/s: two samples a byte.
    assert speech.size == 2 * g722.stat().st_size
    assert 0.3 < np.abs(speech).max() < 1.0
    assert np.array_equal(decode_bytes(g722.read_bytes(), "x.G722"), speech)


@pytest.mark.parametrize(
    ("suffix", "codec", "rate"),
    [
        ("wav", "pcm_s16le", 8000),
        ("wav", "pcm_s24le", 48_000),
        ("wav", "pcm_mulaw", 8000),
        ("flac", "flac", 44_100),
        ("mp3", "libmp3lame", 44_100),
        ("ogg", "libopus", 48_000),
        ("matroska", "aac", 48_000),
        ("webm", "libopus", 48_000),
        ("aiff", "pcm_s16be", 22_050),
    ],
)
def test_formats_give_the_speech_back(speech: Samples, suffix: str, codec: str, rate: int) -> None:
    heard = decode_bytes(_encode(speech, suffix, codec, rate), f"x.{suffix}")
    assert abs(heard.size - speech.size) < 0.06 * SAMPLE_RATE
    size = min(heard.size, speech.size)
    assert np.corrcoef(heard[:size], speech[:size])[0, 1] > 0.97


def test_channels_are_averaged_and_loudness_kept() -> None:
    left = np.sin(np.arange(16_000) / 20).astype(np.float32) * 0.5
    stream = io.BytesIO()
    soundfile.write(stream, np.stack([left, 0 * left], 1), 16_000, format="WAV", subtype="FLOAT")
    assert np.allclose(decode_bytes(stream.getvalue(), "x.wav"), left / 2, atol=1e-6)


def test_a_videos_sound_is_heard(speech: Samples, tmp_path: Path) -> None:
    path = tmp_path / "film.mkv"
    with av.open(str(path), "w") as container:
        picture = container.add_stream("mpeg4", rate=25)
        picture.width, picture.height, picture.pix_fmt = 64, 64, "yuv420p"
        sound = container.add_stream("pcm_s16le", rate=16_000, layout="mono")
        frame = av.AudioFrame.from_ndarray(
            (speech[None, :] * 32767).astype(np.int16), format="s16", layout="mono"
        )
        frame.rate = 16_000
        container.mux(sound.encode(frame))
        for _ in range(25):
            image = av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8), format="rgb24")
            container.mux(picture.encode(image))
        container.mux(picture.encode(None))
    heard = decode(path)
    assert abs(heard.size - speech.size) < 100
    assert np.corrcoef(heard[: speech.size], speech[: heard.size])[0, 1] > 0.99


def test_a_video_without_sound_has_no_audio_stream() -> None:
    stream = io.BytesIO()
    with av.open(stream, "w", format="matroska") as container:
        picture = container.add_stream("mpeg4", rate=25)
        picture.width, picture.height, picture.pix_fmt = 64, 64, "yuv420p"
        image = av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8), format="rgb24")
        container.mux(picture.encode(image))
        container.mux(picture.encode(None))
    assert _reason(stream.getvalue(), "film.mkv") == "no-audio-stream"


@pytest.mark.parametrize("name", ["notes.wav", "notes.g722", "notes.mp3"])
@pytest.mark.parametrize("text", ["Please hold the line.\n", "Grüße, 日本\r\n"])
def test_text_is_not_audio_whatever_its_suffix(name: str, text: str) -> None:
    assert _reason((text * 600).encode(), name) == "not-audio"


def test_a_playlist_opens_nothing(tmp_path: Path, speech: Samples) -> None:
    write_flac(tmp_path / "secret.flac", speech)
    playlists = {
        "x.m3u8": f"#EXTM3U\n#EXTINF:1,\n{tmp_path / 'secret.flac'}\n#EXT-X-ENDLIST\n",
        "x.ffconcat": f"ffconcat version 1.0\nfile {tmp_path / 'secret.flac'}\n",
    }
    for name, text in playlists.items():
        # A zero byte hides it from the check for text: the demuxer itself must be refused.
        assert _reason(text.encode() + b"\0", name) == "not-audio"
        (tmp_path / name).write_bytes(text.encode() + b"\0")
        with pytest.raises(AudioError):
            decode(tmp_path / name)


@pytest.mark.parametrize(
    ("suffix", "codec"), [("wav", "pcm_s16le"), ("flac", "flac"), ("aiff", "pcm_s16be")]
)
def test_a_cut_recording_is_told(speech: Samples, suffix: str, codec: str) -> None:
    whole = _encode(speech, suffix, codec, 16_000)
    assert _reason(whole[: len(whole) * 6 // 10], f"x.{suffix}") in ("truncated", "damaged")


def test_a_wav_from_a_pipe_states_no_size_and_is_whole(speech: Samples) -> None:
    whole = bytearray(_encode(speech, "wav", "pcm_s16le", 16_000))
    at = whole.index(b"data") + 4
    whole[at : at + 4] = b"\xff\xff\xff\xff"
    assert decode_bytes(bytes(whole), "x.wav").size == speech.size


def test_empty_missing_and_folder(tmp_path: Path) -> None:
    (tmp_path / "empty.wav").touch()
    for name, reason in (("empty.wav", "empty"), ("none.wav", "missing"), (".", "missing")):
        with pytest.raises(AudioError) as caught:
            decode(tmp_path / name)
        assert caught.value.reason == reason
    assert _reason(b"", "x.wav") == "empty"
    stream = io.BytesIO()
    soundfile.write(stream, np.zeros(0, np.float32), 16_000, format="WAV")
    assert _reason(stream.getvalue(), "header-only.wav") == "empty"


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_samples_that_are_not_numbers(bad: float) -> None:
    samples = np.zeros(16_000, np.float32)
    samples[8000] = bad
    stream = io.BytesIO()
    soundfile.write(stream, samples, 16_000, format="WAV", subtype="FLOAT")
    assert _reason(stream.getvalue(), "x.wav") == "not-finite"


def test_longest_stops_a_long_recording(speech: Samples) -> None:
    whole = encode_flac(speech)
    assert _reason(whole, "x.flac", longest=1.0) == "too-long"
    assert decode_bytes(whole, "x.flac", longest=60.0).size == speech.size


def _checksum(content: bytes, polynomial: int, bits: int) -> bytes:
    value = 0
    for byte in content:
        value ^= byte << (bits - 8)
        for _ in range(8):
            value = (value << 1) ^ (polynomial if value >> (bits - 1) else 0)
            value &= (1 << bits) - 1
    return value.to_bytes(bits // 8, "big")


def _tiny_flac(rate: int, frames: int = 1) -> bytes:
    """A valid FLAC of constant samples: 13 bytes for each 65,535 of them."""
    count = 65_535 * frames
    content = b"fLaC\x80\0\0\x22" + b"\xff\xff" * 2 + bytes(6)
    content += ((rate << 44) | (15 << 36) | count).to_bytes(8, "big") + bytes(16)
    for number in range(frames):
        head = b"\xff\xf8\x70\x08" + bytes([number]) + b"\xff\xfe"
        frame = head + _checksum(head, 0x07, 8) + b"\0\x10\0"
        content += frame + _checksum(frame, 0x8005, 16)
    return content


@pytest.mark.parametrize("rate", [1, 1999, 768_001])
def test_a_rate_that_no_recording_has_is_damage(rate: int) -> None:
    """At 1 Hz these 55 bytes would be four gigabytes of samples at 16 kHz."""
    content = _tiny_flac(rate)
    assert len(content) == 55
    assert _reason(content, "x.flac") == "damaged"
    assert _reason(content, "x.flac", longest=30.0) == "damaged"


@pytest.mark.parametrize("rate", [2000, 768_000])
def test_the_slowest_and_fastest_rates_are_heard(rate: int) -> None:
    assert decode_bytes(_tiny_flac(rate), "x.flac").size == round(65_535 * SAMPLE_RATE / rate)


def test_too_long_is_told_before_resampling(monkeypatch: pytest.MonkeyPatch) -> None:
    content = _tiny_flac(2000, frames=3)
    assert decode_bytes(content, "x.flac", longest=99.0).size == 3 * 8 * 65_535
    frames: list[int] = []
    stream = soxr.ResampleStream

    class Counting:
        def __init__(self, *settings: object, **more: object) -> None:
            self._stream = stream(*settings, **more)

        def resample_chunk(self, samples: Samples, last: bool = False) -> Samples:
            frames.append(samples.size)
            resampled: Samples = self._stream.resample_chunk(samples, last=last)
            return resampled

    monkeypatch.setattr(soxr, "ResampleStream", Counting)
    assert _reason(content, "x.flac", longest=60.0) == "too-long"
    assert frames == [65_535]


def test_flac_is_exact_and_reproducible(speech: Samples, tmp_path: Path) -> None:
    write_flac(tmp_path / "a" / "x.flac", speech)
    # G.722 decodes to 16 bits, so nothing may be lost.
    assert np.array_equal(read_flac(tmp_path / "a" / "x.flac"), speech)
    assert np.array_equal(decode(tmp_path / "a" / "x.flac"), speech)
    assert encode_flac(speech) == (tmp_path / "a" / "x.flac").read_bytes()
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["x.flac"]


def test_read_flac_refuses_what_a_corpus_never_holds(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "8k.flac", np.zeros(800), 8000)
    (tmp_path / "text.flac").write_text("no")
    for name, reason in (("8k", "damaged"), ("text", "damaged"), ("none", "missing")):
        with pytest.raises(AudioError) as caught:
            read_flac(tmp_path / f"{name}.flac")
        assert caught.value.reason == reason


_HEADS = (b"", b"RIFF\xff\xff\xff\xffWAVEfmt ", b"fLaC", b"OggS", b"ID3", b"\0\0\0\x20ftypM4A ")


@given(st.sampled_from(_HEADS), st.binary(max_size=400), st.sampled_from(["wav", "mp3", "m4a"]))
def test_garbage_is_an_audio_error_or_samples(head: bytes, tail: bytes, suffix: str) -> None:
    try:
        samples = decode_bytes(head + tail, f"x.{suffix}")
    except AudioError as error:
        assert error.reason
    else:
        assert samples.size and np.isfinite(samples).all()
