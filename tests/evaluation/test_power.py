"""Power, detectable differences and Holm's correction against statsmodels and simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.power import TTestPower

from benchmarks.simulated_speakers import TRUE_DIFFERENCE, conversation
from evaluation.blocks import Paired, paired
from evaluation.multiple import holm
from evaluation.power import comparison_power, detectable_difference, power_of
from evaluation.resampling import Interval
from evaluation.units import choose_units
from evaluation.verdict import judge

THEIRS = TTestPower()


@pytest.mark.parametrize("level", [0.01, 0.05, 0.2])
def test_holm_is_statsmodels(level: float) -> None:
    generator = np.random.default_rng(1)
    for count in (1, 2, 9, 40):
        p_values = generator.random(count) ** 4
        p_values[: count // 5] = p_values[0]  # ties
        rejected, theirs, _, _ = multipletests(p_values, alpha=level, method="holm")
        ours = holm(p_values.tolist())
        assert ours == pytest.approx(theirs)
        assert [one <= level for one in ours] == rejected.tolist()
    assert holm([]) == ()


@pytest.mark.parametrize("bad", [-0.1, 1.1, math.nan])
def test_what_is_no_p_value_is_refused(bad: float) -> None:
    with pytest.raises(ValueError, match="no p-value"):
        holm([0.5, bad])


@pytest.mark.parametrize("units", [2, 3, 8, 40, 300, 10_000])
@pytest.mark.parametrize("difference", [0.0, 0.001, 0.004, 0.02, 0.3])
def test_power_is_statsmodels(units: int, difference: float) -> None:
    effect = difference / (0.01 * math.sqrt(units))
    ours = power_of(difference, 0.01, units, 0.95)
    theirs = THEIRS.power(effect, units, 0.05) if effect else 0.05
    if math.isnan(theirs):  # scipy's noncentral t far out, where every difference is found
        assert (ours, difference) == (1.0, 0.3)
    else:
        assert ours == pytest.approx(theirs, abs=1e-9)


@pytest.mark.parametrize("units", [3, 12, 60, 5000])
def test_detectable_difference_and_words_needed_are_statsmodels(units: int) -> None:
    effect = THEIRS.solve_power(nobs=units, alpha=0.05, power=0.8)
    ours = detectable_difference(0.004, units, 0.95, 0.8)
    assert ours == pytest.approx(effect * 0.004 * math.sqrt(units), rel=1e-3)
    assert power_of(ours, 0.004, units, 0.95) == pytest.approx(0.8, abs=1e-9)
    found = comparison_power(0.004, units, units * 200, 0.003, confidence=0.95)
    nobs = THEIRS.solve_power(effect_size=0.003 / (0.004 * math.sqrt(units)), alpha=0.05, power=0.8)
    assert found.units_needed == math.ceil(nobs)
    assert found.words_needed == math.ceil(nobs) * 200
    assert found.detectable == ours


def test_promised_power_is_what_simulation_finds() -> None:
    """Of comparisons of 40 speakers about as many find the true difference as the formula says.

    Some speakers gain much, none loses much: the interval is shorter towards zero than the formula
    takes it to be, and finds rather more.
    """
    every = [comparison(trial, 40).difference.interval for trial in range(400)]
    found = np.mean([one.high < 0.0 or one.low > 0.0 for one in every])
    spread = float(np.std([one.value for one in every]))
    promised = power_of(TRUE_DIFFERENCE, spread, 40, 0.95)
    assert 0.5 < promised < 0.95
    assert promised - 0.03 < found < promised + 0.15


def test_as_many_units_as_are_needed_find_the_margin() -> None:
    """Two thirds of the speakers too few: with as many as are asked for, four in five find it."""
    needed = []
    for trial in range(40):
        both = comparison(trial, 15)
        power = comparison_power(
            both.difference.standard_error, 15, 1500, -TRUE_DIFFERENCE, confidence=0.95
        )
        assert power.units_needed is not None
        needed.append(power.units_needed)
    count, found, trials = int(np.median(needed)), 0, 200
    for trial in range(trials):
        interval = comparison(1000 + trial, count).difference.interval
        found += interval.high < 0.0
    assert found / trials == pytest.approx(0.8, abs=0.12)


def comparison(seed: int, speakers: int) -> Paired:
    speech = conversation(seed, speakers=speakers)
    units = choose_units(speech.speakers.tolist(), speech.texts.tolist(), speech.words)
    return paired(
        speech.a, speech.b, speech.words, units, confidence=0.95, resamples=500, seed=seed
    )


@pytest.mark.parametrize(
    ("low", "high", "answer", "matters", "says"),
    [
        (-0.02, -0.01, "better", True, "Better: -1.50 points [-2.00, -1.00], 9,000 words."),
        (0.01, 0.02, "worse", True, "Worse: +1.50 points"),
        (-0.004, -0.001, "better", False, "by less than the 0.50 points that matter"),
        (-0.004, 0.003, "no difference", False, "lie within 0.50 points on either side"),
        (-0.004, 0.006, "cannot tell", False, "speakers instead of 40) are needed"),
        (-0.005, 0.004, "cannot tell", False, "Cannot tell"),
    ],
)
def test_four_answers(low: float, high: float, answer: str, matters: bool, says: str) -> None:
    error = (high - low) / 4.0
    power = comparison_power(error, 40, 9000, 0.005, confidence=0.95, kind="speaker")
    found = judge(Interval((low + high) / 2, low, high, 0.95, 40, 1000), power)
    assert (found.answer, found.matters) == (answer, matters)
    assert says in found.text or says in power.lack


def test_a_single_speaker_text_cannot_tell() -> None:
    power = comparison_power(math.nan, 1, 50, 0.005, confidence=0.95, kind="text")
    assert (power.detectable, power.at_margin, power.units_needed) == (math.inf, 0.0, None)
    found = judge(Interval(0.1, 0.1, 0.1, 0.95, 1, 0), power)
    assert found.answer == "cannot tell"
    assert "a single text" in found.text
    assert "needed" not in power.lack


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"margin": 0.0}, "margin is 0.0"),
        ({"power": 1.0}, "power 1.0"),
        ({"power": 0.04}, "power above 1 - confidence"),
        ({"confidence": 1.0}, "confidence is 1.0"),
        ({"standard_error": math.nan}, "standard_error is nan"),
    ],
)
def test_bad_questions_are_refused(arguments: dict[str, float], message: str) -> None:
    given_ = {"standard_error": 0.01, "margin": 0.005, "confidence": 0.95, "power": 0.8} | arguments
    with pytest.raises(ValueError, match=message):
        comparison_power(units=30, words=900, **given_)


def test_units_that_do_not_differ_promise_nothing() -> None:
    """Two models that say the same have a spread of 0, which would find every difference."""
    found = comparison_power(0.0, 28, 346, 0.005, confidence=0.95, kind="text")
    assert math.isnan(found.at_margin) and not found.is_enough
    assert (found.detectable, found.units_needed, found.words_needed) == (math.inf, None, None)
    said = judge(Interval(0.0, -0.011, 0.011, 0.95, 28, 346), found)
    assert said.answer == "cannot tell"
    assert said.text.endswith(
        "Both make the same errors in each of 28 texts, which do not tell how far others would "
        "differ: more of them narrow it."
    )
