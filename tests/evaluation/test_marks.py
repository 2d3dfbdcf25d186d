"""Punctuation and capitals: cases judged by hand, and the same counts made in other ways."""

from __future__ import annotations

import random
import re
from pathlib import Path

import jiwer
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import precision_recall_fscore_support

from benchmarks.pairs import misheard, prompt_texts
from evaluation.marks import KINDS, PUNCTUATION, MarkScore, mark_scores, mark_table

SIGNS = dict(zip(".,?!:;", PUNCTUATION, strict=True))


def found(reference: str, hypothesis: str, language: str = "en") -> dict[str, tuple[int, int, int]]:
    """Expected, said and correct of each kind that there is."""
    table = mark_table([reference], [hypothesis], language)[0]
    return {
        kind: tuple(counts)
        for kind, counts in zip(KINDS, table.tolist(), strict=True)
        if any(counts)
    }


def test_marks_and_capitals_of_words_heard_right() -> None:
    assert found("Yes, we can. Can we?", "Yes we can? can we?") == {
        "period": (1, 0, 0),
        "comma": (1, 0, 0),
        "question mark": (1, 2, 1),
        "capital": (2, 1, 1),
    }


def test_a_mark_belongs_to_its_place_and_not_to_its_word() -> None:
    """A wrong word, a missing and an added one; the marks stand between the same words."""
    assert found("Ask Ann, now.", "Ask Anna, now.") == {
        "period": (1, 1, 1), "comma": (1, 1, 1), "capital": (2, 2, 2),
    }  # fmt: skip
    assert found("I am here. You go.", "I am. You go.") == {
        "period": (2, 2, 2),
        "capital": (2, 2, 2),
    }
    assert found("I am. You go.", "I am here. You go.") == {
        "period": (2, 2, 2),
        "capital": (2, 2, 2),
    }
    assert found("Well, go on.", "go, on.") == {
        "period": (1, 1, 1),
        "comma": (1, 1, 0),
        "capital": (1, 0, 0),
    }


def test_what_counts_as_a_mark() -> None:
    assert found('(Wait...) "U.S." costs 3.5 - or 1,000!', "wait U.S. costs 3.5 or 1,000") == {
        "period": (2, 1, 1),
        "exclamation mark": (1, 0, 0),
        "capital": (2, 1, 1),
    }
    assert found("¿Qué ? ¡No!", "qué no", "es") == {
        "question mark": (1, 0, 0),
        "exclamation mark": (1, 0, 0),
        "capital": (2, 0, 0),
    }
    assert found("... yes?!", "yes!?") == {
        "question mark": (1, 1, 1),
        "exclamation mark": (1, 1, 1),
    }


def test_languages_without_spaces_are_split_into_letters() -> None:
    assert found("你好，世界。", "你好世界。", "zh") == {"period": (1, 1, 1), "comma": (1, 0, 0)}
    assert found("你好，世界！", "你好，世间", "zh") == {
        "comma": (1, 1, 1),
        "exclamation mark": (1, 0, 0),
    }
    assert found("नमस्ते, दुनिया।", "नमस्ते, दुनिया।", "hi") == {"period": (1, 1, 1), "comma": (1, 1, 1)}


@pytest.fixture(scope="module")
def written(cache: Path) -> list[str]:
    """Prompts with marks, as people wrote them; words of letters alone, marks behind them."""
    texts = [text for text in prompt_texts(cache, "en") if re.fullmatch(r"[A-Za-z ,.?!:;]+", text)]
    texts = [text for text in texts if re.search(r"[a-z][,.?!:;]( |$)", text)]
    texts = [text for text in texts if not re.search(r"\s[,.?!:;]|[,.?!:;]\w|[.?!,:;]{2}", text)]
    assert len(texts) > 100
    return texts


def test_right_words_have_the_scores_of_classified_slots(written: list[str]) -> None:
    """scikit-learn's, of the mark behind each word and of each word's capital."""
    chance = random.Random(3)
    changed = [_remarked(text, chance) for text in written]
    ours = mark_scores(mark_table(written, changed, "en"))
    here, there = (
        [token for text in texts for token in text.split()] for texts in (written, changed)
    )
    labels = [[SIGNS.get(token[-1], "") for token in tokens] for tokens in (here, there)]
    kinds = [kind for kind in PUNCTUATION if kind in labels[0]]
    assert len(kinds) > 2
    precision, recall, f1, support = precision_recall_fscore_support(
        *labels, labels=kinds, zero_division=0
    )
    for number, kind in enumerate(kinds):
        assert ours[kind].expected == support[number]
        assert (ours[kind].precision or 0) == pytest.approx(precision[number])
        assert ours[kind].recall == pytest.approx(recall[number])
        assert ours[kind].f1 == pytest.approx(f1[number])
    capitals = [[token[0].isupper() for token in tokens] for tokens in (here, there)]
    theirs = precision_recall_fscore_support(*capitals, average="binary")[:3]
    assert (ours["capital"].precision, ours["capital"].recall, ours["capital"].f1) == (
        pytest.approx(theirs)
    )


