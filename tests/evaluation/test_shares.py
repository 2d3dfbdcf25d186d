"""Shares with intervals: over texts those of bootstrap_share, over speakers wider, of few none."""

from __future__ import annotations

import random
from collections.abc import Sequence

import numpy as np
import pytest

from evaluation.shares import FEWEST, FEWEST_TEXTS, gain, share
from evaluation.slices import Resampling, Scored, text_labels
from evaluation.terms import bootstrap_gain, bootstrap_share
from tests.evaluation.conftest import row

HOW = {"confidence": 0.95, "resamples": 1000, "seed": 3}
RESAMPLING = Resampling(**HOW)  # type: ignore[arg-type]


def rows(count: int, speakers: int) -> list[Scored]:
    return [
        Scored(row(f"u{n}", f"text {n}", "en", f"s{n % speakers}"), f"text {n}", f"text {n}", 0, 2)
        for n in range(count)
    ]


def drawn(count: int, chance: float, seed: int, of: Sequence[int]) -> list[int]:
    generator = np.random.default_rng(seed)
    return [int(generator.binomial(each, chance)) for each in of][:count]


def test_over_texts_the_interval_is_that_of_the_domain_report() -> None:
    said = rows(80, speakers=2)
    of = [1 + n % 3 for n in range(80)]
    found, before = drawn(80, 0.9, 1, of), drawn(80, 0.7, 2, of)
    one = share(said, found, of, RESAMPLING)
    same = bootstrap_share(found, of, text_labels(said), **HOW)  # type: ignore[arg-type]
    assert one is not None
    assert (one.value, one.low, one.high) == pytest.approx((same.value, same.low, same.high))
    assert (one.found, one.of, one.utterances, one.speakers) == (sum(found), sum(of), 80, 2)
    assert "says nothing of other speakers" in one.claim
    more = gain(said, found, before, of, RESAMPLING)
    same = bootstrap_gain(found, before, of, text_labels(said), **HOW)  # type: ignore[arg-type]
    assert more is not None and more.surely == 1
    assert (more.value, more.low, more.high) == pytest.approx((same.value, same.low, same.high))
    assert more.points.startswith("+")


def test_speakers_are_drawn_where_there_are_enough_of_them() -> None:
    chance = random.Random(5)
    said, of = rows(400, speakers=40), [1] * 400
    # Every speaker is heard always or hardly ever: texts vary far less than speakers do.
    kind = [chance.random() < 0.5 for _ in range(40)]
    found = [int(chance.random() < (0.98 if kind[n % 40] else 0.3)) for n in range(400)]
    one = share(said, found, of, RESAMPLING)
    texts = bootstrap_share(found, of, text_labels(said), **HOW)  # type: ignore[arg-type]
    assert one is not None and one.low is not None and one.high is not None
    assert "holds for other speakers like these" in one.claim
    assert one.high - one.low > 1.5 * (texts.high - texts.low)


@pytest.mark.parametrize("found", [0, 1])
def test_all_or_nothing_is_no_certainty(found: int) -> None:
    one = share(rows(60, 3), [found] * 60, [1] * 60, RESAMPLING)
    assert one is not None and one.low is not None and one.high is not None
    assert one.value == found
    assert (one.low, one.high) == pytest.approx((0.940, 1.0) if found else (0.0, 0.060), abs=0.01)


@pytest.mark.parametrize(
    ("count", "said"),
    [(FEWEST - 1, f"{FEWEST - 1} of {FEWEST} to find"), (1, f"1 of {FEWEST_TEXTS} texts")],
)
def test_few_are_counted_and_not_judged(count: int, said: str) -> None:
    one = share(rows(count, 1), [1] * count, [1] * count, RESAMPLING)
    more = gain(rows(count, 1), [1] * count, [0] * count, [1] * count, RESAMPLING)
    assert one is not None and more is not None
    assert one.low is None and one.high is None and said in one.too_few
    assert one.percent() == f"{count} of {count}"
    assert more.low is None and more.surely == 0 and more.points == f"+{count} of {count}"


def test_where_there_is_nothing_to_find_there_is_no_share() -> None:
    assert share(rows(40, 2), [0] * 40, [0] * 40, RESAMPLING) is None
    assert gain(rows(40, 2), [0] * 40, [0] * 40, [0] * 40, RESAMPLING) is None


def test_more_than_there_is_cannot_be_found() -> None:
    with pytest.raises(ValueError, match="More was found than there is"):
        share(rows(40, 2), [2] * 40, [1] * 40, RESAMPLING)
    with pytest.raises(ValueError, match="same length"):
        share(rows(40, 2), [1] * 39, [1] * 40, RESAMPLING)
