"""What differs between two corpora, or two versions of one. Pure; by Arrow, column by column.

Utterances are told apart by their ids. Where a recording lies, and which corpus it belongs to, are
no differences: other audio is another `audio_sha256`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from data.columns import ArrowTable, Corpus
from data.split_summary import HEARD
from data.tables import utterance_table

FIELDS = (
    "audio_sha256", "duration", "text", "language", "accent", "speaker", "source", "licence",
    "consent", "split", "is_synthetic",
)  # fmt: skip
"""What is compared, in the order in which changes are named."""


@dataclass(frozen=True, slots=True)
class Change:
    """An utterance that both have; `fields` of `FIELDS` that differ."""

    id: str
    fields: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Move:
    """An utterance that is in another split; each split is one of train, dev, test, left-out."""

    id: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class DiffRow:
    """One kind of speech in both corpora; `seconds` of audio."""

    source: str
    accent: str
    split: str
    utterances_before: int
    utterances_after: int
    seconds_before: float
    seconds_after: float


@dataclass(frozen=True, slots=True)
class Diff:
    """The result of `diff`; every sequence is sorted by id, `figures` by source, accent and split.

    Attributes:
        added, removed: ids that only the later or only the earlier corpus has.
        changed: what both have, with other fields.
        moved: of these, what was in a split and is now in another.
        unchanged: how many are the same in all of `FIELDS`.
        figures: one row a source, accent and split.
    """

    added: tuple[str, ...]
    removed: tuple[str, ...]
    changed: tuple[Change, ...]
    moved: tuple[Move, ...]
    unchanged: int
    figures: tuple[DiffRow, ...]

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    @property
    def crossed(self) -> tuple[Move, ...]:
        """Moves between train, dev and test, which the split ledger is there to prevent."""
        return tuple(move for move in self.moved if {move.before, move.after} <= set(HEARD))


def diff(before: Corpus, after: Corpus) -> Diff:
    """Compare two corpora.

    Args:
        before, after: utterances or Arrow tables of them, in any order, each id once.

    Raises:
        ValueError: an id is twice in one of them.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    old, new = _table(before), _table(after)
    places = _places(old, new)
    both = places.is_valid()
    pairs_old, pairs_new = places.filter(both), pc.indices_nonzero(both)
    ids = new.column("id").take(pairs_new)
    masks = [
        pc.not_equal(old.column(name).take(pairs_old), new.column(name).take(pairs_new))
        for name in FIELDS
    ]
    any_change = masks[0]
    for mask in masks[1:]:
        any_change = pc.or_(any_change, mask)
    flags = pa.table([ids, *masks], names=["id", *FIELDS]).filter(any_change)
    changed = [
        Change(row, tuple(name for name, differs in zip(FIELDS, fields, strict=True) if differs))
        for row, *fields in zip(*(column.to_pylist() for column in flags.columns), strict=True)
    ]
    gone = pc.invert(pc.is_in(old.column("id"), value_set=new.column("id")))
    return Diff(
        added=_sorted(new.column("id").filter(pc.invert(both))),
        removed=_sorted(old.column("id").filter(gone)),
        changed=tuple(sorted(changed, key=lambda change: change.id)),
        moved=_moved(ids, old.column("split").take(pairs_old), new.column("split").take(pairs_new)),
        unchanged=len(ids) - len(changed),
        figures=_figures(old, new),
    )


def _table(corpus: Corpus) -> ArrowTable:
    table = utterance_table(corpus) if isinstance(corpus, Sequence) else corpus
    return table.select(["id", *FIELDS])


def _places(old: ArrowTable, new: ArrowTable) -> Any:
    """For each of the new utterances its place in the old corpus, null where it has none."""
    import pyarrow.compute as pc

    for table in (old, new):
        if pc.count_distinct(table.column("id")).as_py() != len(table):
            counts = pc.value_counts(table.column("id")).to_pylist()
            twice = next(row["values"] for row in counts if row["counts"] > 1)
            raise ValueError(f"The id {twice} is twice in a corpus that is to be compared.")
    return pc.index_in(new.column("id"), value_set=old.column("id")).combine_chunks()


def _moved(ids: Any, before: Any, after: Any) -> tuple[Move, ...]:
    import pyarrow as pa
    import pyarrow.compute as pc

    known = pc.and_(pc.not_equal(before, ""), pc.not_equal(after, ""))
    rows = pa.table([ids, before, after], names=["id", "before", "after"])
    rows = rows.filter(pc.and_(known, pc.not_equal(before, after)))
    columns = (column.to_pylist() for column in rows.columns)
    return tuple(sorted((Move(*row) for row in zip(*columns, strict=True)), key=lambda m: m.id))


def _sorted(ids: Any) -> tuple[str, ...]:
    return tuple(sorted(ids.to_pylist()))


def _figures(old: ArrowTable, new: ArrowTable) -> tuple[DiffRow, ...]:
    keys = ["source", "accent", "split"]
    found: dict[tuple[str, str, str], list[float]] = {}
    for side, table in enumerate((old, new)):
        sums = table.group_by(keys, use_threads=False).aggregate(
            [("duration", "count"), ("duration", "sum")]
        )
        for row in sums.to_pylist():
            cell = found.setdefault((row["source"], row["accent"], row["split"]), [0, 0, 0.0, 0.0])
            cell[side], cell[2 + side] = row["duration_count"], round(row["duration_sum"], 3)
    return tuple(
        DiffRow(*key, int(cell[0]), int(cell[1]), cell[2], cell[3])
        for key, cell in sorted(found.items())
    )
