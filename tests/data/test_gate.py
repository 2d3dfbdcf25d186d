"""A frozen gate set: refused changes, detected edits, and leaks by every route."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from data.gate import (
    Gate,
    gate_problems,
    held_out_sha256,
    leaks,
    new_gate,
    seal,
    without_speakers,
)
from data.gate_files import gate_file, read_gates, write_gate
from data.ledger import speaker_id
from data.splits import text_key
from data.tables import utterance_table
from data.utterance import Split, Utterance
from voiceforge.errors import IntegrityError, UsageError


def utterance(number: int, split: Split, **changes: Any) -> Utterance:
    fields: dict[str, Any] = {
        "id": f"clip-{number}", "audio": "", "duration": 1.0, "text": f"Sentence {number}.",
        "language": "en", "accent": "en", "speaker": f"person {number % 3}", "domain": "calls",
        "source": "folder:a", "licence": "unknown", "consent": "unknown", "split": split,
        "is_synthetic": False, "audio_sha256": f"{number:064x}",
    }  # fmt: skip
    return Utterance(**{**fields, **changes})


ROWS = [
    *(utterance(n, "train") for n in range(6)),
    *(utterance(n, "dev") for n in range(6, 8)),
    *(utterance(n, "test") for n in range(8, 14)),
    utterance(14, "left-out"),
]
STAMP = {"frozen_at": "2026-01-02T03:04:05+00:00", "frozen_by": "ann", "reason": "first release"}


def frozen(rows: list[Utterance], previous: Gate | None = None) -> Gate:
    return new_gate(rows, name="calls", same=text_key, previous=previous, **STAMP)


GATE = frozen(ROWS)


def test_the_test_split_is_its_members() -> None:
    assert [member.id for member in GATE.members] == sorted(f"clip-{n}" for n in range(8, 14))
    assert GATE.identity == f"gate-1 {GATE.sha256}"
    assert GATE.test_set == held_out_sha256(utterance_table(ROWS)) == held_out_sha256(ROWS[::-1])
    assert gate_problems(ROWS, GATE) == []
    assert leaks(ROWS, [GATE]) == []


def test_what_falls_into_test_later_waits() -> None:
    grown = [*ROWS, utterance(20, "test"), utterance(21, "train")]
    for corpus in (grown, utterance_table(grown)):
        sealed = seal(corpus, [row.split for row in grown], GATE)
        assert sealed.waiting == 1
        assert sealed.splits == [*(row.split for row in ROWS), "left-out", "train"]
    assert gate_problems(grown, GATE) == [
        "Gate set gate-1 of calls: clip-20 is in test although it is no member."
    ]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"audio_sha256": "ff"}, "clip-9 is of other audio than was frozen"),
        ({"text": "Sentence nine"}, "clip-9 is of another text than was frozen"),
        ({"split": "left-out"}, "clip-9 is not in test, since the split ledger"),
        ({"id": "clip-x"}, "clip-9 is missing from the corpus"),
    ],
)
def test_a_member_that_is_missing_or_changed_is_named(change: dict[str, Any], said: str) -> None:
    rows = [replace(row, **change) if row.id == "clip-9" else row for row in ROWS]
    assert any(said in problem for problem in gate_problems(rows, GATE))
    if "text" in change or "audio_sha256" in change:
        sealed = seal(rows, [row.split for row in rows], GATE)
        assert (sealed.splits[9], sealed.waiting) == ("left-out", 1)


def test_another_way_to_write_the_same_words_is_no_change() -> None:
    rows = [replace(row, text="sentence  9") if row.id == "clip-9" else row for row in ROWS]
    assert gate_problems(rows, GATE) == []


def test_many_missing_members_are_counted() -> None:
    (problem,) = gate_problems(ROWS[:8], GATE)
    assert "clip-10, clip-11, clip-12 and 3 more are missing from the corpus" in problem


MEMBER = ROWS[8]
LEAKS: list[tuple[str, dict[str, Any], str]] = [
    ("the same audio under another id", {"id": "copy", "text": "else"}, "the audio of gate-1"),
    ("a correction", {"id": "fix", "text": "corrected", "source": "corrections"}, "the audio of"),
    ("a renamed speaker", {"id": "new", "speaker": "somebody else"}, "the audio of gate-1"),
    ("recorded again", {"id": "again", "audio_sha256": "aa"}, "a text and its speaker of gate-1"),
    (
        "recorded again, spelt otherwise",
        {"id": "again", "audio_sha256": "aa", "text": "SENTENCE 8!"},
        "a text and its speaker of gate-1",
    ),
]


@pytest.mark.parametrize("split", ["train", "dev"])
@pytest.mark.parametrize(
    ("changes", "said"), [leak[1:] for leak in LEAKS], ids=[x[0] for x in LEAKS]
)
def test_a_leak_is_found_by_every_route(changes: dict[str, Any], said: str, split: Split) -> None:
    planted = replace(MEMBER, split=split, **changes)
    for corpus in ([*ROWS, planted], utterance_table([*ROWS, planted])):
        (problem,) = leaks(corpus, [GATE])
        assert problem.startswith(f"{planted.id} in {split} has {said}")
    for harmless in ("left-out", "test"):
        assert leaks([*ROWS, replace(planted, split=harmless)], [GATE]) == []


def test_what_an_earlier_version_held_may_not_train_either() -> None:
    fewer = frozen([row for row in ROWS if row.id != "clip-9"], GATE)
    rows = [replace(row, split="train") if row.id == "clip-9" else row for row in ROWS]
    assert leaks(rows, [fewer]) == []
    assert leaks(rows, [GATE, fewer]) == ["clip-9 in train has the audio of gate-1."]


def test_texts_count_as_one_as_the_normaliser_has_them() -> None:
    def same(text: str) -> str:
        return text_key(text.replace("eight", "8"))

    gate = new_gate(ROWS, name="calls", same=same, previous=None, **STAMP)
    planted = replace(MEMBER, split="train", id="x", text="Sentence eight", audio_sha256="aa")
    assert leaks([*ROWS, planted], [gate]) == []
    assert len(leaks([*ROWS, planted], [gate], same)) == 1


def test_a_version_without_a_speaker_follows_the_one_before() -> None:
    stamp = {**STAMP, "reason": "person 0 asked to be forgotten"}
    gate = without_speakers(GATE, {speaker_id("person 0")}, **stamp)
    assert gate is not None and gate.version == 2 and gate.supersedes == GATE.sha256
    assert {member.id for member in GATE.members} - {member.id for member in gate.members} == {
        "clip-9",
        "clip-12",
    }
    assert gate.test_set == ""
    twin = next(member for member in GATE.members if member.id == "clip-9")
    gate = without_speakers(GATE, set(), audio={twin.audio_sha256}, **stamp)
    assert gate is not None and set(GATE.members) - set(gate.members) == {twin}
    assert without_speakers(GATE, {speaker_id("nobody")}, **stamp) is None
    with pytest.raises(UsageError, match="would be empty"):
        without_speakers(GATE, {speaker_id(f"person {n}") for n in range(3)}, **stamp)


@pytest.mark.parametrize("missing", ["frozen_by", "reason"])
def test_nobody_freezes_without_a_name_and_a_reason(missing: str) -> None:
    with pytest.raises(UsageError, match="by somebody and for a reason"):
        new_gate(ROWS, name="c", same=text_key, previous=None, **{**STAMP, missing: " "})


def test_an_empty_or_an_equal_gate_set_is_refused() -> None:
    with pytest.raises(UsageError, match="Nothing of calls is in test"):
        frozen(ROWS[:8])
    with pytest.raises(UsageError, match="is exactly gate-1"):
        frozen(ROWS, GATE)


@pytest.fixture
def ledgers(tmp_path: Path) -> Path:
    """The folder of `calls` with two versions."""
    folder = tmp_path / "calls"
    write_gate(folder, GATE)
    write_gate(folder, frozen([*ROWS, utterance(20, "test")], GATE))
    return folder


def test_what_is_written_is_read_and_never_written_over(ledgers: Path) -> None:
    first, second = read_gates(ledgers)
    assert first == GATE and second.supersedes == GATE.sha256
    assert read_gates(ledgers.with_name("others")) == ()
    with pytest.raises(IntegrityError, match=r"gate-1.json exists, and a frozen gate set"):
        write_gate(ledgers, GATE)
    members = (line for line in gate_file(ledgers, 1).read_text().splitlines() if "clip-" in line)
    assert len(list(members)) == len(GATE.members)


def _text(old: str, new: str) -> Callable[[Path], object]:
    def edit(path: Path) -> None:
        assert old in path.read_text()
        path.write_text(path.read_text().replace(old, new, 1))

    return edit


def _key(key: str, value: object) -> Callable[[Path], object]:
    return lambda path: path.write_text(json.dumps({**json.loads(path.read_text()), key: value}))


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (_text("clip-9", "clip-99"), "was changed after it was frozen"),
        (_text("first release", "another reason"), "was changed after it was frozen"),
        (_key("members", []), "was changed after it was frozen"),
        (_key("sha256", "0"), "was changed after it was frozen"),
        (_key("schema", 9), "layout is 9, known is 1"),
        (_key("note", "x"), "is not a gate set"),
        (_key("members", [["a"]]), "is not a gate set"),
        (_key("members", None), "is not a gate set"),
        (lambda path: path.write_text("{"), "is not a gate set"),
        (lambda path: path.write_text("[]"), "is not a gate set"),
        (lambda path: path.write_bytes(b"\xff\xfe"), "is not a gate set"),
        (lambda path: path.unlink(), "is missing although a later version is there"),
    ],
)
def test_an_edited_file_is_detected(
    edit: Callable[[Path], object], said: str, ledgers: Path
) -> None:
    edit(gate_file(ledgers, 1))
    with pytest.raises(IntegrityError, match=said) as caught:
        read_gates(ledgers)
    assert "gate-1.json" in str(caught.value) and "git" in str(caught.value)


def test_an_exchanged_version_is_detected(ledgers: Path, tmp_path: Path) -> None:
    """A sound file of the right number, made anew or for another corpus."""
    other = tmp_path / "x" / "calls"
    write_gate(other, replace(GATE, reason="made up"))
    gate_file(ledgers, 1).write_bytes(gate_file(other, 1).read_bytes())
    with pytest.raises(IntegrityError, match=r"gate-2.json is not version 2"):
        read_gates(ledgers)
    ledgers.rename(tmp_path / "others")
    with pytest.raises(IntegrityError, match="not version 1 of the gate set of others"):
        read_gates(tmp_path / "others")
