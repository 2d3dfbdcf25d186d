"""Which engine serves: the fastest that passed, with a reason that can be read."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluation.estimate import Estimate
from serving.engines.choice import EQUALLY_FAST, Checked, Choice, allowed, choose


def loss(low: float, high: float) -> Estimate:
    """In points."""
    return Estimate(
        (low + high) / 200, low / 100, high / 100, 0.95, 645, 141, 9, "BCa bootstrap of 42 texts"
    )


def checked(name: str, seconds: float, *, passed: bool = True) -> Checked:
    return Checked(name, "", passed, loss(3.0, 7.0), loss(-0.2, 0.4), seconds, 100.0, 43_000_000)


def test_the_fastest_that_passed_serves_and_says_beside_what() -> None:
    found = choose([
        checked("ctranslate2:int8", 0.042),
        checked("ctranslate2:float32", 0.051),
        checked("onnxruntime:int8", 0.011, passed=False),
        Checked("tensorrt:int8", unavailable="there is no NVIDIA GPU"),
    ])  # fmt: skip
    assert found.chosen == "ctranslate2:int8"
    assert found.reason == (
        "ctranslate2:int8 was chosen: 42 ms a clip, the fastest that passed (ctranslate2:float32 "
        "51 ms a clip); onnxruntime:int8 did not pass; not available here: tensorrt:int8: there is "
        "no NVIDIA GPU."
    )


def test_of_equally_fast_engines_the_first_is_chosen() -> None:
    found = choose([checked("int8", 0.0421), checked("float32", 0.0420)])
    assert found.chosen == "int8"
    assert "the first of those that are equally fast (float32 42 ms a clip)" in found.reason


def test_where_none_passed_the_first_that_runs_is_left_to_its_check() -> None:
    gone = Checked("onnxruntime:int8", unavailable="no package")
    slow, quick = checked("a", 0.5, passed=False), checked("b", 0.1, passed=False)
    found = choose([gone, slow, quick])
    assert (found.chosen, found.reason) == ("a", "None of a, b passed its check.")
    with pytest.raises(ValueError, match="no engine can run"):
        choose([gone])


@given(
    st.lists(
        st.tuples(st.floats(0.001, 10.0), st.booleans(), st.booleans()), min_size=1, max_size=6
    )
)
def test_what_is_chosen_could_run_and_was_not_beaten(rows: list[tuple[float, bool, bool]]) -> None:
    engines = [
        checked(f"e{n}", seconds, passed=passed) if here else Checked(f"e{n}", unavailable="gone")
        for n, (seconds, passed, here) in enumerate(rows)
    ]
    if not any(here for *_, here in rows):
        return
    found = choose(engines)
    (best,) = (one for one in engines if one.name == found.chosen)
    assert not best.unavailable
    passed = [one for one in engines if one.passed and not one.unavailable]
    assert best.seconds <= EQUALLY_FAST * min((one.seconds for one in passed), default=best.seconds)
    assert best.passed or not passed
    assert Choice.from_dict(found.as_dict()) == found


@pytest.mark.parametrize(
    ("low", "high", "answer"),
    [(-0.4, 0.5, "passed"), (0.1, 0.6, "cannot tell"), (0.6, 2.0, "rejected"), (0, 0, "passed")],
)
def test_a_loss_is_allowed_by_its_interval(low: float, high: float, answer: str) -> None:
    assert allowed(loss(low, high), 0.5).startswith(f"{answer}: ")
