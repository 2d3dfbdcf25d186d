"""Noise: its colour, and the ratio it was asked for, measured on what comes out."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.audio import SAMPLE_RATE, Samples
from data.augmentation.level import active_level, mean_level
from data.augmentation.noise import add_noise, babble, pink_noise, white_noise

OCTAVES = [(low, 2 * low) for low in (62.5, 125, 250, 500, 1000, 2000, 4000)]


def decibels_in(noise: Samples, low: float, high: float) -> float:
    power = np.abs(np.fft.rfft(noise.astype(np.float64))) ** 2
    hertz = np.fft.rfftfreq(len(noise), 1 / SAMPLE_RATE)
    return float(10 * np.log10(power[(hertz >= low) & (hertz < high)].sum()))


def test_white_noise_gains_three_decibels_an_octave_and_pink_noise_none() -> None:
    for make, slope in ((white_noise, 3.01), (pink_noise, 0.0)):
        noise = make(60 * SAMPLE_RATE, np.random.default_rng(4))
        levels = [decibels_in(noise, *octave) for octave in OCTAVES]
        np.testing.assert_allclose(np.diff(levels), slope, atol=0.3)
        assert abs(float(noise.mean())) < 0.01 * float(noise.std())


@pytest.mark.parametrize("length", [1, 999, 16_001])
def test_noise_has_as_many_samples_as_asked_for_and_repeats_with_its_seed(length: int) -> None:
    for make in (white_noise, pink_noise):
        first, second, other = (make(length, np.random.default_rng(seed)) for seed in (1, 1, 2))
        assert (first.shape, first.dtype) == ((length,), np.dtype(np.float32))
        np.testing.assert_array_equal(first, second)
        assert (first != other).any()


@settings(max_examples=25)
@given(snr=st.floats(-10.0, 60.0), kind=st.sampled_from(["white", "pink", "babble"]))
def test_the_ratio_is_the_one_asked_for(
    speech: Samples, voices: list[Samples], snr: float, kind: str
) -> None:
    rng = np.random.default_rng(2)
    quiet = speech * np.float32(0.2)
    if kind == "babble":
        noise = babble(len(quiet), voices[1:], rng)
    else:
        noise = {"white": white_noise, "pink": pink_noise}[kind](len(quiet), rng)
    heard = add_noise(quiet, noise, snr)
    added = heard.astype(np.float64) - quiet
    level = 10 * np.log10(np.mean(added**2))
    assert active_level(quiet) - level == pytest.approx(snr, abs=0.1)
    assert np.abs(heard).max() <= 1.0


def test_a_sum_that_would_leave_the_range_is_turned_down_as_a_whole(speech: Samples) -> None:
    """Nothing is clipped: the result is a multiple of speech and noise at the ratio."""
    loud = speech / np.abs(speech).max()
    noise = white_noise(len(loud), np.random.default_rng(3))
    heard = add_noise(loud, noise, 0.0)
    assert np.abs(heard).max() == pytest.approx(1.0)
    gains, residue, *_ = np.linalg.lstsq(
        np.stack([loud, noise], axis=1).astype(np.float64), heard.astype(np.float64), rcond=None
    )
    assert residue[0] < 1e-6
    ratio = active_level(loud) - mean_level(noise * np.float32(gains[1] / gains[0]))
    assert ratio == pytest.approx(0.0, abs=0.1)


def test_babble_holds_every_voice_alike_however_loud_it_was(voices: list[Samples]) -> None:
    loud, quiet = voices[1], voices[2] * np.float32(0.01)
    length = 5 * SAMPLE_RATE
    rng = np.random.default_rng(0)
    together = babble(length, [loud, quiet], rng)
    rng = np.random.default_rng(0)
    alone = [babble(length, [voice], rng) for voice in (loud, quiet)]
    np.testing.assert_allclose(together, alone[0] + alone[1], rtol=1e-4, atol=1e-4)
    assert mean_level(alone[0]) == pytest.approx(mean_level(alone[1]), abs=2.0)


def test_where_nobody_speaks_nothing_is_added(speech: Samples) -> None:
    silence = np.zeros_like(speech)
    noise = white_noise(len(speech), np.random.default_rng(0))
    np.testing.assert_array_equal(add_noise(silence, noise, 10.0), silence)
    np.testing.assert_array_equal(add_noise(speech, silence, 10.0), speech)
    assert not babble(100, [silence], np.random.default_rng(0)).any()
