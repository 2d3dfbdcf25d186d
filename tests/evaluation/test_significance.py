"""Intervals against scipy, against their promised coverage, and their symmetries."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy import stats

from evaluation.significance import bootstrap_rate, paired_bootstrap

COUNTS = st.lists(
    st.tuples(st.integers(0, 5), st.integers(0, 5), st.integers(1, 9), st.integers(0, 6)),
    min_size=2,
    max_size=30,
)


def columns(rows: list[tuple[int, ...]]) -> list[np.ndarray]:
    return [np.asarray(column) for column in zip(*rows, strict=True)]


def speech(
    generator: np.random.Generator, texts: int, voices: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Errors, words and texts of `texts` sentences by `voices` voices; some texts are hard.

    The true word error rate is 0.10: words and difficulty (Beta(1, 9)) are independent.
    """
    words = np.repeat(generator.integers(3, 15, texts), voices)
    difficulty = np.repeat(generator.beta(1, 9, texts), voices)
    return generator.binomial(words, difficulty), words, np.repeat(np.arange(texts), voices)


def covered(texts: int, voices: int, *, by_text: bool, trials: int) -> float:
    generator, hits = np.random.default_rng(4), 0
    for trial in range(trials):
        errors, words, labels = speech(generator, texts, voices)
        clusters = labels if by_text else np.arange(len(errors))
        found = bootstrap_rate(errors, words, clusters, confidence=0.95, resamples=400, seed=trial)
        hits += found.low <= 0.10 <= found.high
    return hits / trials


@pytest.mark.parametrize(("texts", "voices"), [(60, 1), (80, 6), (200, 3)])
def test_95_percent_intervals_cover_95_percent(texts: int, voices: int) -> None:
    assert 0.925 <= covered(texts, voices, by_text=True, trials=800) <= 0.975


def test_drawing_utterances_instead_of_texts_would_claim_too_much() -> None:
    assert covered(80, 6, by_text=False, trials=300) < 0.80


def test_paired_difference_covers_the_true_difference() -> None:
    generator, hits, trials = np.random.default_rng(8), 0, 600
    for trial in range(trials):
        errors, words, texts = speech(generator, 100, 3)
        # The second model gets each word wrong besides with probability 0.05: 0.9 * 0.05 more.
        other = errors + generator.binomial(words - errors, 0.05)
        found = paired_bootstrap(
            errors, other, words, texts, confidence=0.95, resamples=400, seed=trial
        )
        hits += found.difference.low <= -0.045 <= found.difference.high
    assert 0.925 <= hits / trials <= 0.975


def test_agrees_with_scipy_where_every_utterance_is_its_own_cluster() -> None:
    generator = np.random.default_rng(2)
    words = generator.integers(3, 15, 150)
    ours_a, ours_b = generator.binomial(words, 0.06), generator.binomial(words, 0.10)

    def difference(a: np.ndarray, b: np.ndarray, n: np.ndarray, axis: int) -> np.ndarray:
        return (a.sum(axis) - b.sum(axis)) / n.sum(axis)

    theirs = stats.bootstrap(
        (ours_a, ours_b, words),
        difference,
        paired=True,
        vectorized=True,
        n_resamples=20_000,
        confidence_level=0.9,
        method="BCa",
        rng=np.random.default_rng(1),
    ).confidence_interval
    ours = paired_bootstrap(
        ours_a, ours_b, words, np.arange(150), confidence=0.9, resamples=20_000, seed=5
    ).difference
    assert ours.low == pytest.approx(theirs.low, abs=1e-3)
    assert ours.high == pytest.approx(theirs.high, abs=1e-3)


@settings(max_examples=60)
@given(COUNTS)
def test_swapping_the_models_mirrors_the_difference(rows: list[tuple[int, ...]]) -> None:
    a, b, words, clusters = columns(rows)
    settings_ = {"confidence": 0.9, "resamples": 200, "seed": 3}
    one = paired_bootstrap(a, b, words, clusters, **settings_)
    two = paired_bootstrap(b, a, words, clusters, **settings_)
    assert one.difference.value == pytest.approx(-two.difference.value)
    assert one.difference.low == pytest.approx(-two.difference.high)
    assert one.difference.high == pytest.approx(-two.difference.low)
    assert (one.a, one.b) == (two.b, two.a)


