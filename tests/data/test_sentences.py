"""Everyday sentences of the catalogue, and machines that speak them."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from data.sources.base import Reach, Speech
from data.sources.espeak import Espeak
from data.sources.sentences import Sentences, is_usable, read_sentences
from data.split_hash import hash_split, text_key
from voiceforge.errors import IntegrityError
from voiceforge.params import EspeakSource, SplitParams
from voiceforge.params.sources import SENTENCE_LANGUAGES

SPLITS = SplitParams(train=0.5, dev=0.1, test=0.4, minimum_speakers=5, seed=20)


@pytest.fixture(scope="module")
def reach(cache: Path) -> Reach:
    return Reach(cache, offline=False, timeout=10.0)


def source(**changes: Any) -> EspeakSource:
    fields: dict[str, Any] = {
        "kind": "espeak", "texts": "sentences", "language": "en", "accents": ["en-us", "en-gb"],
        "voices": {"train": ["m1", "f1"], "dev": ["m5"], "test": ["m7"]},
        "clips_per_accent": {"train": 120, "dev": 0}, "words_per_accent": 0,
    }  # fmt: skip
    return EspeakSource.model_validate({**fields, **changes})


@pytest.mark.parametrize("language", SENTENCE_LANGUAGES)
def test_a_language_has_hundreds_of_sentences_each_once(language: str, reach: Reach) -> None:
    texts = Sentences(language).texts(reach)
    assert len(texts) > 400
    assert len({one.id for one in texts}) == len({text_key(one.text) for one in texts})
    assert all(is_usable(one.text) and one.licence == "BSD-3-Clause" for one in texts)
    assert texts == Sentences(language).texts(reach)


@pytest.mark.parametrize(
    "sentence",
    [
        "have you read Homer?",
        "What is thermodynamics",
        "I've lost about $200.00 so far today.",
        "Yesterday was the 13th, right?",
        "The CPU is hot today.",
        "I PLAY VOLLEYBALL.",
        "Go away.",
        "It is [laughs] funny.",
        " ".join(["Word", *["word"] * 19, "word."]),
    ],
)
def test_what_may_be_read_in_more_than_one_way_is_left(sentence: str) -> None:
    assert not is_usable(sentence)


def test_a_plain_sentence_is_taken() -> None:
    assert is_usable("Did you see any of the movies?")
    assert is_usable("Cos'è l'intelligenza artificiale?")
    assert is_usable("¿Alguna vez te sientes solo?")
    assert is_usable("No, I am just a piece of software.")


@given(st.text(max_size=60))
def test_no_text_upsets_it(text: str) -> None:
    assert isinstance(is_usable(text), bool)


def test_only_strings_of_conversations_are_read(tmp_path: Path) -> None:
    (tmp_path / "one.yml").write_text(
        "conversations:\n- - What is your name?\n  - My name is Zed. What is yours?\n"
        "- - name: value\n  - 12\n  - - Go out and play.\n- - what is your NAME?\n"
    )
    assert read_sentences(tmp_path) == [
        "Go out and play.", "My name is Zed.", "What is your name?", "What is yours?"
    ]  # fmt: skip
    (tmp_path / "two.yml").write_text("- no conversations\n")
    with pytest.raises(IntegrityError, match=r"two\.yml holds no conversations"):
        read_sentences(tmp_path)


def test_a_source_for_training_alone_has_no_held_out_clips(reach: Reach) -> None:
    plan = Espeak(source(), SPLITS).plan(reach)
    assert Counter(one.accent for one in plan.recordings) == {"en-us": 120, "en-gb": 120}
    assert {one.speaker.rpartition("+")[2] for one in plan.recordings} == {"m1", "f1"}
    assert {hash_split(text_key(one.text), SPLITS) for one in plan.recordings} == {"train"}
    assert all(isinstance(one.audio, Speech) and one.is_synthetic for one in plan.recordings)
    assert len({one.text for one in plan.recordings}) > 100


def test_the_fingerprint_tells_sentences_from_prompts() -> None:
    prints = [Espeak(source(texts=kind), SPLITS).fingerprint() for kind in ("prompts", "sentences")]
    assert prints[0]["texts"] != prints[1]["texts"]


def test_a_language_without_sentences_is_refused() -> None:
    with pytest.raises(ValidationError, match=r"no sentences in 'ru', only in en, es, it"):
        source(language="ru", accents=["ru"])
