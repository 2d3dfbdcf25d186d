"""Word errors against jiwer and against a dynamic programme written down independently."""

from __future__ import annotations

import math

import jiwer
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluation.metrics import (
    WordErrors,
    align,
    character_error_rate,
    per_utterance_errors,
    word_errors,
)

WORDS = st.sampled_from(["press", "one", "two", "pound", "the", "è", "1"])
TEXT = st.lists(WORDS, max_size=9).map(" ".join)
SPOKEN = st.lists(WORDS, min_size=1, max_size=9).map(" ".join)
PAIRS = st.lists(st.tuples(TEXT, TEXT), min_size=1, max_size=6)
SPOKEN_PAIRS = st.lists(st.tuples(SPOKEN, TEXT), min_size=1, max_size=6)


def fewest_errors(reference: list[str], hypothesis: list[str]) -> int:
    """Wagner and Fischer's table, row by row."""
    row = list(range(len(hypothesis) + 1))
    for left, word in enumerate(reference, start=1):
        above, row = row, [left]
        for right, other in enumerate(hypothesis, start=1):
            row.append(
                min(above[right] + 1, row[right - 1] + 1, above[right - 1] + (word != other))
            )
    return row[-1]


@given(PAIRS)
def test_errors_are_the_fewest(pairs: list[tuple[str, str]]) -> None:
    references, hypotheses = map(list, zip(*pairs, strict=True))
    table = per_utterance_errors(references, hypotheses)
    expected = [
        [fewest_errors(reference.split(), hypothesis.split()), len(reference.split())]
        for reference, hypothesis in pairs
    ]
    assert table.tolist() == expected


@given(SPOKEN_PAIRS)
def test_pooled_counts_equal_jiwers(pairs: list[tuple[str, str]]) -> None:
    references, hypotheses = map(list, zip(*pairs, strict=True))
    ours, theirs = word_errors(references, hypotheses), jiwer.process_words(references, hypotheses)
    assert ours == WordErrors(
        theirs.substitutions, theirs.deletions, theirs.insertions, theirs.hits
    )
    assert ours.rate == pytest.approx(theirs.wer)


@given(PAIRS)
def test_pooled_counts_are_sums_over_utterances(pairs: list[tuple[str, str]]) -> None:
    references, hypotheses = map(list, zip(*pairs, strict=True))
    pooled, table = (
        word_errors(references, hypotheses),
        per_utterance_errors(references, hypotheses),
    )
    assert [pooled.errors, pooled.words] == table.sum(axis=0).tolist()


@given(SPOKEN_PAIRS)
def test_character_error_rate_equals_jiwers(pairs: list[tuple[str, str]]) -> None:
    references, hypotheses = map(list, zip(*pairs, strict=True))
    theirs = jiwer.process_characters(references, hypotheses).cer
    assert character_error_rate(references, hypotheses) == pytest.approx(theirs)


@given(TEXT, TEXT)
def test_alignment_holds_both_texts_and_their_errors(reference: str, hypothesis: str) -> None:
    chunks = align(reference, hypothesis)
    assert [word for chunk in chunks for word in chunk.reference] == reference.split()
    assert [word for chunk in chunks for word in chunk.hypothesis] == hypothesis.split()
    errors = sum(
        max(len(chunk.reference), len(chunk.hypothesis))
        for chunk in chunks
        if chunk.operation != "equal"
    )
    assert errors == per_utterance_errors([reference], [hypothesis])[0, 0]


def test_empty_reference_counts_its_insertions_and_no_words() -> None:
    found = word_errors(["", "one two"], ["thank you", "one"])
    assert (found.insertions, found.deletions, found.words, found.rate) == (2, 1, 2, 1.5)


def test_rate_without_any_reference_word() -> None:
    assert word_errors([""], [""]).rate == 0.0
    assert word_errors([""], ["hello"]).rate == math.inf
    assert per_utterance_errors([], []).shape == (0, 2)


def test_lengths_must_agree() -> None:
    for count in (word_errors, per_utterance_errors, character_error_rate):
        with pytest.raises(ValueError, match="2 references and 1 hypotheses"):
            count(["a", "b"], ["a"])
