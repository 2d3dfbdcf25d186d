"""No text and no separable speaker is on two sides, and a corpus that grows keeps its splits."""

from __future__ import annotations

import hashlib
import random
from collections import defaultdict
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.columns import with_splits
from data.ledger import Ledger
from data.sources import open_sources
from data.sources.base import Reach
from data.splits import (
    assign,
    assign_splits,
    check_splits,
    hash_split,
    shared_speakers,
    speaker_splits,
    split_summary,
    text_key,
)
from data.tables import utterance_table
from data.utterance import Split, Utterance
from lifecycle.ledgers import same_text
from lifecycle.splits import declared_speakers
from lifecycle.workspace import open_workspace
from voiceforge.errors import UsageError
from voiceforge.params import SplitParams
from voiceforge.settings import load_settings

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
    again = utterance("e", "ann", split="test", audio_sha256="5a")
    (audio,) = check_splits([replace(sound[0], audio_sha256="5a"), *sound, again])
    assert "The recording 5a is in test and train" in audio
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


def digest(rows: list[Utterance]) -> str:
    """What decides whether two assignments are the same."""
    lines = "".join(f"{row.id} {row.split}\n" for row in rows)
    return hashlib.sha256(lines.encode()).hexdigest()


def test_a_new_corpus_is_split_as_it_always_was() -> None:
    """The digest is of the splits that the first releases gave these utterances."""
    random_number = random.Random(5)
    speakers = {
        "folder:a": [f"a{n}" for n in range(9)],
        "folder:b": [f"b{n}" for n in range(3)],
        "folder:c": [f"c{n}" for n in range(6)],
        "espeak": sorted(DECLARED),
    }
    rows = []
    for n in range(400):
        source = random_number.choice(sorted(speakers))
        speaker = random_number.choice(speakers[source])
        spelt = "Say, number {}!" if random_number.random() < 0.5 else "say number {}"
        text = spelt.format(random_number.randrange(150))
        rows.append(utterance(text, speaker, source, id=f"u{n:03d}", audio_sha256=f"{n:064x}"))
    params = SplitParams(train=0.5, dev=0.08, test=0.42, minimum_speakers=5, seed=20)
    assert digest(assign_splits(rows, params, DECLARED)) == (
        "bca9736acb82953300e67f49915d3c4ee3c8e58fff16cc9da7d3f5c298388cbc"
    )


@pytest.mark.parametrize(
    ("name", "count", "frozen"),
    [
        ("telephony-en", 3531, "c3652443fc5c29eb0f4f8d12dad0841934b8798d9d55112e10af5542ef40ded9"),
        ("telephony-it", 566, "4f18b66828061b01cfda131162e1e74ba7895490a58a9dd11c213576dd68026e"),
    ],
)
def test_the_shipped_domains_are_split_as_published(
    name: str, count: int, frozen: str, project: Path, cache: Path
) -> None:
    """Word error rates in docs/ and results/ rest on these splits."""
    workspace = open_workspace(name, load_settings({}, project))
    reach = Reach(cache, False, 60.0)
    recordings = [
        recording
        for source in open_sources(workspace.domain, project)
        for recording in source.plan(reach).recordings
    ]
    rows = [
        utterance(
            r.text, r.speaker, r.source, id=r.id, is_synthetic=r.is_synthetic, audio_sha256=r.id
        )
        for r in sorted(recordings, key=lambda r: r.id)
    ]
    assigned = assign_splits(
        rows, workspace.domain.splits, declared_speakers(workspace.domain), same_text(workspace)
    )
    assert len(assigned) == count
    assert digest(assigned) == frozen


@given(_corpora, _corpora)
def test_an_arrow_table_is_split_as_its_rows_are(
    rows: list[Utterance], more: list[Utterance]
) -> None:
    first = assign(rows, PARAMS, DECLARED)
    again = [*rows, *more]
    by_row = assign(again, PARAMS, DECLARED, ledger=first.ledger)
    table = utterance_table(again)
    by_column = assign(table, PARAMS, DECLARED, ledger=first.ledger)
    assert by_column == by_row
    assert by_row.splits[: len(rows)] == first.splits
    given_splits = [replace(r, split=s) for r, s in zip(again, by_row.splits, strict=True)]
    split = with_splits(table, by_column.splits)
    assert split_summary(split) == split_summary(given_splits)
    for ledger in (None, by_row.ledger):
        problems = check_splits(given_splits, PARAMS, DECLARED, ledger=ledger)
        assert check_splits(split, PARAMS, DECLARED, ledger=ledger) == problems


