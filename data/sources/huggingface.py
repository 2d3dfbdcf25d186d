"""A dataset as Hugging Face `datasets` stores it: in a folder of this machine, or on the Hub.

Read are what `save_to_disk` writes, Parquet files, and audio files with a `metadata.csv`, `.jsonl`
or `.parquet` beside them (audiofolder). Which files make up a configuration and a split is
`datasets`' own decision, from their names and the dataset card. Nothing is decoded on the way:
embedded recordings are written as they are, once, to a cache named by content. No code of a dataset
is run: `datasets` has none to run any more.
"""

from __future__ import annotations

import functools
import hashlib
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

from data.sources.audio_paths import below
from data.sources.base import Plan, Reach, slug
from data.sources.extracted import extracted, keep
from data.sources.hub_files import DataFiles, fetch_dataset, find_files
from data.sources.rows import Origin, Row, Rows, plan_rows, require_folder, rows_of, speaker_of
from data.sources.text_tables import BadRow, Line, Unusable, read_csv, read_jsonl
from voiceforge.errors import SourceError, UsageError
from voiceforge.params import HuggingFaceSource
from voiceforge.settings import from_project

_FILE_NAME = "file_name"
_ROWS = 64
"""Rows in memory at once; a minute of WAV in each is 120 MB."""


@dataclass(frozen=True, slots=True)
class HuggingFace:
    """A dataset; a relative path starts at the project."""

    params: HuggingFaceSource
    project: Path

    @property
    def path(self) -> Path:
        """Where it lies; the name of a dataset of the Hub stands for its place there."""
        return from_project(self.project, self.params.dataset or str(self.params.path))

    @property
    def name(self) -> str:
        """First part of its ids: the dataset's name, or its folder's, wherever that lies."""
        return slug(self.params.dataset or self.path.resolve().name)

    def plan(self, reach: Reach) -> Plan:
        """Read the dataset, after fetching it where it is the Hub's.

        Raises:
            UsageError: no such folder, configuration, split or column, or a layout that is not
                read.
            SourceError: the Hub cannot be had, or reading stopped part of the way.
            IntegrityError: the cached copy is not what was fetched.
            StorageError: the cache is full or read-only.
        """
        params = self.params
        if params.dataset is not None and params.revision is not None:
            root, files = fetch_dataset(
                params.dataset, params.revision, params.config, params.split, reach
            )
        else:
            root = self._folder()
            files = find_files(root, params.config, params.split)
        name = self.name
        origin = Origin(
            f"huggingface:{name}", name, name, params.language, params.licence, params.consent
        )
        copies = _Copies(
            extracted(reach.cache), lambda who: reach.forgotten(speaker_of(origin, who))
        )
        return plan_rows(origin, self._rows(root, files, copies))

    def fingerprint(self) -> Any:
        """The commit, or name, size and time of change of every file of the folder."""
        digest = hashlib.sha256()
        if self.params.dataset is None:
            root = self._folder()
            for path in sorted(path for path in root.rglob("*") if path.is_file()):
                facts = path.stat()
                known = f"{path.relative_to(root)}\0{facts.st_size}\0{facts.st_mtime_ns}\n"
                digest.update(known.encode(errors="surrogateescape"))
        return {"huggingface": self.params.model_dump(mode="json"), "files": digest.hexdigest()}

    def _folder(self) -> Path:
        require_folder(self.path, "the folder of a dataset")
        return self.path

    def _rows(self, root: Path, files: DataFiles, copies: _Copies) -> Rows:
        columns = self.params.columns.model_dump(exclude_none=True)
        for path in files.paths:
            base, own = root, columns
            if files.layout == "audiofolder":  # audio is named from the table's own folder on
                base, own = (root / path).parent, {**columns, "audio": _FILE_NAME}
            read = functools.partial(_row, base=base, columns=own, copies=copies)
            yield from rows_of(_lines(root, path, files.layout, own), read, own.get("speaker"))


@dataclass(frozen=True, slots=True)
class _Copies:
    """Where embedded recordings are written, and the names of speakers whose are not."""

    folder: Path
    withheld: Callable[[str], bool]


