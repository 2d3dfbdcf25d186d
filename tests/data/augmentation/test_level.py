"""Active speech level against ITU-T P.56 written out sample by sample."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.audio import SAMPLE_RATE, Samples
from data.augmentation.level import active_level, mean_level


def p56(samples: Samples) -> float:
    """Method B as its flow chart has it: one sample after the other, then a search for the level.

    Close to the ITU's own C program (Software Tool Library, sv-p56.c).
    """
    decay = math.exp(-1.0 / (SAMPLE_RATE * 0.03))
    hangover = round(0.2 * SAMPLE_RATE)
    thresholds = [2.0**-power for power in range(15, 0, -1)]
    active, waited = [0] * 15, [hangover] * 15
    inner = outer = energy = 0.0
    for sample in samples.tolist():
        energy += sample * sample
        inner = decay * inner + (1.0 - decay) * abs(sample)
        outer = decay * outer + (1.0 - decay) * inner
        for at, threshold in enumerate(thresholds):
            if outer >= threshold:
                active[at] += 1
                waited[at] = 0
            elif waited[at] < hangover:
                active[at] += 1
                waited[at] += 1
            else:
                break
    curve = [
        (10 * math.log10(energy / count), 20 * math.log10(threshold))
        for count, threshold in zip(active, thresholds, strict=True)
        if count
    ]
    for (upper, low), (lower, high) in itertools.pairwise(curve):
        if lower - high <= 15.9:
            start, end = (upper, low), (lower, high)
            for _ in range(60):
                middle = (start[0] + end[0]) / 2, (start[1] + end[1]) / 2
                start, end = (middle, end) if middle[0] - middle[1] > 15.9 else (start, middle)
            return start[0]
    raise AssertionError("no level found")


def test_speech_has_the_level_that_the_recommendation_finds(voices: list[Samples]) -> None:
    for voice in voices[1:3]:
        padded = np.pad(voice, (4000, 16000))
        assert active_level(padded) == pytest.approx(p56(padded), abs=0.05)


@settings(max_examples=20)
@given(st.floats(-40.0, -12.0), st.floats(0.2, 0.9))
def test_pauses_do_not_count(level: float, share: float) -> None:
    """Noise bursts with long pauses: the level of the bursts, not that of the whole."""
    rng = np.random.default_rng(5)
    burst = rng.standard_normal(3 * SAMPLE_RATE) * 10 ** (level / 20)
    pause = np.zeros(round(3 * SAMPLE_RATE * (1 / share - 1)))
    samples = np.concatenate([burst, pause]).astype(np.float32)
    assert active_level(samples) == pytest.approx(level, abs=0.7)
    assert mean_level(samples) == pytest.approx(level + 10 * math.log10(share), abs=0.2)


@given(st.floats(-20.0, 20.0))
@settings(max_examples=10)
def test_a_gain_moves_the_level_by_itself(gain: float) -> None:
    samples = np.random.default_rng(1).standard_normal(20_000).astype(np.float32) * 0.03
    louder = (samples * 10 ** (gain / 20)).astype(np.float32)
    assert active_level(louder) - active_level(samples) == pytest.approx(gain, abs=0.1)


def test_silence_has_no_level() -> None:
    assert active_level(np.zeros(SAMPLE_RATE, np.float32)) == -math.inf
    assert active_level(np.zeros(0, np.float32)) == -math.inf
    assert mean_level(np.zeros(0, np.float32)) == -math.inf
