"""Calibrators against scikit-learn, their choice, and their form on disk."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression

from evaluation.calibration import measure_calibration
from evaluation.calibrator import KINDS, Calibrator, Kind, fit_calibrator, fit_kind
from evaluation.confidence import Judged, judged

UNITS = st.lists(
    st.tuples(st.integers(0, 200).map(lambda step: step / 200), st.booleans()),
    min_size=2,
    max_size=40,
)


def model(
    generator: np.random.Generator, texts: int, *, temperature: float = 1.0, shift: float = 0.0
) -> Judged:
    """A model whose true probability is sigmoid(logit(confidence) / temperature + shift)."""
    logits = generator.normal(1.5, 1.5, 3 * texts)
    truth = 1.0 / (1.0 + np.exp(-(logits / temperature + shift)))
    right = generator.random(len(logits)) < truth
    return judged(1.0 / (1.0 + np.exp(-logits)), right, np.repeat(np.arange(texts), 3))


def test_platts_line_is_scikit_learns_on_platts_targets() -> None:
    units = model(np.random.default_rng(1), 100, temperature=2.0, shift=-0.5)
    right, wrong = len(units) - units.errors, units.errors
    target = np.where(units.correct, (right + 1) / (right + 2), 1 / (wrong + 2))
    logits = np.log(units.confidence / (1 - units.confidence))[:, None]
    theirs = LogisticRegression(C=np.inf, tol=1e-10, max_iter=1000).fit(
        np.concatenate([logits, logits]),
        [1] * len(units) + [0] * len(units),
        sample_weight=np.concatenate([target, 1 - target]),
    )
    found = fit_kind("platt", units, "word")
    expected = (theirs.coef_[0, 0], theirs.intercept_[0])
    assert found.parameters == pytest.approx(expected, abs=1e-3)


def test_temperature_is_found_again() -> None:
    units = model(np.random.default_rng(2), 20_000, temperature=2.5)
    assert fit_kind("temperature", units, "word").parameters[0] == pytest.approx(2.5, rel=0.05)


@settings(max_examples=60)
@given(UNITS)
def test_isotonic_steps_are_scikit_learns_within_platts_bounds(
    units: list[tuple[float, bool]],
) -> None:
    of = judged([value for value, _ in units], [right for _, right in units])
    theirs = IsotonicRegression(out_of_bounds="clip").fit(of.confidence, of.correct)
    at = np.linspace(0, 1, 41)
    right, wrong = len(of) - of.errors, of.errors
    expected = theirs.predict(of.confidence).clip(1 / (wrong + 2), (right + 1) / (right + 2))
    found = fit_kind("isotonic", of, "word")
    assert found.apply(of.confidence) == pytest.approx(expected, abs=1e-9)
    assert (np.diff(found.apply(at)) >= -1e-12).all()


@settings(max_examples=60)
@given(UNITS, st.sampled_from(KINDS), st.lists(st.floats(0, 1), min_size=2, max_size=9))
def test_a_calibrator_gives_probabilities_and_turns_no_order_around(
    units: list[tuple[float, bool]], kind: Kind, new: list[float]
) -> None:
    of = judged([value for value, _ in units], [right for _, right in units])
    found = fit_kind(kind, of, "word").apply(sorted(new))
    assert ((found >= 0.0) & (found <= 1.0)).all()
    assert (np.diff(found) >= -1e-12).all()


@settings(max_examples=60)
@given(UNITS, st.sampled_from(KINDS))
def test_a_calibrator_comes_back_from_json_as_it_was(
    units: list[tuple[float, bool]], kind: Kind
) -> None:
    of = judged([value for value, _ in units], [right for _, right in units])
    found = fit_kind(kind, of, "utterance", "minimum")
    again = Calibrator.from_dict(json.loads(json.dumps(found.as_dict())))
    assert again == found
    assert again.probability([-0.2, -1.1]) == found.probability([-0.2, -1.1])


def test_a_calibrated_model_is_mostly_left_alone() -> None:
    chosen = [
        fit_calibrator(model(np.random.default_rng(seed), 100), "word", seed=1)
        for seed in range(12)
    ]
    assert sum(one.kind == "identity" for one in chosen) >= 9
    assert all(set(one.held_out) == set(KINDS) for one in chosen)


@pytest.mark.parametrize(
    ("temperature", "shift", "kind"), [(3.0, 0.0, "temperature"), (1.0, 1.5, "platt")]
)
def test_the_simplest_kind_that_is_right_is_chosen(
    temperature: float, shift: float, kind: Kind
) -> None:
    units = model(np.random.default_rng(4), 1000, temperature=temperature, shift=shift)
    chosen = fit_calibrator(units, "word", seed=1)
    assert chosen.kind == kind
    assert chosen.held_out[kind] < chosen.held_out["identity"]


def test_steps_are_chosen_where_no_sigmoid_fits() -> None:
    generator = np.random.default_rng(5)
    confidence = generator.random(3000)
    right = generator.random(3000) < np.where(confidence > 0.9, 0.95, 0.3)
    chosen = fit_calibrator(judged(confidence, right), "word", seed=1)
    assert chosen.kind == "isotonic"
    assert chosen.apply([0.2, 0.97]) == pytest.approx([0.3, 0.95], abs=0.08)


def test_a_fitted_calibrator_calibrates_new_speech() -> None:
    generator = np.random.default_rng(6)
    chosen = fit_calibrator(model(generator, 800, temperature=3.0), "word", seed=1)
    new = model(generator, 800, temperature=3.0)
    after = judged(chosen.apply(new.confidence), new.correct, new.clusters)
    asked = {"confidence": 0.95, "resamples": 50, "seed": 1}
    before_ece = measure_calibration(new, "word", **asked).ece
    found = measure_calibration(after, "word", **asked)
    assert found.ece < before_ece / 2
    assert found.ece < 1.5 * found.ece_by_chance[1]


def test_the_same_arguments_give_the_same_calibrator() -> None:
    units = model(np.random.default_rng(7), 100, temperature=3.0)
    one, two = (fit_calibrator(units, "word", seed=9) for _ in range(2))
    assert one == two


def test_confidences_that_part_right_from_wrong_entirely_stay_finite() -> None:
    units = judged([0.2, 0.3, 0.8, 0.9], [False, False, True, True])
    for kind in KINDS:
        found = fit_kind(kind, units, "word").apply([0.0, 0.25, 0.85, 1.0])
        assert np.isfinite(found).all()
        assert found[1] < 0.5 < found[2]


def test_confidences_that_order_the_wrong_way_are_not_turned_around() -> None:
    units = judged([0.1] * 20 + [0.9] * 20, [True] * 18 + [False] * 2 + [False] * 18 + [True] * 2)
    found = fit_kind("platt", units, "word")
    assert found.apply([0.1, 0.9]) == pytest.approx([0.5, 0.5], abs=1e-6)


@pytest.mark.parametrize(
    ("units", "message"),
    [
        (judged([0.5] * 4, [True] * 4), "0 are wrong"),
        (judged([0.5] * 4, [False] * 4), "4 are wrong"),
        (judged([], []), "0 are wrong"),
        (judged([0.4, 0.6], [True, False], [1, 1]), "1 texts"),
    ],
)
def test_nothing_to_learn_from_is_refused(units: Judged, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        fit_calibrator(units, "word", seed=1)


def stored(**changes: Any) -> dict[str, Any]:
    units = judged([0.2, 0.9], [False, True])
    return {**fit_kind("platt", units, "word").as_dict(), **changes}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"version": 2}, "of version 2"),
        ({"kind": "magic"}, "'magic' is not known"),
        ({"level": "sentence"}, "'sentence' is not known"),
        ({"pooling": "sum"}, "'sum' is not known"),
        ({"parameters": [1.0]}, "has 2 parameters"),
        ({"parameters": []}, "has 2 parameters"),
        ({"parameters": [-1.0, 0.0]}, "slope is below 0"),
        ({"parameters": [math.nan, 0.0]}, "not finite"),
        ({"kind": "temperature", "parameters": [0.0]}, "temperature is not above 0"),
        ({"kind": "isotonic", "parameters": []}, "only isotonic steps"),
        ({"knots": [[0.1, 0.2]]}, "only isotonic steps"),
        ({"kind": "isotonic", "parameters": [], "knots": [[0.5, 0.9], [0.2, 0.1]]}, "not rise"),
        ({"kind": "isotonic", "parameters": [], "knots": [[0.5, 1.9]]}, "not in 0..1"),
        ({"units": None}, "no calibrator"),
        ({"held_out": 3}, "no calibrator"),
    ],
)
def test_what_is_no_calibrator_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Calibrator.from_dict(stored(**changes))


def test_a_field_that_is_missing_is_named() -> None:
    fields = stored()
    del fields["knots"]
    with pytest.raises(ValueError, match="knots"):
        Calibrator.from_dict(fields)


def test_new_confidences_must_be_confidences() -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        fit_kind("identity", judged([0.5], [True]), "word").apply([math.nan])
