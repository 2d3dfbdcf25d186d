"""What differs between two corpora, against a comparison row by row."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.diff import FIELDS, Change, Diff, DiffRow, Move, diff
from data.tables import utterance_table
from data.utterance import Utterance

ROW = Utterance(
    "a", "audio/a.flac", 1.5, "hello", "en", "en", "ann", "calls", "folder:a", "CC0-1.0",
    "granted", "train", False, "5a",
)  # fmt: skip

_rows = st.builds(
    replace,
    st.just(ROW),
    text=st.sampled_from(["hello", "bye"]),
    accent=st.sampled_from(["en", "en-gb"]),
    speaker=st.sampled_from(["ann", "bo"]),
    split=st.sampled_from(["", "train", "test", "left-out"]),
    duration=st.sampled_from([0.5, 1.5]),
    is_synthetic=st.booleans(),
    audio_sha256=st.sampled_from(["5a", "6b"]),
)
_corpora = st.dictionaries(st.sampled_from("abcdefgh"), _rows, max_size=8).map(
    lambda rows: [replace(row, id=name) for name, row in rows.items()]
)


def by_row(before: list[Utterance], after: list[Utterance]) -> Diff:
    """The definition, one utterance at a time."""
    old, new = ({row.id: row for row in rows} for rows in (before, after))
    changed, moved = [], []
    for name in sorted(old.keys() & new.keys()):
        one, other = old[name], new[name]
        fields = tuple(key for key in FIELDS if getattr(one, key) != getattr(other, key))
        if fields:
            changed.append(Change(name, fields))
        if "" != one.split != other.split != "":
            moved.append(Move(name, one.split, other.split))
    cells: dict[tuple[str, str, str], list[Any]] = defaultdict(lambda: [0, 0, 0.0, 0.0])
    for side, rows in enumerate((before, after)):
        for row in rows:
            cells[row.source, row.accent, row.split][side] += 1
            cells[row.source, row.accent, row.split][2 + side] += row.duration
    return Diff(
        tuple(sorted(new.keys() - old.keys())),
        tuple(sorted(old.keys() - new.keys())),
        tuple(changed),
        tuple(moved),
        len(old.keys() & new.keys()) - len(changed),
        tuple(DiffRow(*key, *cell) for key, cell in sorted(cells.items())),
    )


@given(_corpora, _corpora)
def test_columns_say_what_rows_do(before: list[Utterance], after: list[Utterance]) -> None:
    expected = by_row(before, after)
    assert diff(before, after) == expected
    assert diff(utterance_table(before[::-1]), utterance_table(after)) == expected


def test_every_field_of_an_utterance_is_compared_or_left_out_on_purpose() -> None:
    fields = set(Utterance.__dataclass_fields__)
    assert fields - set(FIELDS) == {"id", "audio", "domain"}
    same = [replace(ROW, audio="elsewhere", domain="other")]
    assert diff([ROW], same).unchanged == 1
    text: dict[str, Any] = {"duration": 9.0, "is_synthetic": True}
    for name in FIELDS:
        (change,) = diff([ROW], [replace(ROW, **{name: text.get(name, "another")})]).changed
        assert change == Change("a", (name,))


def test_moves_between_heard_splits_are_told_from_others() -> None:
    rows = [replace(ROW, id=name) for name in "abc"]
    moved = [
        replace(row, split=split) for row, split in zip(rows, ("test", "left-out", ""), strict=True)
    ]
    found = diff(rows, moved)
    assert found.moved == (Move("a", "train", "test"), Move("b", "train", "left-out"))
    assert found.crossed == (Move("a", "train", "test"),)
    assert len(found.changed) == 3


def test_an_id_that_is_twice_is_named() -> None:
    with pytest.raises(ValueError, match="The id a is twice"):
        diff([ROW, ROW], [ROW])
