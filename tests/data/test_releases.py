"""Releases are kept for good, hold for what was judged, and are never lost silently."""

from __future__ import annotations

import datetime
import json
from pathlib import Path
from typing import Any

import pytest

from data.reasons import REASONS
from data.releases import (
    RELEASES,
    Release,
    drop_releases,
    read_releases,
    release,
    text_sha256,
    withdraw,
)
from voiceforge.errors import IntegrityError, UsageError

AUDIO = "0a" * 32
WHEN = datetime.datetime(2031, 5, 4, 12, 30, tzinfo=datetime.UTC)


def let_out(folder: Path, **other: Any) -> Release:
    fields: dict[str, Any] = {
        "id": "a-1",
        "audio_sha256": AUDIO,
        "text": "ciao",
        "code": "clipped",
        "why": "it is clear\nenough",
        "who": "Ada",
        "at": WHEN,
    }
    return release(folder, **{**fields, **other})


def test_a_release_is_read_as_it_was_written(tmp_path: Path) -> None:
    assert read_releases(tmp_path) == ()
    first = let_out(tmp_path)
    second = let_out(tmp_path, id="b-2", code="too-fast", who="Łukasz 🎙")
    assert read_releases(tmp_path) == (first, second)
    assert first == Release(
        "a-1", AUDIO, None, "clipped", "it is clear enough", "Ada", "2031-05-04T12:30:00+00:00"
    )
    assert second.text_sha256 == text_sha256("ciao")


def test_the_file_only_grows(tmp_path: Path) -> None:
    let_out(tmp_path)
    before = (tmp_path / RELEASES).read_bytes()
    let_out(tmp_path, id="b-2")
    assert (tmp_path / RELEASES).read_bytes().startswith(before)
    assert [path.name for path in tmp_path.iterdir()] == [RELEASES]


def test_a_withdrawn_release_no_longer_stands_and_the_file_only_grows(tmp_path: Path) -> None:
    let_out(tmp_path)
    kept = [let_out(tmp_path, id="b-2"), let_out(tmp_path, code="too-fast")]
    before = (tmp_path / RELEASES).read_bytes()
    withdraw(tmp_path, id="a-1", code="clipped", why="it is not", who="Eva", at=WHEN)
    assert read_releases(tmp_path) == tuple(kept)
    after = (tmp_path / RELEASES).read_bytes()
    assert after.startswith(before)
    assert json.loads(after.splitlines()[-1])["withdrawn"] is True
    with pytest.raises(UsageError, match="a-1 is not released from 'clipped'"):
        withdraw(tmp_path, id="a-1", code="clipped", why="it is not", who="Eva")
    again = let_out(tmp_path, who="Eva")
    assert read_releases(tmp_path) == (*kept, again)
    other = let_out(tmp_path, id="c-3", audio_sha256="0b" * 32)
    assert drop_releases(tmp_path, {AUDIO}) == 5
    assert read_releases(tmp_path) == (other,)


@pytest.mark.parametrize("code", [code for code, one in REASONS.items() if not one.releasable])
def test_what_no_one_may_release_is_refused_with_the_reason(tmp_path: Path, code: str) -> None:
    with pytest.raises(UsageError) as caught:
        let_out(tmp_path, code=code)
    assert REASONS[code].sentence in str(caught.value)
    assert not (tmp_path / RELEASES).exists()


@pytest.mark.parametrize("field", ["why", "who"])
def test_a_release_says_why_and_who(tmp_path: Path, field: str) -> None:
    with pytest.raises(UsageError, match=f"needs a {field}"):
        let_out(tmp_path, **{field: "  "})


BAD: list[tuple[dict[str, Any] | str, str]] = [
    ("{", "it is not JSON"),
    ("[1]", "its keys must be id, audio_sha256"),
    ("", "it is not JSON"),
    ({"who": 3}, "who must be a text"),
    ({"why": " "}, "why must be a text"),
    ({"audio_sha256": "0a"}, "audio_sha256 must be 64 hexadecimal digits"),
    ({"reason": "refused-consent"}, "no utterance can be released from 'refused-consent'"),
    ({"reason": "loud"}, "no utterance can be released from 'loud'"),
    ({"reason": "too-fast"}, "text_sha256 must be given"),
    ({"withdrawn": False}, "withdrawn must be true"),
    ({"withdrawn": "yes"}, "withdrawn must be true"),
    ({"at": "yesterday"}, "no ISO 8601 time"),
    ({"at": "2031-05-04T12:30:00"}, "without an offset"),
]


@pytest.mark.parametrize(("change", "problem"), BAD)
def test_a_bad_line_is_named_and_nothing_is_written_after_it(
    tmp_path: Path, change: dict[str, Any] | str, problem: str
) -> None:
    let_out(tmp_path)
    path = tmp_path / RELEASES
    good = path.read_text()
    bad = change if isinstance(change, str) else json.dumps({**json.loads(good), **change})
    path.write_text(good + bad + "\n")
    with pytest.raises(IntegrityError) as caught:
        read_releases(tmp_path)
    assert f"{RELEASES}, line 2 is not a release: " in str(caught.value)
    assert problem in str(caught.value)
    with pytest.raises(IntegrityError):
        let_out(tmp_path, id="b-2")
    assert path.read_text() == good + bad + "\n"


def test_a_file_that_was_cut_off_is_no_shorter_list(tmp_path: Path) -> None:
    let_out(tmp_path)
    let_out(tmp_path, id="b-2")
    path = tmp_path / RELEASES
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(IntegrityError, match="line 2 is not a release: it is cut off"):
        read_releases(tmp_path)


def test_another_encoding_is_named_with_its_line(tmp_path: Path) -> None:
    let_out(tmp_path)
    path = tmp_path / RELEASES
    path.write_bytes(path.read_bytes() + '{"who": "Zoë"}\n'.encode("latin-1"))
    with pytest.raises(IntegrityError, match="line 2 is not a release: it is not UTF-8"):
        read_releases(tmp_path)