def _row(line: Line, base: Path, columns: Mapping[str, str], copies: _Copies) -> Row:
    for name in (columns["audio"], columns["text"]):
        if name not in line.cells:
            raise Unusable("bad-row", f"{name} is missing.")
    content, path = _audio(line, columns["audio"])
    cells = {what: _text(line, name) for what, name in columns.items() if what != "audio"}
    row = Row(
        place=line.place,
        root=base,
        audio=below(path, base),
        text=cells["text"],
        speaker=cells.get("speaker", ""),
        accent=cells.get("accent", ""),
        language=cells.get("language", ""),
        licence=cells.get("licence", ""),
        consent=cells.get("consent", ""),
        id=cells.get("id", ""),
    )
    if content is None:
        return row
    given, digest = PurePosixPath(path.replace("\\", "/")), hashlib.sha256(content).hexdigest()
    kept = f"{digest[:2]}/{digest}{_suffix(given)}"
    if not copies.withheld(row.speaker):
        keep(content, copies.folder / kept)
    known = row.id or f"{given.stem}-{digest[:12]}".lstrip("-")
    return replace(row, root=copies.folder, audio=kept, id=known, where=line.place)


def _audio(line: Line, name: str) -> tuple[bytes | None, str]:
    """What a cell of audio holds: its bytes, where they are embedded, and its path."""
    value = line.cells[name]
    content, path = value, None
    if isinstance(value, Mapping):
        content, path = value.get("bytes"), value.get("path")
    elif isinstance(value, str):
        content, path = None, value
    if not isinstance(content, bytes | None) or not isinstance(path, str | None):
        raise Unusable("bad-row", f"{name} is {value!r:.60}, which is no audio.")
    return content, path or ""


def _text(line: Line, name: str) -> str:
    value = line.cells.get(name)
    if value is None:
        return ""
    if isinstance(value, int) and not isinstance(value, bool):  # speakers are often numbered
        return str(value)
    if not isinstance(value, str):
        raise Unusable("bad-row", f"{name} is {value!r:.60}, and must be text.")
    return value


def _suffix(name: PurePosixPath) -> str:
    """The suffix, which tells raw formats; nothing where it is not one."""
    suffix = name.suffix.lower()
    return suffix if re.fullmatch(r"\.[a-z0-9]{1,5}", suffix) else ""


def _lines(
    root: Path, path: str, layout: str, columns: Mapping[str, str]
) -> Iterator[Line | BadRow]:
    """The rows of one file of the dataset, with the named columns."""
    named = sorted(set(columns.values()))
    kind = PurePosixPath(path).suffix if layout == "audiofolder" else f".{layout}"
    if kind == ".csv":
        lower = [name.lower() for name in named]  # as its columns are read
        for line in read_csv(root / path, lower, (), delimiters=",\t;", quotes=True):
            if isinstance(line, Line):
                line = Line(line.place, {name: line.cells[name.lower()] for name in named})
            yield line
        return
    if kind in (".jsonl", ".json"):
        yield from read_jsonl(root / path)
        return
    import pyarrow

    number = 0
    try:
        for batch in _batches(root / path, kind, named):
            for cells in batch.to_pylist():
                number += 1
                yield Line(f"{path if path != '.' else root.name}, row {number}", cells)
    except (OSError, ValueError, pyarrow.ArrowException) as error:
        raise SourceError(
            f"{root / path} could be read up to row {number} only ({error}). Nothing of this "
            "dataset entered the corpus. Copy or fetch that file again and run again; what was "
            "read is kept."
        ) from error


def _batches(path: Path, kind: str, columns: list[str]) -> Iterator[Any]:
    """Arrow tables of a few rows.

    Raises:
        UsageError: a column is not there.
    """
    if kind == ".parquet":
        import pyarrow.parquet as pq

        with pq.ParquetFile(path) as file:
            _check_columns(path, columns, file.schema_arrow.names)
            yield from file.iter_batches(_ROWS, columns=columns)
        return
    from datasets import load_from_disk

    dataset = load_from_disk(str(path))
    _check_columns(path, columns, dataset.column_names)
    arrow = dataset.select_columns(columns).with_format("arrow")  # which decodes nothing
    yield from arrow.iter(_ROWS)


def _check_columns(path: Path, named: list[str], there: list[str]) -> None:
    if missing := [name for name in named if name not in there]:
        raise UsageError(
            f"{path} has no column {missing[0]!r}. `columns` of the source in params.yaml may "
            f"name: {', '.join(there)}."
        )
