"""Term recall and precision, held against an enumeration of every alignment."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.utterance import Utterance
from evaluation.prediction import Prediction
from evaluation.reports.terms import term_report
from evaluation.terms import (
    TermCounts,
    Vocabulary,
    bootstrap_gain,
    bootstrap_share,
    count_terms,
    merge_counts,
)

WORDS = st.lists(st.sampled_from("abc"), max_size=6)
TERMS = st.lists(
    st.lists(st.sampled_from("abc"), min_size=1, max_size=3).map(" ".join),
    min_size=1, max_size=3, unique=True,
)  # fmt: skip


def _every_alignment(n: int, m: int) -> Iterator[tuple[tuple[int, int], ...]]:
    """Every alignment of n with m words, as the pairs of places that stand opposite each other."""
    if n == 0 or m == 0:
        yield ()
        return
    for rest in _every_alignment(n - 1, m):
        yield rest
    for at in range(m):
        for rest in _every_alignment(n - 1, at):
            yield (*rest, (n - 1, at))


@cache
def _pairs(n: int, m: int) -> tuple[tuple[tuple[int, int], ...], ...]:
    return tuple(set(_every_alignment(n, m)))


def _occurrences(words: Sequence[str], terms: Sequence[str]) -> list[tuple[int, int]]:
    """(first place, term), by trying the longest terms first at every place."""
    order = sorted(range(len(terms)), key=lambda one: -len(terms[one].split()))
    found, free = [], 0
    for at in range(len(words)):
        for one in order:
            size = len(terms[one].split())
            if at >= free and " ".join(words[at : at + size]) == terms[one]:
                found.append((at, one))
                free = at + size
    return found


def _most_found(reference: Sequence[str], said: Sequence[str], terms: Sequence[str]) -> int:
    """Terms found by the best of the alignments with the fewest errors."""
    there = set(_occurrences(said, terms))
    best: tuple[int, int] | None = None
    for pairs in _pairs(len(reference), len(said)):
        errors = len(reference) + len(said) - 2 * len(pairs)
        errors += sum(reference[i] != said[j] for i, j in pairs)
        opposite = dict(pairs)
        found = 0
        for start, term in _occurrences(reference, terms):
            first = opposite.get(start)
            size = len(terms[term].split())
            if first is not None and (first, term) in there:
                found += all(opposite.get(start + k) == first + k for k in range(size))
        best = min(best or (errors, -found), (errors, -found))
    assert best is not None
    return -best[1]


@given(WORDS, WORDS, TERMS)
def test_found_terms_are_those_of_the_best_of_all_alignments(
    reference: list[str], said: list[str], terms: list[str]
) -> None:
    vocabulary = Vocabulary(terms)
    assert len(vocabulary.match(reference, said)) == _most_found(reference, said, terms)


@given(WORDS, WORDS, TERMS)
def test_counts_keep_to_what_is_there(
    reference: list[str], said: list[str], terms: list[str]
) -> None:
    vocabulary = Vocabulary(terms)
    counts = count_terms(" ".join(reference), " ".join(said), vocabulary)
    for one in counts.values():
        assert 0 <= one.found <= min(one.occurrences, one.said)
    assert sum(one.occurrences for one in counts.values()) == len(_occurrences(reference, terms))
    assert sum(one.said for one in counts.values()) == len(_occurrences(said, terms))


@given(WORDS, TERMS)
def test_a_perfect_transcript_finds_everything_and_an_empty_one_nothing(
    words: list[str], terms: list[str]
) -> None:
    vocabulary, text = Vocabulary(terms), " ".join(words)
    for one in count_terms(text, text, vocabulary).values():
        assert one.occurrences == one.found == one.said
    for one in count_terms(text, "", vocabulary).values():
        assert (one.found, one.said) == (0, 0)


def test_the_longer_term_wins_and_the_shorter_one_does_not_count_inside_it() -> None:
    vocabulary = Vocabulary(["new york", "new york times", "times"])
    assert count_terms("read the new york times", "read the new york", vocabulary) == {
        0: TermCounts(said=1),
        1: TermCounts(occurrences=1),
    }


def test_a_term_said_elsewhere_in_the_sentence_is_not_found() -> None:
    counts = count_terms(
        "zelvora is out of stock", "is out of stock zelvora", Vocabulary(["zelvora"])
    )
    assert counts == {0: TermCounts(occurrences=1, found=0, said=1)}


def test_a_term_without_words_and_one_named_twice_are_refused() -> None:
    with pytest.raises(ValueError, match="Term 1 has no words"):
        Vocabulary(["zelvora", " "])
    with pytest.raises(ValueError, match="'zelvora' is there twice"):
        Vocabulary(["zelvora", "zelvora"])


def test_counts_of_utterances_add_up() -> None:
    one, other = {0: TermCounts(1, 1, 1)}, {0: TermCounts(2, 1, 3), 4: TermCounts(0, 0, 1)}
    assert merge_counts([one, other]) == {0: TermCounts(3, 2, 4), 4: TermCounts(0, 0, 1)}


DRAWN = {"confidence": 0.95, "resamples": 800, "seed": 3}


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(1, 3)), min_size=2, max_size=30))
def test_the_interval_of_a_share_holds_it_and_stays_between_nothing_and_everything(
    counts: list[tuple[int, int]],
) -> None:
    found, of = [min(a, b) for a, b in counts], [b for _, b in counts]
    made = bootstrap_share(found, of, list(range(len(of))), **DRAWN)
    assert made.value == pytest.approx(sum(found) / sum(of))
    assert 0.0 <= made.low <= made.value + 1e-12 and made.value - 1e-12 <= made.high <= 1.0


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_all_or_nothing_is_not_certain(share: float) -> None:
    made = bootstrap_share([round(share)] * 20, [1] * 20, list(range(20)), **DRAWN)
    assert made.value == share
    # Clopper and Pearson, nothing seen in 20: 1 - 0.025 ** (1 / 20).
    assert made.high - made.low == pytest.approx(1 - 0.025 ** (1 / 20))


def test_the_interval_covers_the_true_share_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(5)
    held = 0
    for _ in range(150):
        hard = rng.beta(6, 2, size=40)  # texts differ in how hard they are
        found = rng.binomial(2, hard)
        made = bootstrap_share(found, np.full(40, 2), np.arange(40), **DRAWN)
        held += made.low <= 0.75 <= made.high
    assert 0.90 <= held / 150 <= 0.99


def test_a_gain_is_the_difference_of_both_recalls_and_has_its_sign() -> None:
    now, before, of = [1, 1, 1, 0] * 10, [0, 1, 0, 0] * 10, [1] * 40
    made = bootstrap_gain(now, before, of, list(range(40)), **DRAWN)
    assert made.value == pytest.approx(0.5)
    assert 0.3 < made.low < 0.5 < made.high < 0.7
    back = bootstrap_gain(before, now, of, list(range(40)), **DRAWN)
    assert back.value == pytest.approx(-0.5)


def test_more_found_than_there_are_is_an_error() -> None:
    with pytest.raises(ValueError, match="More occurrences were found"):
        bootstrap_share([2], [1], [0], **DRAWN)


def _said(
    number: int, reference: str, hypothesis: str, synthetic: bool
) -> tuple[Utterance, Prediction]:
    row = Utterance(
        f"u{number}", "a.flac", 1.0, reference, "en", "en", f"voice {number % 2}", "d", "terms",
        "CC0-1.0", "granted", "test", synthetic, "",
    )  # fmt: skip
    return row, Prediction(row.id, reference, hypothesis, (), 1.0, 0.1)


def test_a_report_normalises_terms_like_texts_and_counts_people_apart() -> None:
    made = [
        _said(0, "Order Corvid-Lattice, please.", "order corvid lattice please", True),
        _said(1, "We sell Zelvora.", "we sell zelda", True),
        _said(2, "Zelvora is here!", "Zelvora is here", False),
        _said(3, "Nothing of the kind.", "Zelvora of the kind", False),
    ]
    rows, ours = [row for row, _ in made], [said for _, said in made]
    theirs = [said for _, said in made[:2]]
    report = term_report(
        ours, theirs, rows, ["Corvid Lattice", "ZELVORA", "Brimtok"],
        candidate_name="ours", baseline_name="base", normaliser="whisper-english", language="en",
        **DRAWN,
    )  # fmt: skip
    overall, people, machines = report.slices
    assert overall.recall and overall.precision and people.recall and machines.recall
    assert (overall.recall.value, overall.recall.occurrences) == (pytest.approx(2 / 3), 3)
    assert (overall.precision.value, overall.precision.occurrences) == (pytest.approx(2 / 3), 3)
    assert (people.recall.value, people.recall.utterances) == (1.0, 1)
    assert people.baseline is None and people.gain is None
    assert machines.gain and machines.gain.value == 0.0 and machines.recall.speakers == 2
    assert [(row.found, row.occurrences, row.said) for row in report.terms] == [
        (1, 1, 1), (1, 2, 2), (0, 0, 0),
    ]  # fmt: skip
