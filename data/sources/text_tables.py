"""Tables of text that people bring: their encoding, CSV and TSV by line, JSON by line.

What makes the whole table unreadable is a `UsageError` that names file and line; what is wrong with
one line is handed out as a `BadRow`, and the lines after it are read on.
"""

from __future__ import annotations

import codecs
import csv
import io
import itertools
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from voiceforge.errors import UsageError

# UTF-32's mark begins with UTF-16's.
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


@dataclass(frozen=True, slots=True)
class Line:
    """A row of a table: where it stands, such as "calls.csv, line 7", and what it says."""

    place: str
    cells: Mapping[str, Any]


class Unusable(Exception):
    """One row cannot be used: a stable reason code, and a sentence for people."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class BadRow:
    """A row that cannot be used: where it stands, a reason code, and a sentence for people.

    `speaker` is who speaks as the table has it, None where it could not be read so far.
    """

    place: str
    reason: str
    detail: str
    speaker: str | None = None


def read_text(path: Path) -> str:
    """The text of a table in UTF-8, or in UTF-16 or UTF-32 with a byte order mark.

    Raises:
        UsageError: the file cannot be read, or its bytes are no text in those encodings; names
            byte and line.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UsageError(
            f"{path} cannot be read: {error.strerror}. Check the path and its permissions."
        ) from error
    encoding = next((name for mark, name in _MARKS if content.startswith(mark)), "utf-8")
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        before, bad = content[: error.start], content[error.start : error.start + 1]
        line = 1 + before.decode(encoding, errors="ignore").count("\n")
        what = f"0x{bad.hex()} at byte {error.start}, line {line}"
        if encoding == "utf-8-sig" or encoding == "utf-8":
            raise UsageError(
                f"{path} is not UTF-8: {what} ({error.reason}). If it was saved as Latin-1 or "
                f"Windows-1252, convert it: `iconv -f WINDOWS-1252 -t UTF-8 {path.name}`."
            ) from error
        raise UsageError(
            f"{path} begins as {encoding.upper()} and is damaged: {what} ({error.reason}). Save "
            "it again as UTF-8."
        ) from error
    if "\0" in text[:4]:
        raise UsageError(
            f"{path} is not UTF-8: byte {content.index(0)}, line 1, is zero, as in UTF-16 without "
            "its byte order mark. Save it again as UTF-8."
        )
    return text


def read_csv(
    path: Path, needed: Sequence[str], optional: Sequence[str], *, delimiters: str, quotes: bool
) -> Iterator[Line | BadRow]:
    """The rows of a table with a header, cells stripped, columns in lower case.

    Args:
        path: the table.
        needed: columns that must be there.
        optional: columns that may be there; others are handed out too.
        delimiters: which may stand between cells; the one that finds most columns does.
        quotes: whether a cell may stand in double quotes, with delimiters and line ends in it.

    Raises:
        UsageError: as `read_text`, or the header lacks a column or names one twice.
    """
    lines = list(io.StringIO(read_text(path), newline=""))
    header = lines[0] if lines else ""
    known = {*needed, *optional}

    def named(mark: str) -> int:
        return len(known.intersection(name.strip(' "\r\n').lower() for name in header.split(mark)))

    delimiter = max(delimiters, key=named)
    records = _records(lines, delimiter, quotes)
    first = next(records, (1, []))[1]
    if isinstance(first, str):
        raise UsageError(f"{path}, line 1: {first}. Check its quotes.")
    columns = [name.strip().lower() for name in first]
    _check_columns(path, columns, needed, optional)
    for number, cells in records:
        place = f"{path.name}, line {number}"
        if isinstance(cells, str):
            yield BadRow(place, "bad-row", f"{cells}. Check its quotes.")
        elif len(cells) != len(columns):
            if not any(cell.strip() for cell in cells):
                continue
            hint = f" A text with a {delimiter!r} in it needs double quotes around it."
            counts = f"It has {len(cells)} cells and the header has {len(columns)}."
            yield BadRow(place, "bad-row", counts + (hint if quotes else ""))
        elif any(stripped := [cell.strip() for cell in cells]):
            yield Line(place, dict(zip(columns, stripped, strict=True)))


def _records(
    lines: Sequence[str], delimiter: str, quotes: bool
) -> Iterator[tuple[int, list[str] | str]]:
    """Number of its first line, and the cells of each record, or what is wrong with it.

    A quote that is never closed would swallow the lines after it, so a record that goes wrong over
    several lines costs only its first, and reading goes on at the second.
    """
    width, at = 0, 0
    while at < len(lines):
        reader = csv.reader(
            itertools.islice(lines, at, None),
            delimiter=delimiter,
            quoting=csv.QUOTE_MINIMAL if quotes else csv.QUOTE_NONE,
            strict=quotes,
        )
        start = at
        try:
            for cells in reader:
                spans = start + reader.line_num - at
                if spans > 1 and width and len(cells) != width:
                    yield at + 1, "a quote is not closed on this line"
                    at += 1
                    break
                width = width or len(cells)
                yield at + 1, cells
                at += spans
            else:
                at = len(lines)
        except csv.Error as error:
            yield at + 1, str(error)
            at += 1


def _check_columns(
    path: Path, columns: Sequence[str], needed: Sequence[str], optional: Sequence[str]
) -> None:
    missing = [name for name in needed if name not in columns]
    twice = sorted({name for name in columns if name and columns.count(name) > 1})
    if missing or twice:
        problem = f"lacks {' and '.join(missing)}" if missing else f"names {twice[0]!r} twice"
        raise UsageError(
            f"{path}, line 1 {problem}. It has the columns: {', '.join(columns) or 'none'}. "
            f"Needed: {', '.join(needed)}; optional: {', '.join(optional)}; others are ignored."
        )


def read_jsonl(path: Path) -> Iterator[Line | BadRow]:
    """The JSON objects of a file, one a line; empty lines are passed over.

    Raises:
        UsageError: as `read_text`.
    """
    for number, line in enumerate(read_text(path).split("\n"), 1):
        if not line.strip():
            continue
        place = f"{path.name}, line {number}"
        try:
            cells = json.loads(line)
        except (ValueError, RecursionError) as error:
            yield BadRow(place, "bad-row", f"It is not JSON ({error}).")
            continue
        if isinstance(cells, dict):
            yield Line(place, cells)
        else:
            yield BadRow(place, "bad-row", f"It holds a {type(cells).__name__}, not an object.")


def text_cell(line: Line, name: str, *, needed: bool = False) -> str:
    """A cell that must hold text; "" where it is not there or null.

    Raises:
        Unusable: it holds something else, or is needed and not there.
    """
    value = line.cells.get(name)
    if value is None and not needed:
        return ""
    if value is None:
        raise Unusable("bad-row", f"{name} is missing.")
    if not isinstance(value, str):
        raise Unusable("bad-row", f"{name} is {value!r:.60}, and must be text.")
    return value


def number_cell(line: Line, name: str) -> float | None:
    """A cell that must hold a number, NaN included; None where it is not there or null.

    Raises:
        Unusable: it holds something else.
    """
    value = line.cells.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Unusable("bad-row", f"{name} is {value!r:.60}, and must be a number.")
    try:
        return float(value)
    except OverflowError:
        return math.inf
