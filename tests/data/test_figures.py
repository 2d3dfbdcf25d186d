"""A corpus in figures: nothing is lost in the bins, and the examples are of everybody."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.figures import examples, histograms, speaker_figures
from data.measurement import Measurement
from data.utterance import Utterance


def utterance(
    number: int,
    seconds: float = 2.0,
    *,
    accent: str = "en",
    speaker: str = "s",
    machine: bool = False,
) -> Utterance:
    return Utterance(
        f"u{number}", "a.flac", seconds, "two words", "en", accent, speaker, "d", "src", "L",
        "granted", "", machine, "",
    )  # fmt: skip


def measured(row: Utterance, speech: float = 1.0) -> Measurement:
    return Measurement(row.id, 16000, 1, 0.5, -20.0, 0.0, 0.0, 0.1, 4000.0, speech, "")


durations = st.lists(st.tuples(st.floats(0.1, 30.0), st.booleans()), min_size=1, max_size=80)


@given(durations)
def test_every_utterance_is_in_one_bin(values: list[tuple[float, bool]]) -> None:
    rows = [utterance(n, seconds, machine=m) for n, (seconds, m) in enumerate(values)]
    for histogram in histograms(rows, {}):
        assert sum(histogram.human) == sum(not row.is_synthetic for row in rows)
        assert sum(histogram.synthetic) == sum(row.is_synthetic for row in rows)
        assert list(histogram.edges) == sorted(set(histogram.edges))


def test_one_odd_clip_does_not_squeeze_the_others() -> None:
    rows = [utterance(n, 2.0 + n / 100) for n in range(400)] + [utterance(999, 30.0)]
    duration = histograms(rows, {})[0]
    assert duration.edges[-1] < 7.0
    assert sum(count > 0 for count in duration.human) > 12


def test_what_was_not_measured_has_no_histogram() -> None:
    rows = [utterance(n) for n in range(4)]
    assert [h.name for h in histograms(rows, {})] == ["duration", "speaking rate"]
    some = {row.id: measured(row) for row in rows[:3]}
    spread = {h.name: h for h in histograms(rows, some)}
    assert sum(spread["bandwidth"].human) == 3
    assert spread["speech"].edges[0] < 50.0 < spread["speech"].edges[-1]


def test_speakers_are_sorted_by_their_share() -> None:
    rows = [utterance(n, 1.0, speaker="b") for n in range(3)] + [utterance(9, 5.0, speaker="a")]
    first, second = speaker_figures(rows)
    assert (first.speaker, first.seconds, first.words) == ("a", 5.0, 2)
    assert (second.speaker, second.utterances) == ("b", 3)


@pytest.mark.parametrize("each", [1, 3])
def test_examples_are_of_every_accent_and_different_speakers(each: int) -> None:
    rng = np.random.default_rng(1)
    rows = [
        utterance(n, float(rng.uniform(1, 9)), accent=f"en-{n % 4}", speaker=f"s{n % 8}",
                  machine=n % 4 == 3)
        for n in range(200)
    ]  # fmt: skip
    chosen = examples(rows, each)
    assert Counter(row.accent for row in chosen) == {f"en-{n}": each for n in range(4)}
    assert len({row.speaker for row in chosen}) == 4 * min(each, 2)
    assert [row.is_synthetic for row in chosen] == sorted(row.is_synthetic for row in chosen)
    middle = np.median([row.duration for row in rows])
    assert all(math.isclose(row.duration, middle, abs_tol=2.5) for row in chosen)
