"""Codecs against other implementations: the standards' tables, FFmpeg's decoders, the spectrum."""

from __future__ import annotations

import io
import warnings
from typing import Any

import av
import numpy as np
import pytest
import soundfile
import soxr
from hypothesis import given, settings
from hypothesis import strategies as st

from data.audio import SAMPLE_RATE, Samples
from data.augmentation.codecs import line_codec, through_codec
from voiceforge.params import CodecKind

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)
    import audioop

KINDS: list[tuple[CodecKind, int]] = [
    ("mu-law", 0),
    ("a-law", 0),
    ("gsm", 0),
    ("opus", 8000),
    ("opus", 24000),
]


def share_of_power(samples: Samples, low: float, high: float) -> float:
    power = np.abs(np.fft.rfft(samples.astype(np.float64))) ** 2
    hertz = np.fft.rfftfreq(len(samples), 1 / SAMPLE_RATE)
    return float(power[(hertz >= low) & (hertz < high)].sum() / power.sum())


def mu_law() -> dict[int, int]:
    """G.711's positive mu-law values in 16 bits, each with half of its interval's width."""
    segment, step = np.divmod(np.arange(128), 16)
    values = 4 * (((2 * step + 33) << segment) - 33)
    return dict(zip(values.tolist(), (4 << segment).tolist(), strict=True))


def a_law() -> dict[int, int]:
    """G.711's positive A-law values in 16 bits, each with half of its interval's width."""
    segment, step = np.divmod(np.arange(128), 16)
    scale = 8 << np.maximum(segment - 1, 0)
    values = np.where(segment, (2 * step + 33) * scale, (2 * step + 1) * 8)
    return dict(zip(values.tolist(), scale.tolist(), strict=True))


@pytest.mark.parametrize(
    ("kind", "table", "decode", "encode", "border"),
    [
        ("mu-law", mu_law(), audioop.ulaw2lin, audioop.lin2ulaw, 4),
        ("a-law", a_law(), audioop.alaw2lin, audioop.lin2alaw, 16),
    ],
)
def test_g711_gives_the_value_of_the_standard_in_whose_interval_a_sample_lies(
    kind: CodecKind, table: dict[int, int], decode: Any, encode: Any, border: int
) -> None:
    """All 65,536 samples; the law's own input is coarser than 16 bits by `border`, and at the end
    of an interval encoders differ by that."""
    every = np.arange(-32768, 32768)
    ours = np.rint(line_codec((every / 32768).astype(np.float32), kind) * 32768).astype(int)
    assert set(np.abs(ours)) == set(table)
    half = np.array([table[value] for value in np.abs(ours).tolist()])
    within = np.abs(every) <= max(table) + max(table.values())
    assert (np.abs(ours - every)[within] <= half[within] + border).all()
    theirs = np.frombuffer(decode(encode(every.astype("<i2").tobytes(), 2), 2), "<i2").astype(int)
    assert np.mean(ours != theirs) < 0.01


@settings(max_examples=20)
@given(st.integers(0, 4000))
def test_gsm_frames_mean_to_ffmpeg_what_they_mean_here(speech: Samples, start: int) -> None:
    """The same GSM 06.10 frames, decoded by libsndfile and by FFmpeg, bit by bit."""
    narrow = soxr.resample(speech[start : start + 16_000], SAMPLE_RATE, 8000)[:7680]
    stream = io.BytesIO()
    pcm = np.rint(narrow * 32768).astype("i2")
    soundfile.write(stream, pcm, 8000, format="WAV", subtype="GSM610")
    assert len(stream.getvalue()) < len(pcm) * 13.2 / 64 + 100  # 13 kbit/s
    stream.seek(0)
    with av.open(stream) as container:
        assert container.streams.audio[0].codec.name == "gsm_ms"
        theirs = np.concatenate([frame.to_ndarray() for frame in container.decode(audio=0)], axis=1)
    ours = np.rint(line_codec(narrow, "gsm") * 32768).astype(int)
    np.testing.assert_array_equal(ours, theirs[0, : len(ours)])