@settings(max_examples=60)
@given(COUNTS, st.integers(2, 4))
def test_more_voices_of_the_same_texts_add_no_certainty(
    rows: list[tuple[int, ...]], voices: int
) -> None:
    a, _, words, clusters = columns(rows)
    again = columns(sorted(rows * voices))
    settings_ = {"confidence": 0.9, "resamples": 200, "seed": 3}
    one = bootstrap_rate(a, words, clusters, **settings_)
    many = bootstrap_rate(again[0], again[2], again[3], **settings_)
    assert (one.value, one.low, one.high) == pytest.approx((many.value, many.low, many.high))


@settings(max_examples=60)
@given(COUNTS)
@example([(1, 0, 1, 0), (1, 1, 1, 2), (1, 1, 2, 1)])
def test_reduction_tells_the_same_story_as_the_difference(rows: list[tuple[int, ...]]) -> None:
    a, b, words, clusters = columns(rows)
    found = paired_bootstrap(a, b, words, clusters, confidence=0.9, resamples=200, seed=3)
    if found.reduction is not None:
        assert np.sign(found.reduction.value) == -np.sign(found.difference.value)
        assert found.reduction.value == pytest.approx(-found.difference.value / found.b.value)
        assert found.reduction.high <= 1.0
    else:
        # Resamples without an error of b say nothing of a share of its errors.
        by_text = np.bincount(clusters, weights=b)[np.unique(clusters)]
        assert by_text.min() == 0.0 or found.difference.clusters == 1


def test_no_errors_at_all_is_not_certainty() -> None:
    found = bootstrap_rate([0] * 100, [6] * 100, range(100), confidence=0.95, resamples=500, seed=1)
    # Clopper and Pearson, none of 600: the exact upper end of a two-sided 95% interval.
    exact = stats.binomtest(0, 600).proportion_ci(0.95, method="exact")
    assert (found.low, found.high) == (0.0, pytest.approx(exact.high))


def test_equal_models_still_may_differ_by_what_was_not_seen() -> None:
    errors = [1, 0, 2, 0] * 25
    found = paired_bootstrap(
        errors, errors, [6] * 100, range(100), confidence=0.95, resamples=500, seed=1
    )
    assert found.difference.value == 0.0
    assert -0.01 < found.difference.low < 0.0 < found.difference.high < 0.01
    assert found.p_value == 1.0


def test_a_clear_winner_has_a_small_p_value() -> None:
    found = paired_bootstrap(
        [0, 1] * 40, [2, 2] * 40, [8] * 80, range(80), confidence=0.95, resamples=999, seed=1
    )
    assert found.p_value == pytest.approx(1 / 1000)
    assert found.reduction is not None
    assert found.reduction.value == pytest.approx(0.75)


def test_one_text_gives_no_interval() -> None:
    found = bootstrap_rate([1, 0], [4, 4], [7, 7], confidence=0.95, resamples=500, seed=1)
    assert (found.value, found.low, found.high, found.clusters) == (0.125, 0.125, 0.125, 1)


def test_all_errors_avoided_is_a_value_without_an_interval() -> None:
    found = paired_bootstrap(
        [0] * 30, [0, 1, 2] * 10, [6] * 30, range(30), confidence=0.95, resamples=500, seed=1
    )
    assert found.reduction is not None
    assert (found.reduction.value, found.reduction.low, found.reduction.resamples) == (1.0, 1.0, 0)
    assert found.difference.low < found.difference.high < 0


def test_baseline_without_errors_has_nothing_to_reduce() -> None:
    found = paired_bootstrap(
        [1, 0, 1], [0, 0, 0], [4, 4, 4], [0, 1, 2], confidence=0.9, resamples=200, seed=1
    )
    assert found.reduction is None


def test_empty_references_add_errors_and_no_words() -> None:
    found = bootstrap_rate([3, 0, 1], [0, 5, 5], [0, 1, 2], confidence=0.9, resamples=2000, seed=1)
    assert found.value == pytest.approx(0.4)
    assert found.low < found.value < found.high


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([1], [1, 2], [0, 1]), "same length"),
        (([-1, 0], [1, 2], [0, 1]), "negative"),
        (([0, 0], [0, 0], [0, 1]), "no reference words"),
        (([], [], []), "no reference words"),
    ],
)
def test_bad_input_is_refused(arguments: tuple[list[int], ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        bootstrap_rate(*arguments, confidence=0.95, resamples=200, seed=1)


@pytest.mark.parametrize(("confidence", "resamples"), [(0.0, 100), (1.0, 100), (0.95, 0)])
def test_bad_settings_are_refused(confidence: float, resamples: int) -> None:
    with pytest.raises(ValueError, match="must be"):
        bootstrap_rate([1], [1], [0], confidence=confidence, resamples=resamples, seed=1)
