"""Speed perturbation: duration and pitch change by the ratio, and nothing else."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.audio import SAMPLE_RATE, Samples
from data.augmentation.speed import change_speed


@given(st.integers(0, 20_000), st.floats(0.5, 2.0))
def test_duration_is_divided_by_the_ratio(length: int, ratio: float) -> None:
    samples = np.random.default_rng(length).uniform(-1, 1, length).astype(np.float32)
    changed = change_speed(samples, ratio)
    assert len(changed) == round(length / ratio)
    assert changed.dtype == np.float32
    assert np.abs(changed).max(initial=0.0) <= 1.0


@pytest.mark.parametrize("ratio", [0.85, 0.97, 1.1, 1.3])
def test_pitch_is_multiplied_by_the_ratio_and_the_level_stays(ratio: float) -> None:
    tone = 0.5 * np.sin(2 * np.pi * 440.0 * np.arange(4 * SAMPLE_RATE) / SAMPLE_RATE)
    changed = change_speed(tone.astype(np.float32), ratio)
    middle = changed[len(changed) // 4 : 3 * len(changed) // 4]
    spectrum = np.abs(np.fft.rfft(middle * np.hanning(len(middle)), 16 * len(middle)))
    peak = np.argmax(spectrum) * SAMPLE_RATE / (16 * len(middle))
    assert peak == pytest.approx(440.0 * ratio, rel=1e-3)
    assert np.sqrt(np.mean(middle**2)) == pytest.approx(0.5 / np.sqrt(2), rel=1e-2)


def test_a_ratio_of_one_leaves_every_sample_as_it_is(speech: Samples) -> None:
    np.testing.assert_array_equal(change_speed(speech, 1.0), speech)


def test_what_was_said_in_the_middle_stays_in_the_middle() -> None:
    """No delay: a click at half of the clip is at half of it afterwards."""
    samples = np.zeros(SAMPLE_RATE, dtype=np.float32)
    samples[SAMPLE_RATE // 2] = 0.9
    for ratio in (0.9, 1.1):
        changed = change_speed(samples, ratio)
        assert abs(int(np.abs(changed).argmax()) - SAMPLE_RATE / 2 / ratio) <= 1.0
