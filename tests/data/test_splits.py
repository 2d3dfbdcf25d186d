"""No text and no separable speaker is on two sides, and a corpus that grows keeps its splits."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.splits import (
    assign_splits,
    check_splits,
    hash_split,
    shared_speakers,
    speaker_splits,
    split_summary,
    text_key,
)
from data.utterance import Split, Utterance
from voiceforge.params import SplitParams

PARAMS = SplitParams(train=0.5, dev=0.2, test=0.3, minimum_speakers=3, seed=7)
DECLARED: dict[str, Split] = {"robot-1": "train", "robot-2": "dev", "robot-3": "test"}


def utterance(text: str, speaker: str, source: str = "folder:a", **changes: object) -> Utterance:
    fields = {
        "id": f"{source}-{speaker}-{text}",
        "audio": "audio/x.flac",
        "duration": 1.0,
        "text": text,
        "language": "en",
        "accent": "en",
        "speaker": speaker,
        "domain": "d",
        "source": source,
        "licence": "unknown",
        "consent": "unknown",
        "split": "",
        "is_synthetic": speaker in DECLARED,
        "audio_sha256": "",
    }
    return Utterance(**{**fields, **changes})  # type: ignore[arg-type]


_people = st.builds(
    utterance,
    st.sampled_from([f"text {number}" for number in range(40)]),
    st.sampled_from(["ann", "bo", "cy", "di", "ed", "flo"]),
    st.sampled_from(["folder:a", "folder:b"]),
)
_machines = st.builds(
    utterance,
    st.sampled_from([f"text {number}" for number in range(40)]),
    st.sampled_from(sorted(DECLARED)),
    st.just("espeak"),
)
_corpora = st.lists(_people | _machines, max_size=80).map(
    lambda rows: [
        replace(row, speaker=f"{row.source}:{row.speaker}") if row.source != "espeak" else row
        for row in rows
    ]
)


@given(_corpora)
def test_nothing_leaks(rows: list[Utterance]) -> None:
    assigned = assign_splits(rows, PARAMS, DECLARED)
    by_speaker = speaker_splits(rows, PARAMS, DECLARED)
    splits_of_text: dict[str, set[str]] = defaultdict(set)
    for row in assigned:
        assert row.split in ("train", "dev", "test", "left-out")
        if row.split != "left-out":
            splits_of_text[row.text].add(row.split)
            assert by_speaker[row.speaker] in (None, row.split)
    assert all(len(splits) == 1 for splits in splits_of_text.values())
    leaks = [p for p in check_splits(assigned, PARAMS, DECLARED) if "empty" not in p]
    assert leaks == []


@given(_corpora)
def test_only_the_split_changes_and_the_order_is_kept(rows: list[Utterance]) -> None:
    assigned = assign_splits(rows, PARAMS, DECLARED)
    assert [replace(row, split="") for row in assigned] == rows
    assert assign_splits(assigned[::-1], PARAMS, DECLARED)[::-1] == assigned


@given(
    st.sets(st.text(min_size=1), min_size=1, max_size=30), st.sets(st.text(min_size=1), max_size=30)
)
def test_a_growing_corpus_moves_no_text(before: set[str], more: set[str]) -> None:
    rows = [utterance(text, "one") for text in sorted(before)]
    grown = [utterance(text, "one") for text in sorted(before | more)]
    old = {row.text: row.split for row in assign_splits(rows, PARAMS, {})}
    new = {row.text: row.split for row in assign_splits(grown, PARAMS, {})}
    assert {text: new[text] for text in old} == old


@pytest.mark.parametrize(
    "params", [PARAMS, SplitParams(train=0.9, dev=0.1, test=0.0, minimum_speakers=1, seed=1)]
)
def test_shares_are_kept(params: SplitParams) -> None:
    drawn = [hash_split(f"key {number}", params) for number in range(20_000)]
    for split in ("train", "dev", "test"):
        # Four standard errors of a share of 20,000 draws are at most 0.015.
        assert drawn.count(split) / len(drawn) == pytest.approx(getattr(params, split), abs=0.015)
    assert ("test" in drawn) == (params.test > 0)


def test_another_seed_splits_otherwise() -> None:
    other = PARAMS.model_copy(update={"seed": 8})
    keys = [f"key {number}" for number in range(50)]
    assert [hash_split(key, PARAMS) for key in keys] != [hash_split(key, other) for key in keys]


@pytest.mark.parametrize(
    ("left", "right"),
    [("Press 1.", "press 1"), ("ﬁle", "FILE"), ("Thank  you!", "thank-you"), ("Caffè", "Caffè")],
)
def test_texts_that_sound_alike_share_a_key(left: str, right: str) -> None:
    assert text_key(left) == text_key(right)


def test_texts_that_differ_do_not() -> None:
    assert text_key("one") != text_key("two")
    assert text_key("é") != text_key("e")
    assert text_key("?!") != text_key("...")


def test_a_text_of_one_speaker_goes_with_the_speaker() -> None:
    rows = [utterance(f"text {n}", "robot-3", "espeak") for n in range(30)]
    assert {row.split for row in assign_splits(rows, PARAMS, DECLARED)} == {"test"}


def test_cells_that_disagree_are_left_out() -> None:
    rows = [utterance("same", name, "espeak") for name in DECLARED]
    assigned = assign_splits(rows, PARAMS, DECLARED)
    assert sorted(row.split for row in assigned).count("left-out") == 2
    (kept,) = [row for row in assigned if row.split != "left-out"]
    assert kept.split == hash_split("same", PARAMS) == DECLARED[kept.speaker]


@pytest.mark.parametrize("seed", range(40))
def test_few_speakers_still_reach_every_split(seed: int) -> None:
    params = PARAMS.model_copy(update={"seed": seed, "dev": 0.05, "test": 0.45})
    rows = [utterance(f"{name} {n}", name) for name in "abcde" for n in range(4)]
    by_speaker = speaker_splits(rows, params, {})
    assert set(by_speaker.values()) == {"train", "dev", "test"}
    assert check_splits(assign_splits(rows, params, {}), params, {}) == []


def test_too_few_speakers_are_shared_and_said_so() -> None:
    rows = [utterance(f"text {n}", name) for n in range(60) for name in ("ann", "bo")]
    assigned = assign_splits(rows, PARAMS, {})
    assert speaker_splits(rows, PARAMS, {}) == {"ann": None, "bo": None}
    assert shared_speakers(assigned) == ["ann", "bo"]
    assert split_summary(assigned)["left_out"] == 0
    assert check_splits(assigned, PARAMS, {}) == []


def test_check_splits_finds_each_kind_of_leak() -> None:
    sound = [
        utterance("a", "robot-1", "espeak", split="train"),
        utterance("b", "robot-2", "espeak", split="dev"),
        utterance("c", "robot-3", "espeak", split="test"),
    ]
    assert check_splits(sound) == []
    (text,) = check_splits([*sound, utterance("A!", "robot-3", "espeak", split="test")])
    assert "'a'" in text and "test and train" in text
    (voice,) = check_splits([*sound, utterance("d", "robot-1", "espeak", split="test")])
    assert "robot-1" in voice
    (empty,) = check_splits(sound[:2])
    assert "test split is empty" in empty
    (missing,) = check_splits([*sound, utterance("e", "robot-1")])
    assert "no split" in missing
    people = [
        utterance(t, n, split=s)
        for t, n, s in [
            ("x", "p", "train"),
            ("y", "p", "test"),
            ("z", "q", "dev"),
            ("w", "r", "dev"),
        ]
    ]
    assert check_splits(people) == []
    assert any("p is heard in" in problem for problem in check_splits(people, PARAMS, {}))


def test_summary_counts_words_speakers_and_seconds_apart_for_people() -> None:
    rows = [
        utterance("one two", "ann", split="train", duration=2.5),
        utterance("three", "bo", split="train", duration=0.5),
        utterance("four five six", "robot-1", "espeak", split="train"),
        utterance("seven", "ann", split="left-out"),
    ]
    summary = split_summary(rows)
    assert summary["utterances"] == 4 and summary["left_out"] == 1
    people, machines, left = summary["by_split"]
    assert people == {
        "split": "train",
        "accent": "en",
        "is_synthetic": False,
        "utterances": 2,
        "seconds": 3.0,
        "words": 3,
        "speakers": 2,
    }
    assert (machines["is_synthetic"], machines["words"]) == (True, 3)
    assert (left["split"], left["words"]) == ("left-out", 1)


def test_texts_that_are_scored_as_one_are_one_text() -> None:
    """Two spellings that the normaliser makes equal would else train and test the same words."""
    spellings = [f"press {word} for {n}" for n in range(40) for word in ("one", "1")]
    rows = [utterance(text, "ann") for text in spellings]

    def same(text: str) -> str:
        return text.replace("one", "1")

    assert any(
        "is in" in problem for problem in check_splits(assign_splits(rows, PARAMS, {}), same=same)
    )
    assigned = assign_splits(rows, PARAMS, {}, same)
    assert check_splits(assigned, same=same) == []
    by_text = {row.text: row.split for row in assign_splits(rows, PARAMS, {})}
    first = min(spellings[:2], key=text_key)
    assert {row.split for row in assigned[:2]} == {by_text[first]}
