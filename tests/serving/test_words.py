from __future__ import annotations

import itertools
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer

from serving.engines.words import place_words, split_words


@pytest.fixture(scope="module")
def tokenizer(engine_folder: Path) -> Tokenizer:
    return Tokenizer.from_file(str(engine_folder / "tokenizer.json"))


def words_of(tokenizer: Tokenizer, text: str, language: str = "en") -> list[str]:
    ids = tokenizer.encode(text, add_special_tokens=False).ids
    return [
        tokenizer.decode(group).strip() for group in split_words(ids, tokenizer.decode, language)
    ]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (" Dial 1, then wait.", ["Dial", "1,", "then", "wait."]),
        (' He said "no" twice.', ["He", "said", '"no"', "twice."]),
        (" The Asterisk PBX isn't busy", ["The", "Asterisk", "PBX", "isn't", "busy"]),
        (" perché è già così", ["perché", "è", "già", "così"]),
        (" 😀 Привет, мир!", ["😀", "Привет,", "мир!"]),
        ("", []),
    ],
)
def test_words_are_split_at_spaces_and_keep_their_punctuation(
    tokenizer: Tokenizer, text: str, words: list[str]
) -> None:
    assert words_of(tokenizer, text) == words


def test_a_language_without_spaces_is_split_into_characters(tokenizer: Tokenizer) -> None:
    assert words_of(tokenizer, "電話番号。", "ja") == ["電", "話", "番", "号。"]


@settings(max_examples=200)
@given(tokens=st.lists(st.integers(0, 50_255), max_size=30))
def test_no_token_is_lost_whatever_the_model_says(tokenizer: Tokenizer, tokens: list[int]) -> None:
    groups = split_words(tokens, tokenizer.decode, "en")
    assert [token for group in groups for token in group] == tokens
    assert all(groups)


@settings(max_examples=100)
@given(data=st.data())
def test_words_lie_in_order_inside_the_clip(tokenizer: Tokenizer, data: st.DataObject) -> None:
    tokens = data.draw(st.lists(st.integers(0, 50_255), min_size=1, max_size=15))
    steps = data.draw(
        st.lists(st.integers(0, 40), min_size=len(tokens) + 1, max_size=len(tokens) + 1)
    )
    duration = data.draw(st.floats(0.1, 6.0))
    positions = itertools.accumulate(steps)
    path = list(enumerate(positions))
    groups = split_words(tokens, tokenizer.decode, "en")
    words = place_words(groups, path, [0.5] * len(tokens), tokenizer.decode, duration)
    for word in words:
        assert 0.0 <= word.start <= word.end <= round(duration, 2)
    for before, after in itertools.pairwise(words):
        assert before.end <= after.start + 1e-9


def test_a_word_ends_where_the_pause_after_it_begins(tokenizer: Tokenizer) -> None:
    ids = tokenizer.encode(" Hello. World", add_special_tokens=False).ids
    # Hello at 0 s, the full stop at 0.5 s, World at 2 s, the end at 2.4 s.
    path = [(0, 0), (1, 25), (2, 100), (3, 120)]
    words = place_words(
        split_words(ids, tokenizer.decode, "en"), path, [0.9, 0.5, 0.8], tokenizer.decode, 3.0
    )
    assert [(word.text, word.start, word.end) for word in words] == [
        ("Hello.", 0.0, 0.5),
        ("World", 2.0, 2.4),
    ]
    assert words[0].confidence == pytest.approx(0.7)
