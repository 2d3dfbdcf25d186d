"""The tables of a corpus as typed Parquet: utterances and quarantine. Equal rows, equal bytes."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from data.sources.base import Reject
from data.utterance import Utterance
from voiceforge.errors import IntegrityError, StorageError
from voiceforge.files import write_bytes

UTTERANCES = "utterances.parquet"
QUARANTINE = "quarantine.parquet"
_TYPES = {"duration": "double", "is_synthetic": "bool"}
"""Arrow types of the columns that are not strings."""


def write_utterances(path: Path, rows: Iterable[Utterance]) -> None:
    """Write a table of utterances in the order given, whole or not at all."""
    _write(path, Utterance, [asdict(row) for row in rows])


def read_utterances(path: Path) -> list[Utterance]:
    """Read a table of utterances.

    Raises:
        StorageError: there is no such file.
        IntegrityError: it is not a table of utterances.
    """
    return [Utterance(**row) for row in _read(path, Utterance)]


def load_corpus(path: Path) -> list[Utterance]:
    """The utterances of a corpus folder; their `audio` is relative to it.

    Raises:
        StorageError, IntegrityError: as `read_utterances`.
    """
    return read_utterances(path / UTTERANCES)


def write_rejects(path: Path, rows: Sequence[Reject]) -> None:
    """Write a quarantine table, sorted by id, whole or not at all."""
    ordered = sorted(rows, key=lambda row: (row.id, row.where, row.reason))
    _write(path, Reject, [asdict(row) for row in ordered])


def read_rejects(path: Path) -> list[Reject]:
    """Read a quarantine table; raises as `read_utterances`."""
    return [Reject(**row) for row in _read(path, Reject)]


def _schema(row: type[Utterance] | type[Reject]) -> Any:
    import pyarrow as pa

    names = [field.name for field in fields(row)]
    return pa.schema(
        [
            pa.field(name, pa.type_for_alias(_TYPES.get(name, "string")), nullable=False)
            for name in names
        ]
    )


def _write(path: Path, kind: type[Utterance] | type[Reject], rows: list[dict[str, Any]]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    stream = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows, schema=_schema(kind)), stream, compression="zstd")
    write_bytes(path, stream.getvalue())


def _read(path: Path, kind: type[Utterance] | type[Reject]) -> list[dict[str, Any]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    if not path.is_file():
        raise StorageError(f"{path} is missing. Run the stage that makes it again.")
    problem = "its columns are others"
    try:
        table = pq.read_table(path)
        if table.schema.equals(_schema(kind)):
            rows: list[dict[str, Any]] = table.to_pylist()
            return rows
    except pa.ArrowInvalid as error:
        problem = str(error)
    raise IntegrityError(
        f"{path} is not a table of {kind.__name__.lower()}s ({problem}). Delete it and run the "
        "stage that makes it again."
    )
