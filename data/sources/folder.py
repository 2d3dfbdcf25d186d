"""A user's own recordings: a folder with a table of `audio,text` and what else is known.

The table is CSV or TSV in UTF-8, with a header line. Needed are the columns audio (a path inside
the folder) and text; speaker, accent, language, licence and id may be there. What is wrong with the
table is an error that names file, line and column; what is wrong with a recording is quarantined.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

from data.sources.base import FileAudio, Plan, Reach, Recording, Reject, clean_text, slug
from voiceforge.errors import UsageError
from voiceforge.files import sha256_file
from voiceforge.params import FolderSource

NEEDED = ("audio", "text")
OPTIONAL = ("speaker", "accent", "language", "licence", "id")
_DELIMITERS = (",", ";", "\t")
_TAG = re.compile(r"[a-z]{2,3}(-[a-z0-9]{1,8})*")


@dataclass(frozen=True, slots=True)
class _Row:
    """One line of the table; `line` counts from 1, as editors do."""

    table: Path
    line: int
    cells: Mapping[str, str]

    def error(self, column: str, problem: str) -> UsageError:
        return UsageError(f"{self.table}, line {self.line}, column {column}: {problem}")


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder of recordings; a relative path in params.yaml starts at the project."""

    params: FolderSource
    project: Path

    @property
    def path(self) -> Path:
        return self.project / Path(self.params.path).expanduser()

    def plan(self, reach: Reach) -> Plan:
        """Read the table.

        Raises:
            UsageError: no folder, no table, or a table that cannot be meant.
        """
        recordings: list[Recording] = []
        rejects: list[Reject] = []
        table = self._table()
        for row in _rows(table):
            recording = self._recording(row)
            if not any(letter.isalnum() for letter in recording.text):
                problem = "empty-text", f"{table.name}, line {row.line} has no words to learn from."
            elif not (self.path / recording.where).is_file():
                problem = "missing", f"{table.name}, line {row.line}: the file is not there."
            else:
                recordings.append(recording)
                continue
            rejects.append(Reject(recording.id, recording.source, recording.where, *problem))
        return Plan(tuple(recordings), tuple(rejects))

    def fingerprint(self) -> Any:
        """The table's bytes, and name, size and time of change of every file that it names."""
        table = self._table()
        files = {}
        for row in _rows(table):
            where = _inside(row)
            try:
                stat = (self.path / where).stat()
                files[where] = [stat.st_size, stat.st_mtime_ns]
            except OSError:
                files[where] = []
        params = self.params.model_dump(mode="json")
        return {"folder": params, "table": sha256_file(table), "files": files}

    def _table(self) -> Path:
        if not self.path.is_dir():
            raise UsageError(
                f"The folder of recordings {self.path} does not exist. Give `path` of the source "
                "in params.yaml as an existing folder, absolute or relative to the project."
            )
        tables = sorted(p for p in self.path.iterdir() if p.suffix.lower() in (".csv", ".tsv"))
        names = ", ".join(path.name for path in tables) or "none"
        if self.params.table is not None:
            table = self.path / self.params.table
            if not table.is_file():
                raise UsageError(f"{table} does not exist. Tables in that folder: {names}.")
            return table
        if len(tables) != 1:
            raise UsageError(
                f"{self.path} must hold one .csv or .tsv with the columns audio and text, or the "
                f"source in params.yaml must name it as `table`. There are: {names}."
            )
        return tables[0]

    def _recording(self, row: _Row) -> Recording:
        where = _inside(row)
        name = slug(self.path.resolve().name)
        language = row.cells.get("language", "").lower() or self.params.language
        if not re.fullmatch(r"[a-z]{2,3}", language):
            raise row.error("language", f"{language!r} is not an ISO 639 code such as 'en'.")
        accent = row.cells.get("accent", "").lower().replace("_", "-") or language
        if not _TAG.fullmatch(accent):
            raise row.error("accent", f"{accent!r} is not a tag such as 'en' or 'en-gb-scotland'.")
        given = row.cells.get("id", "") or PurePosixPath(where).with_suffix("").as_posix()
        return Recording(
            id=slug(f"{name}-{given}"),
            text=clean_text(row.cells["text"]),
            language=language,
            accent=accent,
            speaker=f"{name}:{row.cells.get('speaker', '') or 'unknown'}",
            source=f"folder:{name}",
            licence=row.cells.get("licence", "") or self.params.licence,
            consent=self.params.consent,
            is_synthetic=False,
            where=where,
            audio=FileAudio(self.path / where),
        )


def _rows(table: Path) -> Iterator[_Row]:
    """The lines of a table with their cells stripped.

    Raises:
        UsageError: not UTF-8, no header, missing columns, or a line with other cells than those.
    """
    try:
        with table.open(encoding="utf-8-sig", newline="") as stream:
            header = stream.readline()
            delimiter = max(_DELIMITERS, key=lambda mark: _named(header, mark))
            stream.seek(0)
            lines = csv.reader(stream, delimiter=delimiter, strict=True)
            columns = [name.strip().lower() for name in next(lines, [])]
            _check_columns(table, columns)
            for cells in lines:
                row = _Row(
                    table, lines.line_num, dict(zip(columns, map(str.strip, cells), strict=False))
                )
                if not any(row.cells.values()):
                    continue
                if len(cells) != len(columns):
                    raise UsageError(
                        f"{table}, line {row.line} has {len(cells)} cells and the header has "
                        f"{len(columns)}. A text with a {delimiter!r} in it needs double quotes "
                        "around it."
                    )
                yield row
    except UnicodeDecodeError as error:
        raise UsageError(
            f"{table} is not UTF-8 (byte {error.start}: {error.reason}). Save it as UTF-8 CSV."
        ) from error
    except csv.Error as error:
        raise UsageError(f"{table}, line {lines.line_num}: {error}. Check its quotes.") from error


def _named(header: str, delimiter: str) -> int:
    names = {name.strip(' "\r\n').lower() for name in header.split(delimiter)}
    return len(names.intersection(NEEDED + OPTIONAL))


def _check_columns(table: Path, columns: list[str]) -> None:
    missing = [name for name in NEEDED if name not in columns]
    twice = sorted({name for name in columns if columns.count(name) > 1})
    if missing or twice:
        problem = f"lacks {' and '.join(missing)}" if missing else f"names {twice[0]!r} twice"
        raise UsageError(
            f"{table}, line 1 {problem}. It has the columns: {', '.join(columns) or 'none'}. "
            f"Needed: {', '.join(NEEDED)}; optional: {', '.join(OPTIONAL)}; others are ignored."
        )


def _inside(row: _Row) -> str:
    """The audio path of a row, POSIX and inside the folder.

    Raises:
        UsageError: it is empty, absolute or leads out of the folder.
    """
    given = row.cells["audio"]
    path = PurePosixPath(given.replace("\\", "/"))
    if not given:
        raise row.error("audio", "the path is empty.")
    if path.is_absolute() or PureWindowsPath(given).drive or ".." in path.parts or "\0" in given:
        raise row.error("audio", f"{given!r} leads out of the folder. Only files inside it count.")
    return path.as_posix()
