"""The split ledger as a file: small differences, no words, and every bad line named."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.ledger import (
    Ledger,
    audio_id,
    ledger_text,
    read_ledger,
    speaker_id,
    text_id,
    write_ledger,
)
from voiceforge.errors import IntegrityError

_keys = st.text("0123456789abcdef", min_size=16, max_size=16)
_heard = st.sampled_from(["train", "dev", "test"])
_ledgers = st.builds(
    Ledger,
    st.integers(-5, 99),
    st.dictionaries(_keys, _heard, max_size=9),
    st.dictionaries(_keys, _heard | st.just("shared"), max_size=9),
    st.dictionaries(_keys, _heard, max_size=9),
)
LEDGER = Ledger(
    20,
    {text_id("pressone"): "train", text_id("goodbye"): "test"},
    {speaker_id("Ann Smith"): "shared"},
    {audio_id("5a" * 32): "train"},
)


@given(_ledgers)
def test_what_is_written_is_read(tmp_path_factory: pytest.TempPathFactory, ledger: Ledger) -> None:
    path = tmp_path_factory.mktemp("ledger") / "d" / "splits.csv"
    write_ledger(path, ledger)
    assert read_ledger(path) == ledger


@given(_ledgers, _keys, _heard)
def test_a_new_text_is_one_new_line(ledger: Ledger, key: str, split: str) -> None:
    grown = Ledger(ledger.seed, {**ledger.texts, key: split}, ledger.speakers, ledger.audio)  # type: ignore[dict-item]
    old, new = ledger_text(ledger).splitlines(), ledger_text(grown).splitlines()
    assert new[2:] == sorted(new[2:])
    if key not in ledger.texts:
        assert [line for line in new if line not in old] == [f"text,{key},{split}"]
        assert [line for line in old if line not in new] == []


def test_no_words_and_no_names_are_in_it() -> None:
    text = ledger_text(LEDGER).casefold()
    assert text.startswith("# voiceforge split ledger, version 1, seed 20\nkind,key,split\n")
    assert not any(word in text for word in ("press", "goodbye", "ann", "smith", "5a5a"))
    assert text.count("\n") == 6


def test_there_is_none_yet(tmp_path: Path) -> None:
    assert read_ledger(tmp_path / "splits.csv") is None


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("# VoiceForge", "#VoiceForge", "line 1 is not the header"),
        ("version 1", "version 2", "has layout 2, and this VoiceForge reads 1"),
        ("kind,key,split", "kind,key", "line 2 is not 'kind,key,split'"),
        (",shared", ",everywhere", "line 4 is 'speaker,"),
        ("speaker,", "voice,", "line 4 is 'voice,"),
        ("audio,", "audio, ", "line 3 is 'audio, "),
        (",train", ",shared", "line 3 is 'audio,"),
        ("text,", "<<<<<<< HEAD\ntext,", "line 5 is '<<<<<<< HEAD'.* keep the lines of both sides"),
        (",shared\n", ",shared\n\n", "line 5 is ''"),
        ("e", "\udcff", "line 1 is not UTF-8"),
    ],
)
def test_a_malformed_line_is_an_error_with_its_number(
    old: str, new: str, said: str, tmp_path: Path
) -> None:
    path = tmp_path / "splits.csv"
    changed = ledger_text(LEDGER).replace(old, new, 1)
    path.write_bytes(changed.encode("utf-8", "surrogateescape"))
    with pytest.raises(IntegrityError, match=said) as caught:
        read_ledger(path)
    assert str(path) in str(caught.value)


def test_many_malformed_lines_are_counted(tmp_path: Path) -> None:
    path = tmp_path / "splits.csv"
    path.write_text(ledger_text(LEDGER) + "x\n" * 9)
    with pytest.raises(IntegrityError, match=r"line 7 is 'x'.*line 11 is 'x', and 4 more"):
        read_ledger(path)


def test_an_empty_file_is_no_ledger(tmp_path: Path) -> None:
    path = tmp_path / "splits.csv"
    path.touch()
    with pytest.raises(IntegrityError, match="line 1 is not the header"):
        read_ledger(path)


def test_a_merge_may_reorder_and_repeat_lines_but_not_contradict(tmp_path: Path) -> None:
    path = tmp_path / "splits.csv"
    head, columns, *lines = ledger_text(LEDGER).splitlines()
    path.write_text("\r\n".join([head, columns, *lines[::-1], *lines, ""]))
    assert read_ledger(path) == LEDGER
    other = f"text,{text_id('goodbye')},dev"
    path.write_text("\n".join([head, columns, *lines, other]))
    said = f"line 7 puts text {text_id('goodbye')} in dev, and an earlier line in test"
    with pytest.raises(IntegrityError, match=said):
        read_ledger(path)
