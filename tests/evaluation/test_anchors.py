"""Long texts in parts: nothing is left out, nothing costs more, and an hour is quick."""

from __future__ import annotations

import random
import time

from hypothesis import given
from hypothesis import strategies as st
from rapidfuzz.distance import Levenshtein

from evaluation.anchors import parts
from evaluation.entities import EntityReader
from evaluation.terms import Vocabulary, count_terms

WORDS = st.lists(st.sampled_from("abcdefghijklmnop"), max_size=60)
FEW = st.lists(st.sampled_from("abcdefghijklmnop"), max_size=3)


@given(WORDS, st.data())
def test_parts_are_the_whole_and_have_its_errors(left: list[str], data: st.DataObject) -> None:
    right = list(left)
    for _ in range(data.draw(st.integers(0, 5))):
        at = data.draw(st.integers(0, len(right)))
        right[at : at + data.draw(st.integers(0, 2))] = data.draw(
            WORDS.filter(lambda x: len(x) < 4)
        )
    forbidden = data.draw(st.sets(st.integers(0, 60)))
    cut = parts(left, right, lambda i, j: i not in forbidden and j not in forbidden, largest=100)
    assert [word for here, _ in cut for word in left[here]] == left
    assert [word for _, there in cut for word in right[there]] == right
    assert not {here.start for here, _ in cut[1:]} & forbidden
    assert sum(Levenshtein.distance(left[here], right[there]) for here, there in cut) == (
        Levenshtein.distance(left, right)
    )


def test_short_texts_are_whole() -> None:
    assert parts("abc", "abd", lambda i, j: True) == [(slice(0, 3), slice(0, 3))]


def test_an_hour_of_speech_is_compared_in_seconds() -> None:
    chance = random.Random(4)
    usual = ["the", "line", "is", "open", "and", "we", "can", "hear", "you", "now", "please"]
    spoken = [chance.choice(usual) for _ in range(9000)]
    for at in range(50, 9000, 100):
        spoken[at : at + 3] = ["extension", "line", str(at)]
    heard = [word if chance.random() > 0.02 else "x" for word in spoken]
    heard[5050:5053] = ["extension", "line", "7"]
    heard[7050:7052] = ["extension", "lime"]
    vocabulary = Vocabulary(["extension line", "line"])
    began = time.perf_counter()
    counts = count_terms(" ".join(spoken), " ".join(heard), vocabulary)
    read = EntityReader("en", []).compare(" ".join(spoken), " ".join(heard))
    assert time.perf_counter() - began < 20  # the whole table has 81 million cells
    expected = sum(spoken[at : at + 2] == heard[at : at + 2] for at in range(50, 9000, 100))
    assert counts[0].occurrences == 90 and counts[0].found == expected < 90
    assert len(read) == 90
    assert [one.heard for one in read if one.words == "5050"] == ["7"]
    kept = sum(spoken[at] == heard[at] for at in range(52, 9000, 100))
    assert sum(one.outcome == "kept" for one in read) == kept
