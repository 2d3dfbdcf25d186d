"""The tables of a corpus as typed Parquet, a dataclass a row. Equal rows, equal bytes.

Rows are for stages that look at each utterance; what only asks a few columns of very many rows
(splits, comparisons) takes the Arrow table as it is, a fifth of the memory.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from operator import attrgetter
from pathlib import Path
from typing import Any, TypeVar, get_type_hints

from data.columns import ArrowTable, arrow_values
from data.measurement import Measurement
from data.sources.base import Reject
from data.utterance import Utterance
from voiceforge.errors import IntegrityError, StorageError
from voiceforge.files import write_bytes

UTTERANCES = "utterances.parquet"
QUARANTINE = "quarantine.parquet"
MEASUREMENTS = "measurements.parquet"
_TYPES = {float: "double", bool: "bool", int: "int64"}
"""Arrow types of what is not a string."""

_Row = TypeVar("_Row", Utterance, Reject, Measurement)


def write_utterances(path: Path, rows: Iterable[Utterance]) -> None:
    """Write a table of utterances in the order given, whole or not at all."""
    _write(path, Utterance, rows)


def read_utterances(path: Path) -> list[Utterance]:
    """Read a table of utterances.

    Raises:
        StorageError: there is no such file.
        IntegrityError: it is not a table of utterances.
    """
    return _read(path, Utterance)


def utterance_table(rows: Iterable[Utterance]) -> ArrowTable:
    """Utterances as an Arrow table, in the order given."""
    return _table(Utterance, rows)


def utterances_of(table: ArrowTable) -> list[Utterance]:
    """The rows of an Arrow table of utterances."""
    return _rows(Utterance, table)


def read_utterance_table(path: Path) -> ArrowTable:
    """Read a table of utterances without making rows of it; raises as `read_utterances`."""
    return _read_table(path, Utterance)


def utterance_table_from(content: bytes, name: str) -> ArrowTable:
    """The same from the bytes of such a file; `name` is what messages call it."""
    return _checked(io.BytesIO(content), name, Utterance)


def write_utterance_table(path: Path, table: ArrowTable) -> None:
    """Write an Arrow table of utterances, the bytes that `write_utterances` gives its rows."""
    _write_table(path, table)


def load_corpus(path: Path) -> list[Utterance]:
    """The utterances of a corpus folder; their `audio` is relative to it.

    Raises:
        StorageError, IntegrityError: as `read_utterances`.
    """
    return read_utterances(path / UTTERANCES)


def write_rejects(path: Path, rows: Sequence[Reject]) -> None:
    """Write a quarantine table, sorted by id, whole or not at all."""
    ordered = sorted(rows, key=lambda row: (row.id, row.where, row.reason))
    _write(path, Reject, ordered)


def read_rejects(path: Path) -> list[Reject]:
    """Read a quarantine table; raises as `read_utterances`."""
    return _read(path, Reject)


def write_measurements(path: Path, rows: Iterable[Measurement]) -> None:
    """Write a table of measurements in the order given, whole or not at all."""
    _write(path, Measurement, rows)


def read_measurements(path: Path) -> list[Measurement]:
    """Read a table of measurements; raises as `read_utterances`."""
    return _read(path, Measurement)


def read_measurement_table(path: Path) -> ArrowTable:
    """Read a table of measurements without making rows of it; raises as `read_utterances`."""
    return _read_table(path, Measurement)


def _schema(kind: type[_Row]) -> Any:
    import pyarrow as pa

    return pa.schema(
        [
            pa.field(name, pa.type_for_alias(_TYPES.get(annotation, "string")), nullable=False)
            for name, annotation in get_type_hints(kind).items()
        ]
    )


def _table(kind: type[_Row], rows: Iterable[_Row]) -> ArrowTable:
    import pyarrow as pa

    listed = rows if isinstance(rows, Sequence) else list(rows)
    schema = _schema(kind)
    columns = [
        pa.array(list(map(attrgetter(field.name), listed)), type=field.type) for field in schema
    ]
    return pa.Table.from_arrays(columns, schema=schema)


def _rows(kind: type[_Row], table: ArrowTable) -> list[_Row]:
    return list(map(kind, *(arrow_values(column) for column in table.columns)))


def _write(path: Path, kind: type[_Row], rows: Iterable[_Row]) -> None:
    _write_table(path, _table(kind, rows))


def _write_table(path: Path, table: ArrowTable) -> None:
    import pyarrow.parquet as pq

    stream = io.BytesIO()
    # One chunk a column: how a table came to be must not show in its pages.
    pq.write_table(table.combine_chunks(), stream, compression="zstd")
    write_bytes(path, stream.getbuffer())


def _read(path: Path, kind: type[_Row]) -> list[_Row]:
    return _rows(kind, _read_table(path, kind))


def _read_table(path: Path, kind: type[_Row]) -> ArrowTable:
    if not path.is_file():
        raise StorageError(f"{path} is missing. Run the stage that makes it again.")
    return _checked(path, str(path), kind)


def _checked(source: Path | io.BytesIO, name: str, kind: type[_Row]) -> ArrowTable:
    import pyarrow as pa
    import pyarrow.parquet as pq

    problem = "its columns are others"
    try:
        table = pq.read_table(source)
        if table.schema.equals(_schema(kind)):
            return table
    except pa.ArrowInvalid as error:
        problem = str(error)
    raise IntegrityError(
        f"{name} is not a table of {kind.__name__.lower()}s ({problem}). Delete it and run the "
        "stage that makes it again."
    )
