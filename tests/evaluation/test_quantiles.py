"""Quantiles against numpy and a hand-made table, and their intervals in simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluation.quantiles import clustered_quantiles, quantile

SECONDS = st.lists(st.floats(0, 100), min_size=1, max_size=80)
DRAWN = {"confidence": 0.95, "resamples": 200, "seed": 1}


@given(SECONDS, st.sampled_from([0.5, 0.9, 0.95, 0.99]))
def test_the_value_is_numpys_and_lies_in_its_interval(seconds: list[float], share: float) -> None:
    found = quantile(seconds, share)
    assert found.value == np.quantile(seconds, share, method="inverted_cdf")
    assert found.low is None or found.low in seconds
    assert found.high is None or found.high in seconds
    assert found.low is None or found.low <= found.value
    assert found.high is None or found.high >= found.value


def test_the_medians_ranks_are_those_of_published_tables() -> None:
    # Conover 1999, table A3 for the sign test: of 20 the 6th and 15th, of 10 the 2nd and 9th.
    for count, low, high in [(20, 6, 15), (10, 2, 9)]:
        found = quantile(list(range(1, count + 1)), 0.5)
        assert (found.low, found.high) == (low, high)


@pytest.mark.parametrize("share", [0.5, 0.95])
def test_intervals_hold_at_least_what_they_promise(share: float) -> None:
    generator, hits, trials = np.random.default_rng(1), 0, 600
    truth = math.exp(1.6448536 if share == 0.95 else 0.0)
    for _ in range(trials):
        found = quantile(generator.lognormal(0.0, 1.0, 120).tolist(), share)
        hits += (found.low or 0.0) <= truth <= (found.high if found.high else math.inf)
    assert hits / trials >= 0.94


def test_a_tail_that_was_not_seen_has_no_upper_end() -> None:
    assert quantile(list(range(367)), 0.99).high is None
    assert quantile(list(range(368)), 0.99).high == 367
    assert quantile([3.0], 0.5).low is None


@given(SECONDS)
def test_clusters_of_one_each_have_the_quantiles_of_the_durations(seconds: list[float]) -> None:
    found = clustered_quantiles(seconds, range(len(seconds)), **DRAWN)
    for name, share in (("p50", 0.5), ("p95", 0.95), ("p99", 0.99)):
        expected = np.quantile(seconds, share, method="inverted_cdf")
        assert getattr(found, name).value == expected
    assert found.mean.value == pytest.approx(np.mean(seconds))
    assert found.count == len(seconds)


def test_intervals_of_clustered_durations_cover_and_those_of_single_ones_do_not() -> None:
    generator, hits, trials = np.random.default_rng(2), [0, 0], 150
    for trial in range(trials):
        centre = np.repeat(generator.normal(0.0, 1.0, 80), 8)
        values = (centre + generator.normal(0.0, 0.3, 640)).tolist()
        asked = {**DRAWN, "seed": trial}
        for place, labels in enumerate((np.repeat(np.arange(80), 8), np.arange(640))):
            median = clustered_quantiles(values, labels.tolist(), **asked).p50
            hits[place] += median.low <= 0.0 <= median.high
    assert 0.89 <= hits[0] / trials <= 0.995
    assert hits[1] / trials < 0.75


@pytest.mark.parametrize("seconds", [[], [math.nan], [1.0, math.inf]])
def test_what_is_no_duration_is_refused(seconds: list[float]) -> None:
    with pytest.raises(ValueError, match="no durations"):
        quantile(seconds, 0.5)
    with pytest.raises(ValueError, match="no durations"):
        clustered_quantiles(seconds, range(len(seconds)), **DRAWN)


def test_bad_arguments_are_refused() -> None:
    with pytest.raises(ValueError, match="share is 1"):
        quantile([1.0], 1.0)
    with pytest.raises(ValueError, match="1 durations and 2 labels"):
        clustered_quantiles([1.0], [0, 1], **DRAWN)
