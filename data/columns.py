"""A corpus column by column: rows or an Arrow table, whichever the caller has."""

from __future__ import annotations

from collections.abc import Sequence
from operator import attrgetter
from typing import Any, TypeAlias

from data.utterance import Split, Utterance

ArrowTable: TypeAlias = Any
"""A `pyarrow.Table` with the columns of `Utterance`; pyarrow is slow to import and has no types."""

Corpus: TypeAlias = Sequence[Utterance] | ArrowTable
"""Utterances as rows or, where there may be very many, as an Arrow table: a third of the memory."""


def column(corpus: Corpus, name: str) -> list[Any]:
    """One field of every utterance, in order."""
    if isinstance(corpus, Sequence):
        return list(map(attrgetter(name), corpus))
    return arrow_values(corpus[name])


def arrow_values(column: Any) -> list[Any]:
    """An Arrow column as Python values; strings that repeat are one object."""
    import pyarrow as pa

    if pa.types.is_string(column.type) and len(column):
        encoded = column.combine_chunks().dictionary_encode()
        if 2 * len(encoded.dictionary) <= len(encoded):
            distinct = encoded.dictionary.to_pylist()
            return [distinct[code] for code in encoded.indices.to_numpy().tolist()]
    values: list[Any] = column.to_pylist()
    return values


def with_splits(table: ArrowTable, splits: Sequence[Split]) -> ArrowTable:
    """An Arrow table of utterances with other splits."""
    import pyarrow as pa

    at = table.schema.get_field_index("split")
    field = table.schema.field(at)
    return table.set_column(at, field, pa.array(splits, type=field.type))
