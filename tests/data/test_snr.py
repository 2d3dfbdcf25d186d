"""Signal-to-noise ratios of mixtures that were made at known ones."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.audio import SAMPLE_RATE, Samples, decode
from data.augmentation.noise import add_noise, babble, pink_noise, white_noise
from data.fetch import fetch
from data.snr import HIGHEST, signal_to_noise


@pytest.fixture(scope="module")
def clips(cache: Path) -> list[Samples]:
    folder = fetch("prompts-en", cache=cache, offline=False, timeout=10)
    found = [decode(path) for path in sorted(folder.rglob("*.g722"))[::7]]
    return [clip for clip in found if len(clip) > 2 * SAMPLE_RATE][:30]


def heard(clips: list[Samples], noises: list[Samples], snr: float) -> np.ndarray:
    mixed = [add_noise(clip, noise, snr) for clip, noise in zip(clips, noises, strict=True)]
    found = [signal_to_noise(one) for one in mixed]
    assert None not in found
    return np.asarray(found, dtype=np.float64)


@pytest.mark.parametrize("snr", [0.0, 10.0, 20.0, 30.0])
def test_steady_noise_is_measured(clips: list[Samples], snr: float) -> None:
    generator = np.random.default_rng(1)
    white = heard(clips, [white_noise(len(clip), generator) for clip in clips], snr)
    assert abs(np.median(white) - snr) < 0.5
    assert np.quantile(abs(white - snr), 0.9) < 2.0
    pink = heard(clips, [pink_noise(len(clip), generator) for clip in clips], snr)
    assert abs(np.median(pink) - snr) < 2.0


def test_babble_is_measured_within_some_decibels_and_in_order(clips: list[Samples]) -> None:
    generator = np.random.default_rng(2)
    noises = [babble(len(clip), clips[:6], generator) for clip in clips]
    medians = [float(np.median(heard(clips, noises, snr))) for snr in (0.0, 10.0, 20.0)]
    assert medians == sorted(medians)
    assert all(
        -1.0 < found - snr < 8.0 for found, snr in zip(medians, (0.0, 10.0, 20.0), strict=True)
    )


@given(st.floats(0.05, 1.0), st.integers(0, 5))
def test_gain_does_not_matter(gain: float, seed: int) -> None:
    generator = np.random.default_rng(seed)
    noise = 0.01 * generator.standard_normal(SAMPLE_RATE * 2)
    bursts = np.repeat(generator.integers(0, 2, 20), SAMPLE_RATE // 10)
    bursts[:3200], bursts[-3200:] = 0, 1
    samples = (noise + 0.2 * bursts * generator.standard_normal(len(noise))).astype(np.float32)
    once, again = signal_to_noise(samples), signal_to_noise((gain * samples).astype(np.float32))
    assert once is not None
    assert again == pytest.approx(once, abs=0.01)
    assert 15.0 < once < 30.0


def test_what_has_no_noise_has_the_highest_ratio() -> None:
    samples = np.zeros(SAMPLE_RATE, np.float32)
    samples[8000:] = np.sin(np.arange(8000) / 5).astype(np.float32)
    assert signal_to_noise(samples) == HIGHEST


@pytest.mark.parametrize("length", [0, 100, SAMPLE_RATE])
def test_silence_has_no_ratio(length: int) -> None:
    assert signal_to_noise(np.zeros(length, np.float32)) is None
