"""Calibration measures against scikit-learn, NIST's sclite and loops written down by hand."""

from __future__ import annotations

import math
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, brier_score_loss, roc_auc_score

from evaluation.calibration import (
    Binning,
    error_by_chance,
    expected_calibration_error,
    measure_calibration,
    reliability_curve,
)
from evaluation.cluster_draws import percentile_intervals
from evaluation.confidence import Judged, judged
from tests.sclite import Sctk

UNITS = st.lists(
    st.tuples(st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.8, 0.93, 1.0]), st.booleans()),
    min_size=1,
    max_size=60,
)
MEASURED = {"confidence": 0.95, "resamples": 100, "seed": 3}


def of(units: list[tuple[float, bool]]) -> Judged:
    return judged([value for value, _ in units], [right for _, right in units])


def said(generator: np.random.Generator, texts: int, words: int, sharpness: float = 1.0) -> Judged:
    """Words of texts that are hard or easy; calibrated at a sharpness of 1."""
    logits = np.repeat(generator.normal(2.0, 1.0, texts), words)
    logits = logits + generator.normal(0.0, 1.0, len(logits))
    right = generator.random(len(logits)) < 1.0 / (1.0 + np.exp(-logits))
    confidence = 1.0 / (1.0 + np.exp(-sharpness * logits))
    return judged(confidence, right, np.repeat(np.arange(texts), words))


def ece_by_hand(confidence: list[float], correct: list[bool], bins: int) -> float:
    total = 0.0
    for number in range(bins):
        inside = [
            (value, right)
            for value, right in zip(confidence, correct, strict=True)
            if number / bins < value <= (number + 1) / bins or (number == 0 and value == 0.0)
        ]
        total += abs(sum(value for value, _ in inside) - sum(right for _, right in inside))
    return total / len(confidence)


@given(UNITS, st.sampled_from([1, 2, 4, 5, 8]))
def test_equal_width_ece_is_the_papers(units: list[tuple[float, bool]], bins: int) -> None:
    found = expected_calibration_error(of(units), bins, "equal-width")
    expected = ece_by_hand([value for value, _ in units], [right for _, right in units], bins)
    assert found == pytest.approx(expected, abs=1e-12)


@given(UNITS, st.integers(1, 9), st.sampled_from(["equal-width", "equal-mass"]))
def test_bins_hold_every_unit_once_and_never_part_equal_confidences(
    units: list[tuple[float, bool]], bins: int, binning: Binning
) -> None:
    curve = reliability_curve(of(units), bins, binning)
    assert len(curve) <= bins
    assert sum(one.units for one in curve) == len(units)
    assert sum(one.accuracy * one.units for one in curve) == pytest.approx(
        sum(right for _, right in units)
    )
    for one in curve:
        assert one.low - 1e-12 <= one.confidence <= one.high + 1e-12
        assert one.accuracy_low <= one.accuracy <= one.accuracy_high
    assert all(left.high <= right.low for left, right in pairwise(curve))


def test_equal_mass_bins_hold_as_many_units_each() -> None:
    units = judged(np.random.default_rng(1).random(1000), [True] * 1000)
    assert {one.units for one in reliability_curve(units, 10, "equal-mass")} <= {99, 100, 101}


@settings(max_examples=50)
@given(UNITS)
def test_brier_auroc_and_auprc_are_scikit_learns(units: list[tuple[float, bool]]) -> None:
    found = measure_calibration(of(units), "word", **MEASURED)
    confidence = np.array([value for value, _ in units])
    wrong = np.array([not right for _, right in units])
    assert found.brier.value == pytest.approx(brier_score_loss(~wrong, confidence, labels=[0, 1]))
    if 0 < wrong.sum() < len(wrong):
        assert found.auroc is not None
        assert found.auprc is not None
        assert found.auroc.value == pytest.approx(roc_auc_score(wrong, -confidence))
        assert found.auprc.value == pytest.approx(average_precision_score(wrong, -confidence))
    else:
        assert (found.auroc, found.auprc, found.nce) == (None, None, None)


def test_nce_is_what_sclite_prints(sctk: Sctk, tmp_path: Path) -> None:
    generator = np.random.default_rng(5)
    confidence = generator.uniform(0.05, 0.99, 60).round(3)
    right = generator.random(60) < confidence
    (tmp_path / "r.stm").write_text(f"f 1 s 0.0 99.0 {' '.join(f'w{n}' for n in range(60))}\n")
    (tmp_path / "h.ctm").write_text(
        "".join(
            f"f 1 {n + 0.5} 0.4 {'w' if hit else 'x'}{n} {value}\n"
            for n, (value, hit) in enumerate(zip(confidence, right, strict=True))
        )
    )
    files = ("-r", "r.stm", "stm", "-h", "h.ctm", "ctm")
    text = sctk.run("sclite", *files, "-o", "sum", "stdout", folder=tmp_path)
    (line,) = [line for line in text.splitlines() if "Sum/Avg" in line]
    theirs = float(line.split("|")[-2])
    ours = measure_calibration(judged(confidence, right), "word", **MEASURED).nce
    assert ours is not None
    assert round(ours.value, 3) == theirs


