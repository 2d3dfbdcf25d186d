"""Which confidence belongs to which word, and which word is right."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.fetch import fetch
from data.utterance import Utterance
from evaluation.confidence import (
    Judged,
    TokenPooling,
    judge_utterances,
    judge_words,
    judged,
    match_words,
    pool,
)
from evaluation.prediction import Prediction
from evaluation.slices import Scored, score
from evaluation.text import normalise
from evaluation.word_tokens import word_splitter
from voiceforge.errors import IntegrityError

NORMALISE = partial(normalise, name="whisper-english", language="en")


def predicted(name: str, reference: str, hypothesis: str, *logprobs: float) -> Prediction:
    return Prediction(name, reference, hypothesis, logprobs, 2.0, 0.1)


def scored(*predictions: Prediction) -> tuple[Scored, ...]:
    rows = [
        Utterance(
            id=one.utterance_id, audio="", duration=2.0, text=one.reference, language="en",
            accent="en", speaker="kim", domain="d", source="test", licence="CC0-1.0",
            consent="granted", split="test", is_synthetic=False, audio_sha256="",
        )
        for one in predictions
    ]  # fmt: skip
    return score(predictions, rows, normaliser="whisper-english", language="en")


def words(text: str) -> list[tuple[str, int]]:
    """A tokenizer with a token a syllable mark: "tele-phone" is one word of two tokens."""
    return [(word.replace("-", ""), word.count("-") + 1) for word in text.split()]


def judge(one: Prediction, pooling: TokenPooling = "mean") -> Judged:
    plain = replace(one, hypothesis=one.hypothesis.replace("-", ""))
    rows = scored(plain)
    return judge_words([plain], rows, lambda _: words(one.hypothesis), NORMALISE, pooling=pooling)


def test_an_utterance_is_right_without_a_word_error() -> None:
    heard = [
        predicted("a", "Press one.", "press one", math.log(0.9), math.log(0.5)),
        predicted("b", "Press two.", "press too", math.log(0.4)),
        predicted("c", "Press one.", ""),
    ]
    found = judge_utterances(heard, scored(*heard))
    assert found.confidence == pytest.approx([0.7, 0.4])
    assert found.correct.tolist() == [True, False]
    assert found.errors == 1
    assert found.left_out == (("the model said nothing", 1),)


def test_utterances_of_one_text_are_one_cluster() -> None:
    heard = [
        predicted("a", "Press one.", "press one", -0.1),
        predicted("b", "press ONE", "press one", -0.1),
        predicted("c", "Hang up.", "hang up", -0.1),
    ]
    labels = judge_utterances(heard, scored(*heard)).clusters
    assert labels[0] == labels[1] != labels[2]


@pytest.mark.parametrize(("pooling", "value"), [("mean", 0.6), ("minimum", 0.4), ("product", 0.32)])
def test_tokens_become_one_confidence(pooling: TokenPooling, value: float) -> None:
    assert pool([math.log(0.8), math.log(0.4)], pooling) == pytest.approx(value)


@pytest.mark.parametrize("value", [math.nan, 0.01, -math.inf, math.inf])
def test_what_is_no_log_probability_is_refused_by_the_utterances_name(value: float) -> None:
    heard = [predicted("good", "a", "a", -0.1), predicted("bad-7", "a b", "a b", -0.1, value)]
    with pytest.raises(ValueError, match=r"'bad-7': the log-probability of token 1 is"):
        judge_utterances(heard, scored(*heard))
    with pytest.raises(ValueError, match="'bad-7'"):
        judge_words(heard, scored(*heard), words, NORMALISE)


def test_a_text_without_log_probabilities_is_refused() -> None:
    heard = [predicted("mute", "a", "a")]
    with pytest.raises(ValueError, match="'mute': the model said something but gave no"):
        judge_utterances(heard, scored(*heard))


def test_rows_of_other_predictions_are_refused() -> None:
    one, two = predicted("a", "a", "a", -0.1), predicted("b", "b", "b", -0.1)
    with pytest.raises(ValueError, match="in this order"):
        judge_utterances([one, two], scored(two, one))


def test_hits_are_right_and_substitutions_and_insertions_wrong() -> None:
    said = predicted("a", "dial the number", "Dial a num-ber please.", *[math.log(0.5)] * 5)
    found = judge(said)
    assert found.correct.tolist() == [True, False, True, False]


def test_a_word_has_the_confidence_of_its_own_tokens() -> None:
    said = predicted(
        "a", "the telephone rings", "The tele-phone rings.", *map(math.log, (0.9, 0.8, 0.4, 0.7))
    )
    assert judge(said).confidence == pytest.approx([0.9, 0.6, 0.7])
    assert judge(said, "minimum").confidence == pytest.approx([0.9, 0.4, 0.7])


def test_words_that_the_normaliser_merges_are_judged_together() -> None:
    said = predicted(
        "a", "Press 21 now", "Press twenty one now", *map(math.log, (0.9, 0.8, 0.6, 0.5))
    )
    found = judge(said)
    assert found.confidence == pytest.approx([0.9, 0.7, 0.5])
    assert found.correct.tolist() == [True, True, True]


def test_a_word_that_the_normaliser_parts_is_one_word() -> None:
    said = predicted("a", "It is not here", "It isn't there", *map(math.log, (0.9, 0.8, 0.3)))
    found = judge(said)
    assert found.confidence == pytest.approx([0.9, 0.8, 0.3])
    assert found.correct.tolist() == [True, True, False]


def test_a_word_that_the_normaliser_drops_is_not_judged() -> None:
    said = predicted("a", "press one", "Um, press one", *map(math.log, (0.2, 0.8, 0.7)))
    assert judge(said).confidence == pytest.approx([0.8, 0.7])


def test_an_utterance_whose_tokens_cannot_be_told_apart_is_left_out_and_counted() -> None:
    found = judge(predicted("a", "press one", "press one", -0.1, -0.1, -0.1))
    assert len(found) == 0
    assert found.left_out == (("its tokens are not those of its text", 1),)


PIECES = st.lists(st.lists(st.sampled_from("abc"), max_size=2), max_size=6)


@given(PIECES, st.lists(st.sampled_from("abcd"), max_size=8))
def test_every_normalised_word_belongs_to_some_written_words_and_to_no_others(
    pieces: list[list[str]], normalised: list[str]
) -> None:
    pairs = match_words(pieces, normalised)
    heard = [place for _, places in pairs for place in places]
    assert heard == (list(range(len(normalised))) if pieces else [])
    written = [place for places, _ in pairs for place in places]
    assert written == sorted(set(written))
    assert all(0 <= place < len(pieces) for place in written)


@given(PIECES.map(lambda pieces: [piece for piece in pieces if piece]))
def test_a_normaliser_that_works_word_by_word_joins_no_words(pieces: list[list[str]]) -> None:
    pairs = match_words(pieces, [word for piece in pieces for word in piece])
    assert [len(written) for written, _ in pairs] == [1] * len(pieces) or any(
        len(piece) > 1 for piece in pieces
    )
    assert [list(places) for places, _ in pairs if len(places) != 1] == []


@given(st.lists(st.tuples(st.floats(-9, 0), st.floats(-9, 0)), min_size=1, max_size=5))
def test_a_words_confidence_lies_between_its_tokens(pairs: list[tuple[float, float]]) -> None:
    for tokens in pairs:
        low, high = sorted(map(math.exp, tokens))
        assert pool(tokens, "product") <= low * (1 + 1e-9)
        assert pool(tokens, "minimum") == pytest.approx(low)
        assert low - 1e-9 <= pool(tokens, "mean") <= high + 1e-9


def test_lengths_and_ranges_of_judged_confidences_are_checked() -> None:
    with pytest.raises(ValueError, match="one length"):
        judged([0.5, 0.5], [True])
    for wrong in (1.2, -0.1, math.nan):
        with pytest.raises(ValueError, match="between 0 and 1"):
            judged([wrong], [True])
    assert judged([0.5, 1.0], [True, False]).clusters.tolist() == [0, 1]
    assert len(Judged(np.zeros(0), np.zeros(0, np.bool_), np.zeros(0, np.int64))) == 0


@pytest.fixture(scope="module")
def model(cache: Path) -> Path:
    return fetch("whisper-tiny.en", cache=cache, offline=False, timeout=60.0)


@pytest.mark.parametrize(
    ("text", "counted"),
    [
        ("Dial 1, then wait.", [("Dial", 1), ("1,", 2), ("then", 1), ("wait.", 2)]),
        ("", []),
    ],
)
def test_a_models_own_tokenizer_counts_the_tokens_of_words(
    model: Path, text: str, counted: list[tuple[str, int]]
) -> None:
    assert word_splitter(model, "en")(text) == counted


def test_a_recording_of_minutes_has_the_tokens_of_its_segments(model: Path) -> None:
    segments = ["Press 1, then wait.", "Goodbye!", "Your call is 25 minutes long."] * 40
    split = word_splitter(model, "en")
    whole = split(" ".join(segments))
    assert whole == [word for segment in segments for word in split(segment)]
    text = " ".join(segments)
    said = predicted("long", text, text, *[-0.1] * sum(tokens for _, tokens in whole))
    found = judge_words([said], scored(said), split, NORMALISE)
    assert len(found) == len(text.split())
    assert found.errors == 0


def test_a_single_word_is_judged(model: Path) -> None:
    split = word_splitter(model, "en")
    ((_, tokens),) = split("Goodbye!")
    said = predicted("one", "Goodbye", "Goodbye!", *[math.log(0.5)] * tokens)
    found = judge_words([said], scored(said), split, NORMALISE)
    assert (found.correct.tolist(), found.confidence.tolist()) == ([True], [pytest.approx(0.5)])


def test_a_folder_without_a_tokenizer_is_refused(tmp_path: Path) -> None:
    with pytest.raises(IntegrityError, match=r"tokenizer\.json cannot be read as a tokenizer"):
        word_splitter(tmp_path, "en")
