"""Degradation curves: against the comparison of models, in simulation, and what they refuse."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from data.conditions import Condition
from data.utterance import Utterance
from evaluation.degradation import degradation_curve
from evaluation.significance import paired_bootstrap
from evaluation.slices import Resampling, Scored
from tests.evaluation.conftest import row

RESAMPLING = Resampling(0.95, 400, 3)
NOISE = [Condition("pink noise", snr) for snr in (20.0, 10.0, 0.0)]


def heard(number: int, errors: int, words: int = 10, text: str = "") -> Scored:
    utterance: Utterance = row(f"u{number}", text or f"text {number}", "en-us", f"s{number % 3}")
    return Scored(utterance, text or f"text {number}", "", errors, words)


def noisy(generator: np.random.Generator, rates: list[float], count: int) -> list[list[Scored]]:
    """The same utterances at rising error rates; what is hard is hard under every condition."""
    hard = generator.beta(1, 4, count) * 5.0
    return [
        [
            heard(number, int(generator.binomial(10, min(1.0, rate * hard[number]))))
            for number in range(count)
        ]
        for rate in rates
    ]


def test_a_point_is_the_paired_comparison_with_clean_audio() -> None:
    clean, *worse = noisy(np.random.default_rng(1), [0.05, 0.06, 0.1, 0.3], 120)
    points = degradation_curve(clean, dict(zip(NOISE, worse, strict=True)), RESAMPLING)
    assert [point.condition for point in points] == NOISE
    for point, rows in zip(points, worse, strict=True):
        expected = paired_bootstrap(
            [one.errors for one in rows],
            [one.errors for one in clean],
            [10] * 120,
            range(120),
            confidence=0.95,
            resamples=400,
            seed=3,
        )
        assert (point.word_error_rate, point.clean) == (expected.a, expected.b)
        assert point.loss == expected.difference
        assert point.ratio == pytest.approx(expected.a.value / expected.b.value)
        assert (point.words, point.utterances, point.speakers) == (1200, 120, 3)
    assert points[2].loss.low > 0.0


def test_pairing_by_utterance_is_sharper_than_two_separate_rates() -> None:
    clean, worse = noisy(np.random.default_rng(2), [0.05, 0.08], 200)
    (point,) = degradation_curve(clean, {NOISE[0]: worse}, RESAMPLING)
    apart = (point.word_error_rate.high - point.word_error_rate.low) + (
        point.clean.high - point.clean.low
    )
    assert point.loss.high - point.loss.low < 0.8 * apart


def test_a_condition_that_heard_a_part_is_compared_with_that_part() -> None:
    clean = [heard(number, errors) for number, errors in enumerate([0, 5, 5])]
    (point,) = degradation_curve(clean, {Condition("gsm"): [heard(0, 1)]}, RESAMPLING)
    assert (point.clean.value, point.loss.value) == (0.0, 0.1)
    assert point.ratio is None


def test_what_cannot_be_paired_is_refused() -> None:
    clean = [heard(0, 0), heard(1, 0)]
    for rows, message in [
        ([heard(7, 0)], r"gsm: utterance 'u7' was not heard clean"),
        ([heard(0, 0), heard(0, 1)], r"gsm: utterance 'u0' is there twice"),
        ([replace(heard(1, 0), reference="other")], r"gsm: utterance 'u1' has another reference"),
        ([], r"gsm: there are no reference words"),
        ([heard(0, 0, words=0)], r"gsm: there are no reference words"),
    ]:
        with pytest.raises(ValueError, match=message):
            degradation_curve(clean, {Condition("gsm"): rows}, RESAMPLING)
    with pytest.raises(ValueError, match="twice in clean"):
        degradation_curve([clean[0], clean[0]], {}, RESAMPLING)
