"""The ledger of forgotten speakers: no names in it, every line counts, none is guessed."""

from __future__ import annotations

import json
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from data.forgotten import NOBODY, Forgotten, add_findings, bury, finish, read_forgotten
from data.sources.base import FileAudio, Recording, Refused, Reject
from voiceforge.errors import IntegrityError

AT = "2026-01-05T03:00:00+00:00"


def recording(identity: str, speaker: str) -> Recording:
    return Recording(
        identity, "a text", "en", "en", speaker, "folder:x", "CC0-1.0", "granted", False,
        f"{speaker}/1.wav", FileAudio(Path("1.wav")),
    )  # fmt: skip


@pytest.fixture
def ledgers(tmp_path: Path) -> Path:
    return tmp_path / "ledgers" / "calls"


def test_the_tombstone_says_when_by_whom_and_why_and_no_name(ledgers: Path) -> None:
    assert read_forgotten(ledgers) == Forgotten("calls")
    bury(ledgers, "Anna Berg", at=AT, by="ops", why="wrote a letter")
    add_findings(ledgers, "Anna Berg", audio=["a1", "a2"], versions=["0a.dir"])
    content = (ledgers / "forgotten.jsonl").read_text()
    assert "Anna" not in content and '"a1"' not in content
    forgotten = read_forgotten(ledgers)
    stone = forgotten.tombstone("Anna Berg")
    assert stone is not None and forgotten.tombstone("Anna") is None
    assert (stone.at, stone.by, stone.why) == (AT, "ops", "wrote a letter")
    assert not stone.finished_at and stone.versions == ("0a.dir",)
    assert forgotten.holds_audio("a1") and not forgotten.holds_audio("a3")
    assert forgotten.version("0a.dir") == stone and forgotten.version("0b.dir") is None
    finish(ledgers, "Anna Berg", "2026-01-06T03:00:00+00:00")
    ended = read_forgotten(ledgers).tombstone("Anna Berg")
    assert ended == replace(stone, finished_at="2026-01-06T03:00:00+00:00")


@given(st.text(), st.text())
@example("ops", "moved\u2028away\u2029for\x85good")
def test_whatever_the_reason_says_the_ledger_stays_readable(by: str, why: str) -> None:
    with tempfile.TemporaryDirectory() as root:
        ledgers = Path(root) / "calls"
        bury(ledgers, "Anna", at=AT, by=by, why=why)
        bury(ledgers, "Bo", at=AT, by="ops", why="asked")
        stone = read_forgotten(ledgers).tombstone("Anna")
        assert stone is not None and (stone.by, stone.why) == (
            " ".join(by.split()),
            " ".join(why.split()),
        )
        assert (ledgers / "forgotten.jsonl").read_text().count("\n") == 2


def test_a_ledger_with_a_separator_of_unicode_in_it_is_read(ledgers: Path) -> None:
    """As an older version wrote it."""
    bury(ledgers, "Anna", at=AT, by="ops", why="moved away")
    path = ledgers / "forgotten.jsonl"
    path.write_text(path.read_text().replace("moved away", "moved\u2028away"))
    assert read_forgotten(ledgers).holds_speaker("Anna")


def test_what_is_known_is_not_written_again(ledgers: Path) -> None:
    for _ in range(3):
        bury(ledgers, "Anna", at=AT, by="ops", why="first")
        add_findings(ledgers, "Anna", audio=["a1"], versions=["0a.dir"])
    assert len((ledgers / "forgotten.jsonl").read_text().splitlines()) == 2


def test_lines_of_two_branches_make_one_ledger(ledgers: Path) -> None:
    """As git's union merge leaves them: repeated, in any order."""
    bury(ledgers, "Anna", at=AT, by="ops", why="first")
    add_findings(ledgers, "Anna", audio=["a1"], versions=["0a.dir"])
    bury(ledgers, "Bo", at=AT, by="ops", why="second")
    path = ledgers / "forgotten.jsonl"
    known = read_forgotten(ledgers)
    lines = path.read_text().splitlines()
    path.write_text("\n".join([*reversed(lines), "", *lines]) + "\n")
    merged = read_forgotten(ledgers)
    assert merged.identity == known.identity
    assert merged.tombstone("Anna") == known.tombstone("Anna")


@pytest.mark.parametrize("line", ["{", "[]", "{}", '{"speaker": 3}', "<<<<<<< HEAD"])
def test_a_damaged_line_is_named(ledgers: Path, line: str) -> None:
    bury(ledgers, "Anna", at=AT, by="ops", why="first")
    path = ledgers / "forgotten.jsonl"
    path.write_text(f"{path.read_text()}{line}\n")
    with pytest.raises(IntegrityError, match=r"Line 2 of .*forgotten\.jsonl"):
        read_forgotten(ledgers)


def test_recordings_of_a_forgotten_speaker_are_rejected_without_their_names(ledgers: Path) -> None:
    bury(ledgers, "Anna", at=AT, by="ops", why="first")
    heard = [recording("anna-1", "Anna"), recording("bo-1", "Bo"), recording("anna-2", "Anna")]
    kept, gone = read_forgotten(ledgers).divide(heard)
    assert kept == [heard[1]]
    assert [row.reason for row in gone] == ["forgotten", "forgotten"] and gone[0].id != gone[1].id
    assert "anna" not in json.dumps([[r.id, r.where, r.detail] for r in gone]).casefold()
    assert NOBODY.divide(heard) == (heard, [])


def test_refused_rows_of_a_forgotten_speaker_lose_their_names_and_words() -> None:
    forgotten = Forgotten("calls").and_also("Anna", [])
    said = [
        Refused(Reject(f"row-{who}", "folder:x", f"{who}.wav", "damaged-text", "words"), who, None)
        for who in ("Anna", "Bo", "", "\ud800")  # the last is what JSON may hold, and no text
    ]
    hidden, *others = forgotten.hide(said)
    assert hidden == forgotten.divide([recording("row-Anna", "Anna")])[1][0]
    assert others == [one.reject for one in said[1:]]


@given(st.text(), st.text(), st.text(min_size=1), st.text(min_size=1))
def test_only_the_very_name_in_the_very_corpus_matches(
    one: str, other: str, corpus: str, elsewhere: str
) -> None:
    forgotten = Forgotten(corpus).and_also(one, [one])
    assert forgotten.holds_speaker(other) == (one == other) == forgotten.holds_audio(other)
    hashed = Forgotten(elsewhere).speaker_hash(one)
    assert (hashed == forgotten.speaker_hash(one)) == (corpus == elsewhere)
    again = forgotten.and_also(other, [])
    assert (again.identity == forgotten.identity) == (one == other)