@pytest.mark.parametrize("kind", ["mu-law", "a-law", "gsm"])
def test_a_telephone_line_passes_300_to_3400_hertz(kind: CodecKind) -> None:
    for hertz, passes in ((100, False), (200, False), (500, True), (3000, True), (3800, False)):
        tone = 0.3 * np.sin(2 * np.pi * hertz * np.arange(SAMPLE_RATE) / SAMPLE_RATE)
        heard = through_codec(tone.astype(np.float32), kind)[2000:-2000]
        gain = 20 * np.log10(np.sqrt(np.mean(heard**2)) / (0.3 / np.sqrt(2)) + 1e-9)
        assert gain > -4.0 if passes else gain < -20.0, (hertz, gain)


@pytest.mark.parametrize(
    ("kind", "bit_rate", "correlation"),
    [("mu-law", 0, 0.99), ("a-law", 0, 0.99), ("gsm", 0, 0.95), ("opus", 8000, 0.9),
     ("opus", 24000, 0.97)],
)  # fmt: skip
def test_what_is_left_is_the_speech_in_its_place(
    speech: Samples, kind: CodecKind, bit_rate: int, correlation: float
) -> None:
    """Between 400 and 3000 Hz, which every codec passes, it follows the original."""
    heard = through_codec(speech, kind, bit_rate)
    spectra = [np.fft.rfft(part, 1 << 18) for part in (speech, heard)]
    hertz = np.fft.rfftfreq(1 << 18, 1 / SAMPLE_RATE)
    band = (hertz > 400) & (hertz < 3000)
    own, other = (np.where(band, spectrum, 0) for spectrum in spectra)
    lags = np.fft.irfft(own.conj() * other)
    lag = int(np.argmax(lags))
    assert min(lag, (1 << 18) - lag) <= 2
    norms = [np.linalg.norm(np.fft.irfft(spectrum)) for spectrum in (own, other)]
    assert lags[lag] / np.prod(norms) > correlation


def test_bit_rates_and_lines_decide_what_is_left_above_four_kilohertz(
    voices: list[Samples],
) -> None:
    hiss = np.random.default_rng(0).normal(0, 0.1, 4 * SAMPLE_RATE).astype(np.float32)
    above = {
        (kind, rate): share_of_power(through_codec(hiss, kind, rate), 4300, 8000)
        for kind, rate in [*KINDS, ("opus", 6000)]
    }
    assert all(above[kind, 0] < 1e-3 for kind in ("mu-law", "a-law", "gsm"))
    assert above["opus", 6000] < 1e-2
    assert above["opus", 24000] > 0.2


def test_opus_keeps_more_the_more_bits_it_has(speech: Samples) -> None:
    def distortion(bit_rate: int) -> float:
        spectra = [
            np.abs(np.lib.stride_tricks.sliding_window_view(part, 512)[::256] * np.hanning(512))
            for part in (speech, through_codec(speech, "opus", bit_rate))
        ]
        logs = [np.log(np.abs(np.fft.rfft(windows)) + 1e-3) for windows in spectra]
        return float(np.mean(np.abs(logs[0] - logs[1])))

    rates = [6000, 12000, 24000, 64000]
    assert np.all(np.diff([distortion(rate) for rate in rates]) < 0)


@settings(max_examples=40)
@given(st.sampled_from(KINDS), st.integers(0, 9000), st.floats(0.0, 1.0))
def test_any_clip_keeps_its_length_and_range(
    codec: tuple[CodecKind, int], length: int, level: float
) -> None:
    samples = np.random.default_rng(length).choice([-1.0, 1.0], length) * level
    heard = through_codec(samples.astype(np.float32), *codec)
    assert (heard.shape, heard.dtype) == ((length,), np.dtype(np.float32))
    assert np.abs(heard).max(initial=0.0) <= 1.0
    assert np.isfinite(heard).all()