def test_wrong_words_have_the_counts_of_a_plain_walk_along_jiwers_alignment(
    written: list[str],
) -> None:
    chance = random.Random(4)
    vocabulary = [token for text in written for token in text.split()]
    changed = [misheard(_remarked(text, chance), vocabulary, 0.3, chance) for text in written]
    # A mark that stands alone or before another is for the cases by hand.
    changed = [re.sub(r"(^|\s+)([,.?!:;])(?=\s|$)", r"\2", text) for text in changed]
    changed = [re.sub(r"[,.?!:;](?=\S)", "", text) for text in changed]
    table = mark_table(written, changed, "en")
    for row, (reference, hypothesis) in enumerate(zip(written, changed, strict=True)):
        assert table[row].tolist() == _walked(reference, hypothesis), (reference, hypothesis)


def _remarked(text: str, chance: random.Random) -> str:
    """Some marks and capitals are others."""
    tokens = []
    for token in text.split():
        word = token.rstrip(".,?!:;")
        mark = token[len(word) :] if chance.random() < 0.7 else chance.choice(["", ",", ".", "?"])
        tokens.append((word.swapcase() if chance.random() < 0.1 else word) + mark)
    return " ".join(tokens)


def _walked(reference: str, hypothesis: str) -> list[list[int]]:
    """One list of what is between pairs for each text, walked word by word."""
    bare = [re.sub(r"[.,?!:;]", "", text).lower() for text in (reference, hypothesis)]
    (chunks,) = jiwer.process_words(*bare).alignments
    ours, theirs = reference.split(), hypothesis.split()
    expected: list[list[str]] = [[]]
    said: list[list[str]] = [[]]
    both_capital = 0
    for chunk in chunks:
        paired = chunk.type in ("equal", "substitute")
        left = ours[chunk.ref_start_idx : chunk.ref_end_idx]
        right = theirs[chunk.hyp_start_idx : chunk.hyp_end_idx]
        for at in range(max(len(left), len(right))):
            if paired:
                expected.append([])
                said.append([])
                both_capital += left[at][0].isupper() and right[at][0].isupper()
            expected[-1] += left[at][-1] if at < len(left) else ""
            said[-1] += right[at][-1] if at < len(right) else ""
    rows = [
        [
            sum(ones.count(sign) for ones in expected),
            sum(ones.count(sign) for ones in said),
            sum(min(a.count(sign), b.count(sign)) for a, b in zip(expected, said, strict=True)),
        ]
        for sign in SIGNS
    ]
    capitals = [sum(token[0].isupper() for token in tokens) for tokens in (ours, theirs)]
    return [*rows, [*capitals, both_capital]]


TEXTS = st.lists(st.sampled_from(["a", "B.", "c,", "D?", "e!", "...", "1:"]), max_size=8).map(
    " ".join
)


@given(TEXTS, TEXTS)
def test_swapping_the_texts_swaps_what_is_expected_and_said(one: str, other: str) -> None:
    table, swapped = mark_table([one], [other], "en"), mark_table([other], [one], "en")
    assert (table[..., 0] == swapped[..., 1]).all() and (table[..., 1] == swapped[..., 0]).all()
    assert (table[..., 2] <= table[..., :2].min(axis=-1)).all()
    itself = mark_table([one], [one], "en")
    assert (itself[..., 0] == itself[..., 1]).all() and (itself[..., 0] == itself[..., 2]).all()


def test_scores_are_pooled_and_none_where_there_is_nothing() -> None:
    scores = mark_scores(mark_table(["Yes.", "No, no."], ["Yes.", "No no"], "en"))
    assert scores["period"] == MarkScore(2, 1, 1)
    assert (scores["period"].recall, scores["period"].precision) == (0.5, 1.0)
    assert scores["period"].f1 == pytest.approx(2 / 3)
    assert scores["punctuation"] == MarkScore(3, 1, 1)
    nothing = scores["colon"]
    assert (nothing.recall, nothing.precision, nothing.f1) == (None, None, None)
    assert mark_table([], [], "en").shape == (0, len(KINDS), 3)


def test_bad_arguments_are_refused() -> None:
    with pytest.raises(ValueError, match="shorter"):
        mark_table(["a", "b"], ["a"], "en")
    with pytest.raises(ValueError, match="ISO 639"):
        mark_table(["a"], ["a"], "xx")
