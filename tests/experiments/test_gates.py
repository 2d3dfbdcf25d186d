"""What gates promise: no verdict beyond its evidence."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluation.comparison import Slice
from evaluation.estimate import Estimate
from evaluation.significance import paired_bootstrap
from experiments.contracts import Gate
from experiments.gates import (
    MINIMUM_TEXTS,
    check_gate,
    comparison_gate,
    comparison_gates,
    gate_result,
    verdict_of,
)
from voiceforge.errors import UsageError
from voiceforge.params import GateParams, GatesParams

OVERALL = Slice("overall")
HUMAN = Slice("human", is_synthetic=False)
SYNTHETIC = Slice("synthetic", is_synthetic=True)
POINTS = st.floats(-0.5, 0.5)
MARGINS = st.floats(0, 0.1)
RESULTS = st.sampled_from(["pass", "fail", "cannot tell"])
KINDS = st.sampled_from(["superiority", "non-inferiority", "check"])


def params(**changed: GateParams) -> GatesParams:
    same = GateParams(kind="non-inferiority", margin=1.0)
    gates = {
        "overall": GateParams(kind="superiority", margin=0.0),
        "human": same,
        "synthetic": same,
        "each_accent": same,
    }
    return GatesParams(**{**gates, **changed}, minimum_words=200)


def measured(low: float, high: float, words: int = 1000) -> Estimate:
    return Estimate((low + high) / 2, low, high, 0.95, words, words // 8, 3, "test")


def result(low: float, high: float, margin: float, *, words: int = 1000, texts: int = 90) -> str:
    return gate_result(measured(low, high, words), margin, texts=texts, minimum_words=200)


intervals = st.tuples(POINTS, POINTS).map(sorted)
gates = st.lists(
    st.builds(
        Gate,
        name=st.just("gate"),
        kind=KINDS,
        reference=st.just("champion"),
        estimate=st.none(),
        margin=st.just(0.0),
        result=RESULTS,
        required=st.booleans(),
        reason=st.just("because"),
    ),
    max_size=6,
)


@given(intervals, MARGINS)
def test_a_gate_passes_below_its_margin_fails_above_and_else_cannot_tell(
    ends: list[float], margin: float
) -> None:
    found = result(*ends, margin)
    assert (found == "pass") == (ends[1] < margin)
    assert (found == "fail") == (ends[0] > margin)


@given(intervals, MARGINS, st.floats(0, 1), st.floats(0, 1))
def test_a_narrower_interval_never_takes_an_answer_back(
    ends: list[float], margin: float, left: float, right: float
) -> None:
    low, high = ends
    cut = sorted([low + left * (high - low), low + right * (high - low)])
    narrower = [max(low, cut[0]), min(high, cut[1])]
    if (answer := result(low, high, margin)) != "cannot tell":
        assert result(*narrower, margin) == answer


@given(intervals, MARGINS, MARGINS)
def test_a_wider_margin_never_hurts(ends: list[float], one: float, other: float) -> None:
    order = ["fail", "cannot tell", "pass"]
    less, more = sorted([one, other])
    assert order.index(result(*ends, less)) <= order.index(result(*ends, more))


@given(intervals, MARGINS, st.integers(0, 199), st.integers(0, MINIMUM_TEXTS - 1))
def test_too_few_words_or_texts_cannot_tell(
    ends: list[float], margin: float, words: int, texts: int
) -> None:
    assert result(*ends, margin, words=words) == "cannot tell"
    assert result(*ends, margin, texts=texts) == "cannot tell"


@given(gates, st.randoms(use_true_random=False))
def test_the_verdict_does_not_hang_on_the_order(found: list[Gate], shuffler: Any) -> None:
    shuffled = list(found)
    shuffler.shuffle(shuffled)
    assert verdict_of(shuffled) == verdict_of(found)


@given(gates, gates)
def test_more_gates_never_make_a_verdict_kinder(found: list[Gate], more: list[Gate]) -> None:
    if verdict_of(found) == "reject":
        assert verdict_of([*found, *more]) == "reject"
    if verdict_of([*found, *more]) == "promote":
        assert verdict_of(found) in ("promote", "insufficient data")
        assert all(gate.result == "pass" for gate in found if gate.required)


@given(gates)
def test_only_required_gates_decide(found: list[Gate]) -> None:
    assert verdict_of(found) == verdict_of([gate for gate in found if gate.required])


def test_checks_alone_promote_nothing() -> None:
    assert verdict_of([check_gate("corpus", True, "clean")]) == "insufficient data"
    assert verdict_of([]) == "insufficient data"
    assert verdict_of([check_gate("corpus", False, "dirty")]) == "reject"


def test_every_slice_is_asked_its_own_question(compared: Any) -> None:
    accents = [Slice("accent", name, is_synthetic=True) for name in ("en-gb", "en-029")]
    rows = [compared(part, -3, 0.5, words=500) for part in accents]
    rows += [compared(HUMAN, -2, 0.2), compared(OVERALL, -4, -1), compared(SYNTHETIC, -1, 2)]
    found = comparison_gates(rows, params(), "champion")
    assert [(gate.name, gate.kind, gate.margin, gate.result) for gate in found] == [
        ("overall", "superiority", 0.0, "pass"),
        ("human speech", "non-inferiority", 0.01, "pass"),
        ("synthetic speech", "non-inferiority", 0.01, "cannot tell"),
        ("accent en-029", "non-inferiority", 0.01, "pass"),
        ("accent en-gb", "non-inferiority", 0.01, "pass"),
    ]
    assert {gate.reference for gate in found} == {"champion"}
    assert all(gate.required for gate in found)


def test_an_accent_that_is_all_of_its_speech_has_no_gate_of_its_own(compared: Any) -> None:
    accent = Slice("accent", "en-us", is_synthetic=False)
    rows = [compared(OVERALL, -4, -1), compared(HUMAN, -2, 0), compared(accent, -2, 0)]
    found = [gate.name for gate in comparison_gates(rows, params(), "base model")]
    assert found == ["overall", "human speech"]


def test_without_human_speech_the_human_gate_cannot_tell(compared: Any) -> None:
    rows = [compared(OVERALL, -4, -1), compared(SYNTHETIC, -4, -1)]
    human = comparison_gates(rows, params(), "base model")[1]
    assert (human.name, human.result, human.required) == ("human speech", "cannot tell", True)
    assert "gates.human.kind" in human.reason
    off = params(human=GateParams(kind="off", margin=0.0))
    assert [gate.name for gate in comparison_gates(rows, off, "base model")] == [
        "overall",
        "synthetic speech",
    ]


def test_without_synthetic_speech_there_is_no_such_gate(compared: Any) -> None:
    rows = [compared(OVERALL, -4, -1), compared(HUMAN, -4, -1)]
    assert verdict_of(comparison_gates(rows, params(), "base model")) == "promote"


def test_superiority_takes_no_margin(compared: Any) -> None:
    wrong = GateParams.model_construct(kind="superiority", margin=0.5)
    with pytest.raises(UsageError, match=r"set it to 0\.0"):
        comparison_gate(compared(OVERALL, -4, -1), wrong, 200, "champion")


@pytest.mark.parametrize(
    ("low", "high", "words", "texts", "expected"),
    [
        (-4.0, -1.0, 1000, 90, "the whole interval is below zero."),
        (1.0, 4.0, 1000, 90, "the whole interval is above zero."),
        (-1.0, 4.0, 1000, 90, "spans zero: more speech that both heard would tell."),
        (-4.0, -1.0, 100, 90, "fewer than the 200 words"),
        (-4.0, -1.0, 1000, 9, "fewer than the 20 texts"),
    ],
)
def test_the_reason_says_which_way_and_on_how_much(
    compared: Any, low: float, high: float, words: int, texts: int, expected: str
) -> None:
    row = compared(OVERALL, low, high, words=words, texts=texts)
    gate = comparison_gate(row, params().overall, 200, "champion")
    assert f"on {words} words of {texts} texts" in gate.reason
    assert expected in gate.reason


@pytest.mark.parametrize("margin", [0.01, 0.02])
def test_a_model_as_bad_as_the_margin_is_let_through_as_rarely_as_promised(margin: float) -> None:
    """Type I error of the whole way from errors to gate: 2.5%, one side of a 95% interval.

    Percentile intervals let 4 to 8% of these through.
    """
    generator, passed, trials = np.random.default_rng(6), 0, 600
    for trial in range(trials):
        words = generator.integers(3, 15, 80)
        champion = generator.binomial(words, generator.beta(1, 9, 80))
        # 0.9 of the words are right; of those the challenger gets margin / 0.9 wrong besides.
        challenger = champion + generator.binomial(words - champion, margin / 0.9)
        found = paired_bootstrap(
            challenger, champion, words, range(80), confidence=0.95, resamples=400, seed=trial
        ).difference
        measured = Estimate(found.value, found.low, found.high, 0.95, 700, 80, 1, "test")
        passed += gate_result(measured, margin, texts=80, minimum_words=200) == "pass"
    assert passed / trials <= 0.04
