"""Any recording becomes 16 kHz mono, and what is not a recording is told apart by reason."""

from __future__ import annotations

import io
import os
import stat
import tracemalloc
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
    Span,
    decode,
    decode_bytes,
    decode_file,
    encode_flac,
    read_flac,
    write_flac,
)
from data.decoding import WHOLE, decode_stream
from data.fetch import fetch
from tests.data.recordings import (
    encode,
    encrypted_matroska,
    long_wav,
    prompts,
    with_asf_encryption,
)
from voiceforge.errors import AudioError


@pytest.fixture(scope="module")
def g722(cache: Path) -> Path:
    folder = fetch("prompts-en", cache=cache, offline=False, timeout=10)
    return folder / "usr/share/asterisk/sounds/en_US_f_Allison/vm-login.g722"


@pytest.fixture(scope="module")
def speech(g722: Path) -> Samples:
    return decode(g722)


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
    heard = decode_bytes(encode(speech, suffix, codec, rate), f"x.{suffix}")
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
    whole = encode(speech, suffix, codec, 16_000)
    assert _reason(whole[: len(whole) * 6 // 10], f"x.{suffix}") in ("truncated", "damaged")


def test_a_wav_from_a_pipe_states_no_size_and_is_whole(speech: Samples) -> None:
    whole = bytearray(encode(speech, "wav", "pcm_s16le", 16_000))
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


@pytest.mark.parametrize("peak", [101.0, 32_768.0, 1e17, 3e38])
@pytest.mark.parametrize("rate", [16_000, 44_100])
def test_samples_far_above_full_scale_are_damage(peak: float, rate: int) -> None:
    wave = np.sin(np.arange(rate) / 20)
    stream = io.BytesIO()
    soundfile.write(stream, wave * peak, rate, format="WAV", subtype="FLOAT")
    assert _reason(stream.getvalue(), "x.wav") == "damaged"
    loud = io.BytesIO()
    soundfile.write(loud, wave * 50.0, rate, format="WAV", subtype="FLOAT")
    assert np.abs(decode_bytes(loud.getvalue(), "x.wav")).max() == pytest.approx(50.0, rel=0.01)


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


_SEEKABLE = [
    ("x.wav", "wav", "pcm_s16le", 44_100),
    ("x.flac", "flac", "flac", 44_100),
    ("x.mp3", "mp3", "libmp3lame", 44_100),
    ("x.m4a", "ipod", "aac", 48_000),
    ("x.aac", "adts", "aac", 16_000),
    ("x.opus", "ogg", "libopus", 48_000),
    ("x.wma", "asf", "wmav2", 44_100),
    ("x.webm", "webm", "libopus", 48_000),
    ("x.mkv", "matroska", "aac", 48_000),
    ("x.ts", "mpegts", "aac", 48_000),
    ("x.g722", "g722", "g722", 16_000),
    ("x.ulaw", "mulaw", "pcm_mulaw", 8000),
]


@pytest.fixture(scope="module")
def minute(cache: Path) -> Samples:
    """A minute of different prompts, so that every place sounds like itself."""
    folder = fetch("prompts-en", cache=cache, offline=False, timeout=10)
    long = [samples for _, samples in prompts(folder, 120) if samples.size > SAMPLE_RATE]
    return np.concatenate(long)[: 60 * SAMPLE_RATE]


@pytest.mark.parametrize(("name", "suffix", "codec", "rate"), _SEEKABLE)
def test_a_segment_is_that_part_of_the_whole(
    minute: Samples, tmp_path: Path, name: str, suffix: str, codec: str, rate: int
) -> None:
    path = tmp_path / name
    bits = 64_000 if codec == "wmav2" else 0
    path.write_bytes(encode(minute, suffix, codec, rate, bits=bits))
    whole = decode(path)
    for start, seconds in ((0.0, 2.0), (0.6, 2.0), (2.37, 3.0), (41.123, 2.5)):
        part = decode_file(path, Span(start, seconds))
        assert abs(part.samples.size - seconds * SAMPLE_RATE) <= 1
        # A resampler that begins elsewhere is off by less than a sample; Matroska and Windows
        # Media keep times in milliseconds.
        slack = 16 if suffix in ("matroska", "webm", "asf") else 0
        begin, heard = round(start * SAMPLE_RATE), part.samples[slack : part.samples.size - slack]
        assert (
            max(
                np.corrcoef(heard, whole[begin + slack + lag :][: heard.size])[0, 1]
                for lag in range(-min(slack, begin), slack + 1)
            )
            > 0.99
        )
        assert part.rate == rate and part.channels == 1
    rest = decode_file(path, Span(50.0)).samples
    assert abs(rest.size - (whole.size - 50 * SAMPLE_RATE)) <= 1 + slack
    for start, seconds in ((200.0, 1.0), (whole.size / SAMPLE_RATE - 0.5, 3.0)):
        with pytest.raises(AudioError) as caught:
            decode_file(path, Span(start, seconds))
        assert caught.value.reason == "outside"


def test_a_segment_that_was_cut_off_is_truncated(minute: Samples, tmp_path: Path) -> None:
    path = tmp_path / "x.wav"
    whole = encode(minute, "wav", "pcm_s16le", 16_000)
    path.write_bytes(whole[: len(whole) // 2])
    assert decode_file(path, Span(20.0, 2.0)).samples.size == 2 * SAMPLE_RATE
    for start in (29.0, 50.0):
        with pytest.raises(AudioError) as caught:
            decode_file(path, Span(start, 3.0))
        assert caught.value.reason in ("truncated", "outside")


def test_three_hours_cost_what_is_wanted_of_them(speech: Samples, tmp_path: Path) -> None:
    path = tmp_path / "day.wav"
    long_wav(path, 3 * 3600, speech, at=9000)
    tracemalloc.start()
    with pytest.raises(AudioError) as caught:
        decode(path, longest=30.0)
    assert caught.value.reason == "too-long"
    seconds = speech.size / SAMPLE_RATE
    part = decode_file(path, Span(9000.0, seconds), longest=30.0)
    assert np.array_equal(part.samples, speech)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 15e6  # three hours are 691 MB as samples


def test_eight_channels_at_192_khz(speech: Samples, tmp_path: Path) -> None:
    fast = soxr.resample(speech, SAMPLE_RATE, 192_000)
    planes = np.stack([fast * (number == 3) for number in range(8)], axis=1)
    soundfile.write(tmp_path / "x.wav", planes, 192_000, subtype="PCM_24")
    heard = decode_file(tmp_path / "x.wav")
    assert (heard.rate, heard.channels) == (192_000, 8)
    size = min(heard.samples.size, speech.size)
    assert np.allclose(heard.samples[:size], speech[:size] / 8, atol=2e-3)


@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE"])
def test_every_width_of_sample_has_the_same_scale(speech: Samples, subtype: str) -> None:
    stream = io.BytesIO()
    soundfile.write(stream, np.stack([speech, speech], 1), 16_000, format="WAV", subtype=subtype)
    exact = 1 / 100 if subtype == "PCM_U8" else 1 / 30_000
    assert np.allclose(decode_bytes(stream.getvalue(), "x.wav"), speech, atol=exact)


def test_raw_telephony_is_read_by_its_suffix(speech: Samples) -> None:
    for law in ("mulaw", "alaw"):
        heard = decode_bytes(encode(speech, law, f"pcm_{law}", 8000), f"x.{law.replace('m', '')}")
        assert np.corrcoef(heard[: speech.size], speech[: heard.size])[0, 1] > 0.97
    frames = np.random.default_rng(1).integers(0, 256, (50, 33), np.uint8)
    frames[:, 0] = 0xD0 | (frames[:, 0] & 0x0F)  # GSM's mark: 20 ms in 33 bytes
    assert decode_bytes(frames.tobytes(), "x.gsm").size == SAMPLE_RATE
    stream = io.BytesIO()
    narrow = soxr.resample(speech, SAMPLE_RATE, 8000)
    soundfile.write(stream, narrow, 8000, format="WAV", subtype="GSM610")
    heard = decode_bytes(stream.getvalue(), "x.wav")
    assert np.corrcoef(heard[: speech.size], speech[: heard.size])[0, 1] > 0.9


@pytest.mark.parametrize("name", ["x.g722", "x.mp3", "x.txt", "x"])
@pytest.mark.parametrize(("suffix", "codec"), [("wav", "pcm_s16le"), ("ogg", "libopus")])
def test_content_decides_where_it_says_what_it_is(
    speech: Samples, name: str, suffix: str, codec: str
) -> None:
    heard = decode_bytes(encode(speech, suffix, codec, 48_000), name)
    assert abs(heard.size - speech.size) < 0.06 * SAMPLE_RATE
    assert np.corrcoef(heard[: speech.size], speech[: heard.size])[0, 1] > 0.95


@pytest.mark.parametrize("head", [b"\xff\xd8\xff\xe0\0\x10JFIF\0", b"\x89PNG\r\n", b"PK\x03\x04"])
def test_a_picture_or_archive_is_no_telephony(head: bytes) -> None:
    assert _reason(head + np.random.default_rng(2).bytes(4000), "x.g722") == "not-audio"


_KEY = {"encryption_scheme": "cenc-aes-ctr", "encryption_key": "0123456789abcdef" * 2,
        "encryption_kid": "fedcba9876543210" * 2}  # fmt: skip


def test_copy_protection_is_told(speech: Samples) -> None:
    plain = encode(speech, "ipod", "aac", 48_000)
    assert decode_bytes(plain, "x.m4a").size
    assert plain.count(b"mp4a") == 1
    protected = {
        "cenc.mp4": encode(speech, "mp4", "aac", 48_000, options=_KEY),
        "song.m4p": plain.replace(b"mp4a", b"drms"),
        "book.aax": plain.replace(b"mp4a", b"aavd").replace(b"ftypM4A ", b"ftypaax "),
        "song.wma": with_asf_encryption(encode(speech, "asf", "wmav2", 44_100, bits=64_000)),
        "film.webm": encrypted_matroska(),
    }
    for name, content in protected.items():
        assert _reason(content, name) == "encrypted", name
    assert decode_bytes(encode(speech, "asf", "wmav2", 44_100, bits=64_000), "x.wma").size
    fragmented = {"movflags": "frag_keyframe+empty_moov"}
    assert decode_bytes(encode(speech, "mp4", "aac", 48_000, options=fragmented), "x.mp4").size


@given(st.binary(max_size=300), st.integers(0, 40))
def test_boxes_that_lie_about_their_size_end(content: bytes, size: int) -> None:
    head = size.to_bytes(4, "big") + b"ftyp" + (size // 2).to_bytes(4, "big") + b"moov"
    with pytest.raises(AudioError):
        decode_bytes(head + content, "x.mp4")


def test_odd_places_for_a_recording(speech: Samples, tmp_path: Path) -> None:
    odd = tmp_path / "my calls \N{PARTY POPPER} – été" / "first call.wav"
    odd.parent.mkdir()
    odd.write_bytes(encode(speech, "wav", "pcm_s16le", 16_000))
    assert decode(odd).size == speech.size
    (tmp_path / "loop.wav").symlink_to(tmp_path / "pool.wav")
    (tmp_path / "pool.wav").symlink_to(tmp_path / "loop.wav")
    os.mkfifo(tmp_path / "pipe.wav")
    assert stat.S_ISFIFO((tmp_path / "pipe.wav").stat().st_mode)
    for name in ("loop.wav", "pipe.wav", "n" * 300 + ".wav", "first.wav/x.wav"):
        with pytest.raises(AudioError) as caught:
            decode(tmp_path / name)
        assert caught.value.reason == "missing"


def test_clipping_is_seen_before_mixing_and_resampling(speech: Samples) -> None:
    loud = np.clip(6 * speech, -1, 1) * 0.4
    left = soxr.resample(loud, SAMPLE_RATE, 48_000)
    left = np.clip(left, -0.4, 0.4)
    stream = io.BytesIO()
    soundfile.write(stream, np.stack([left, 0 * left], 1), 48_000, format="WAV", subtype="PCM_16")
    stream.seek(0)
    assert decode_stream(stream, "x.wav", WHOLE, None).clipped > 0.01
    clean = io.BytesIO(encode(speech, "wav", "pcm_s16le", 48_000))
    assert decode_stream(clean, "x.wav", WHOLE, None).clipped < 0.001
