"""Signal facts against recordings whose facts are known because they were made so."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soxr
from hypothesis import given
from hypothesis import strategies as st
from scipy import signal

from data.audio import SAMPLE_RATE, Samples, decode
from data.fetch import fetch
from data.signals import ClippingMeter, bandwidth, clipped_share, level_and_silence


@pytest.fixture(scope="module")
def speech(cache: Path) -> Samples:
    folder = fetch("prompts-en", cache=cache, offline=False, timeout=10)
    return decode(next(folder.rglob("vm-login.g722")))


@pytest.mark.parametrize("rate", [8000, 16_000, 48_000, 192_000])
@pytest.mark.parametrize("turned_down", [1.0, 0.1])
def test_clipping_is_the_share_of_flat_tops(speech: Samples, rate: int, turned_down: float) -> None:
    at_rate = soxr.resample(speech, SAMPLE_RATE, rate)
    assert clipped_share(at_rate, rate) < 1e-4
    ceiling = 0.25 * np.abs(at_rate).max()
    clipped = np.clip(at_rate, -ceiling, ceiling) * turned_down
    flat = float((np.abs(at_rate) >= ceiling).mean())
    assert 0.6 * flat < clipped_share(clipped, rate) <= flat


@given(st.integers(1, 9), st.floats(0.01, 1.0), st.integers(50, 3000))
def test_blocks_do_not_matter_much_and_gain_not_at_all(parts: int, gain: float, hertz: int) -> None:
    wave = np.sin(2 * np.pi * hertz / SAMPLE_RATE * np.arange(16_000)).astype(np.float32)
    clipped = np.clip(wave * np.linspace(0.2, 2.0, 16_000, dtype=np.float32), -0.9, 0.9) * gain
    meter = ClippingMeter(SAMPLE_RATE)
    for part in np.array_split(clipped.astype(np.float32), parts):
        meter.add(part[None, :])
    whole = clipped_share(clipped.astype(np.float32))
    assert abs(meter.share - whole) < 0.01
    assert abs(whole - clipped_share((clipped / gain).astype(np.float32))) < 0.02


def test_silence_has_no_ceiling() -> None:
    assert clipped_share(np.zeros(16_000, np.float32)) == 0.0
    assert clipped_share(np.full(16_000, 1e-5, np.float32)) == 0.0


@given(st.floats(0.0, 0.9), st.floats(0.001, 1.0))
def test_level_is_that_of_what_sounds(share: float, gain: float) -> None:
    frames = 100
    silent = round(share * frames)
    samples = np.zeros(frames * 320, np.float32)
    wave = np.sqrt(2) * gain * np.sin(2 * np.pi * 400 / SAMPLE_RATE * np.arange(samples.size))
    samples[silent * 320 :] = wave[silent * 320 :]
    samples[: silent * 320] += 1e-3 * wave[: silent * 320]  # 60 dB below
    level, quiet = level_and_silence(samples)
    assert level == pytest.approx(20 * np.log10(gain), abs=0.1)
    assert quiet == pytest.approx(silent / frames, abs=0.011)


def test_digital_silence_and_single_samples_have_figures() -> None:
    assert level_and_silence(np.zeros(1000, np.float32)) == (-120.0, 1.0)
    level, silence = level_and_silence(np.ones(1, np.float32))
    assert level < 0 and silence == 0.0
    assert bandwidth(np.zeros(1000, np.float32)) == 0.0
    assert bandwidth(np.ones(1, np.float32)) == 0.0


@pytest.mark.parametrize("cut", [1000, 2000, 3400, 5500])
def test_bandwidth_ends_at_the_filter(speech: Samples, cut: int) -> None:
    assert bandwidth(speech) > 6000
    steep = signal.firwin(1001, cut, fs=SAMPLE_RATE, window=("kaiser", 10.0))
    heard = bandwidth(np.convolve(speech, steep, "same").astype(np.float32))
    assert cut - 400 <= heard <= cut + 150
    louder = bandwidth((speech * 0.01 + 0.2).astype(np.float32))
    assert abs(louder - bandwidth(speech)) < 40  # neither gain nor a mean counts


def test_bandwidth_is_that_of_an_independent_spectrum(speech: Samples) -> None:
    hertz, power = signal.welch(
        speech, SAMPLE_RATE, "blackmanharris", 512, 512 - 160, detrend=False, scaling="spectrum"
    )
    power[hertz < 50] = 0
    assert abs(bandwidth(speech) - hertz[power > 1e-5 * power.max()][-1]) <= 2 * hertz[1]