def test_another_seed_than_the_ledgers_is_refused() -> None:
    ledger = assign([utterance("a", "ann")], PARAMS, {}).ledger
    other = PARAMS.model_copy(update={"seed": 8})
    with pytest.raises(UsageError, match=r"splits.seed is 8.* begun with 7.*also delete"):
        assign([utterance("a", "ann")], other, {}, ledger=ledger)


def test_changed_shares_are_for_what_is_new() -> None:
    rows = [utterance(f"text {n}", "ann") for n in range(200)]
    first = assign(rows, PARAMS, {})
    only_dev = PARAMS.model_copy(update={"train": 0.0, "dev": 1.0, "test": 0.0})
    grown = [*rows, *(utterance(f"later {n}", "ann") for n in range(50))]
    splits = assign(grown, only_dev, {}, ledger=first.ledger).splits
    assert splits[:200] == first.splits
    assert set(splits[200:]) == {"dev"}


def test_a_declared_voice_cannot_be_moved() -> None:
    ledger = assign([utterance("a", "robot-1", "espeak")], PARAMS, DECLARED).ledger
    moved: dict[str, Split] = {**DECLARED, "robot-1": "test"}
    with pytest.raises(UsageError, match="robot-1 in test, the ledger in train"):
        assign([utterance("a", "robot-2", "espeak")], PARAMS, moved, ledger=ledger)
    assert assign([utterance("b", "robot-2", "espeak")], PARAMS, DECLARED, ledger=ledger)


def test_a_source_that_grows_past_the_minimum_keeps_its_speakers_shared() -> None:
    few = [utterance(f"{name} {n}", name) for name in ("ann", "bo") for n in range(20)]
    first = assign(few, PARAMS, {})
    many = [utterance(f"{name} {n}", name) for name in ("cy", "di", "ed", "flo") for n in range(20)]
    grown = assign([*few, *many], PARAMS, {}, ledger=first.ledger)
    assert grown.splits[: len(few)] == first.splits
    assert "left-out" not in first.splits
    by_speaker = speaker_splits([*few, *many], PARAMS, {}, grown.ledger)
    assert by_speaker["ann"] is None and by_speaker["bo"] is None
    assert all(by_speaker[name] for name in ("cy", "di", "ed", "flo"))
    # And a source that was split by speaker stays so when it shrinks.
    (new,) = (utterance("zoe", "zoe"),)
    shrunk = speaker_splits([many[0], new], PARAMS, {}, grown.ledger)
    assert shrunk["zoe"] is not None


def test_a_text_that_another_spelling_joins_stays() -> None:
    """By the first in order of both, four in ten of these texts would move."""

    def same(text: str) -> str:
        return text.replace("one", "1")

    alone = [utterance(f"press one for {n}", "ann") for n in range(60)]
    first = assign(alone, PARAMS, {}, same)
    joined = [utterance(f"press 1 for {n}", "ann") for n in range(60)]
    both = assign([*alone, *joined], PARAMS, {}, same, first.ledger)
    assert both.splits == [*first.splits, *first.splits]
    assert assign([*alone, *joined], PARAMS, {}, same).splits[:60] != first.splits


def test_a_corrected_text_stays_where_its_recording_was_heard() -> None:
    rows = [utterance(f"text {n}", "ann", id=str(n), audio_sha256=f"{n}") for n in range(100)]
    first = assign(rows, PARAMS, {})
    corrected = [replace(row, text=f"corrected {row.text}") for row in rows]
    assert assign(corrected, PARAMS, {}, ledger=first.ledger).splits == first.splits
    assert assign(corrected, PARAMS, {}).splits != first.splits


def test_a_recording_under_two_texts_is_held_out_first() -> None:
    rows = [utterance(f"text {n}", "ann", id=str(n), audio_sha256="5a") for n in range(30)]
    splits = assign(rows, PARAMS, {}).splits
    assert set(splits) == {"test", "left-out"}
    assert splits == [
        split if split == "test" else "left-out"
        for split in (hash_split(text_key(row.text), PARAMS) for row in rows)
    ]


def test_a_ledger_of_another_corpus_is_kept_whole() -> None:
    first = assign([utterance("a", "ann", audio_sha256="1")], PARAMS, {}).ledger
    second = assign([utterance("b", "bo", audio_sha256="2")], PARAMS, {}, ledger=first).ledger
    for kind in ("texts", "speakers", "audio"):
        before, after = getattr(first, kind), getattr(second, kind)
        assert len(after) == 2 and before.items() <= after.items()
    assert assign([], PARAMS, {}, ledger=second).ledger == second
    assert assign([], PARAMS, {}).ledger == Ledger(7)
