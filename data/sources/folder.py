"""A user's own recordings: a folder with a table of `audio,text` and what else is known.

The table is CSV or TSV with a header line, in UTF-8, or in UTF-16 with a byte order mark. Needed
are the columns audio (a path inside the folder) and text; speaker, accent, language, licence,
consent and id may be there. What is wrong with the table is an error that names file, line and
column; what is wrong with a row is quarantined.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data.sources.base import Plan, Reach, slug
from data.sources.rows import (
    Origin,
    Row,
    Rows,
    fingerprint_rows,
    plan_rows,
    require_folder,
    rows_of,
    with_unnamed,
)
from data.sources.text_tables import Line, read_csv
from voiceforge.errors import UsageError
from voiceforge.files import sha256_file
from voiceforge.params import FolderSource
from voiceforge.settings import from_project

NEEDED = ("audio", "text")
OPTIONAL = ("speaker", "accent", "language", "licence", "consent", "id")


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder of recordings; a relative path in params.yaml starts at the project."""

    params: FolderSource
    project: Path

    @property
    def path(self) -> Path:
        return from_project(self.project, self.params.path)

    @property
    def name(self) -> str:
        """First part of its ids: the name of the folder, wherever it lies."""
        return slug(self.path.resolve().name)

    def plan(self, reach: Reach) -> Plan:
        """Read the table.

        Raises:
            UsageError: no folder, no table, or a table that cannot be meant.
        """
        table = self._table()
        name, params = self.name, self.params
        origin = Origin(
            f"folder:{name}", name, name, params.language, params.licence, params.consent
        )
        return plan_rows(origin, self._rows(table))

    def fingerprint(self) -> Any:
        """The table's bytes, and name, size and time of change of every file that it names."""
        table = self._table()
        return {
            "folder": self.params.model_dump(mode="json"),
            "table": sha256_file(table),
            "files": fingerprint_rows(self._rows(table)),
        }

    def _rows(self, table: Path) -> Rows:
        lines = read_csv(table, NEEDED, OPTIONAL, delimiters=",;\t", quotes=True)
        rows = rows_of(lines, functools.partial(_row, root=self.path))
        return with_unnamed(rows, self.path, "audio that the table does not name")

    def _table(self) -> Path:
        require_folder(self.path, "an existing folder with a CSV or TSV")
        tables = sorted(p for p in self.path.iterdir() if p.suffix.lower() in (".csv", ".tsv"))
        names = ", ".join(path.name for path in tables) or "none"
        if self.params.table is not None:
            table = self.path / self.params.table
            if not table.is_file():
                raise UsageError(f"{table} does not exist. Tables in that folder: {names}.")
            return table
        if len(tables) > 1:
            raise UsageError(
                f"{self.path} holds several tables: {names}. Name one as `table` of the source in "
                f"params.yaml, or with `--set table={tables[0].name}`."
            )
        if not tables:
            raise UsageError(
                f"{self.path} holds no table. It must hold a .csv or .tsv with the columns audio "
                "and text."
            )
        return tables[0]


def _row(line: Line, root: Path) -> Row:
    cells = {name: line.cells.get(name, "") for name in NEEDED + OPTIONAL}
    return Row(place=line.place, root=root, **cells)