def test_nce_of_saying_the_accuracy_every_time_is_nothing() -> None:
    units = judged([0.75] * 40, [True, True, True, False] * 10)
    found = measure_calibration(units, "word", **MEASURED).nce
    assert found is not None
    assert found.value == pytest.approx(0.0, abs=1e-12)


def test_a_sure_error_costs_much_and_not_everything() -> None:
    found = measure_calibration(judged([1.0, 0.9], [False, True]), "word", **MEASURED).nce
    assert found is not None
    assert -20.0 < found.value < -5.0


def test_a_calibrated_models_ece_is_what_chance_gives_and_a_surer_models_is_not() -> None:
    generator = np.random.default_rng(2)
    honest = measure_calibration(said(generator, 300, 5), "word", **MEASURED)
    assert 0.0 < honest.ece < 1.5 * honest.ece_by_chance[1]
    assert honest.gap.low < 0.0 < honest.gap.high
    sure = measure_calibration(said(generator, 300, 5, sharpness=3.0), "word", **MEASURED)
    assert sure.ece > 2.0 * sure.ece_by_chance[1]
    assert sure.gap.low > 0.0


def test_chance_alone_stays_below_its_95th_percentile_95_times_of_100() -> None:
    generator, below, trials = np.random.default_rng(3), 0, 200
    for trial in range(trials):
        units = said(generator, 200, 1)
        _, most = error_by_chance(units, 10, "equal-mass", seed=trial)
        below += expected_calibration_error(units, 10, "equal-mass") <= most
    assert 0.90 <= below / trials <= 0.985


def test_intervals_over_texts_cover_the_truth() -> None:
    truth = said(np.random.default_rng(4), 60_000, 1)
    whole = measure_calibration(truth, "word", confidence=0.95, resamples=2, seed=1)
    generator, trials = np.random.default_rng(5), 150
    hits = dict.fromkeys(("gap", "brier", "nce", "auroc", "auprc"), 0)
    for trial in range(trials):
        found = measure_calibration(
            said(generator, 150, 4), "word", confidence=0.95, resamples=200, seed=trial
        )
        for name in hits:
            interval = getattr(found, name)
            hits[name] += interval.low <= getattr(whole, name).value <= interval.high
    assert all(0.87 <= count / trials <= 0.99 for count in hits.values()), hits


def test_more_words_of_the_same_texts_add_no_certainty() -> None:
    units = said(np.random.default_rng(6), 40, 3)
    again = judged(
        np.tile(units.confidence, 4), np.tile(units.correct, 4), np.tile(units.clusters, 4)
    )
    one, four = (measure_calibration(each, "word", **MEASURED) for each in (units, again))
    assert (one.brier.low, one.auroc) == (pytest.approx(four.brier.low), pytest.approx(four.auroc))


def test_one_text_gives_values_without_intervals() -> None:
    found = measure_calibration(judged([0.5, 0.9], [False, True], [7, 7]), "word", **MEASURED)
    assert (found.brier.low, found.brier.high) == (found.brier.value, found.brier.value)
    assert found.clusters == 1


def test_draws_that_lack_a_statistic_do_not_count() -> None:
    units = judged([0.2, 0.9], [False, True])
    found = measure_calibration(units, "word", **MEASURED).auroc
    assert found is not None
    # Half of the draws of two texts hold one of them twice: no error, or nothing else.
    assert 30 < found.resamples < 70
    assert (found.value, found.low, found.high) == (1.0, 1.0, 1.0)
    none = percentile_intervals({"x": lambda counts: counts[:, 0] * np.nan}, 3, 0.9, 5, 1)["x"]
    assert none.resamples == 0


def test_the_same_seed_gives_the_same_figures() -> None:
    units = said(np.random.default_rng(7), 50, 3)
    assert measure_calibration(units, "word", **MEASURED) == measure_calibration(
        units, "word", **MEASURED
    )


def test_what_cannot_be_measured_is_refused() -> None:
    with pytest.raises(ValueError, match="Nothing was judged"):
        measure_calibration(judged([], []), "word", **MEASURED)
    with pytest.raises(ValueError, match="bins is 0"):
        reliability_curve(judged([0.5], [True]), 0, "equal-width")
    with pytest.raises(ValueError, match="between 0 and 1"):
        percentile_intervals({}, 3, 1.0, 10, 1)
    assert math.isfinite(measure_calibration(judged([0.0], [True]), "word", **MEASURED).brier.value)
