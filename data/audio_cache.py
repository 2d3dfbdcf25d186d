"""Decoded audio and what was measured of it, kept between builds and found by what it was made of.

The folder holds `flac/ab/SHA256.flac`, named by content, and `index.sqlite`: a row for each
recording that was ever decoded (its key is a hash over path, size, time of change and segment, or
over voice and text) with the audio's sha256, or with the reason why there is none. Rows are written
as results arrive, so that a build that is killed goes on where it stopped; several processes may
work with one folder. It can be deleted at any time and costs the decoding.
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
import time
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from data.measurement import Measurement
from voiceforge.errors import StorageError
from voiceforge.files import as_storage_error, link_file, sha256_file, storage_errors

FOLDER = "audio"
"""Name of the folder in `Settings.cache`."""

_TABLE = """
CREATE TABLE IF NOT EXISTS recordings (
    key TEXT PRIMARY KEY, sha256 TEXT, seconds REAL, measured TEXT, reason TEXT, detail TEXT
) WITHOUT ROWID
"""
_AT_ONCE = 500
_WAIT_SECONDS = 60.0
_ABANDONED_SECONDS = 3600.0
"""Age from which on no build at work needs what it has written and not linked."""


@dataclass(frozen=True, slots=True)
class Kept:
    """A decoded recording: its FLAC's sha256, seconds of audio, and measurement."""

    sha256: str
    seconds: float
    measurement: Measurement


@dataclass(frozen=True, slots=True)
class Unusable:
    """Why a recording cannot be decoded.

    Attributes:
        reason: a code of quarantine.
        detail: a sentence for people, with `WHERE` in the place of the recording: the cache names
            no files.
    """

    reason: str
    detail: str


WHERE = "{recording}"

_PASSING = ("missing", "crashed", "undecodable")
"""Reasons that may be gone the next time; they are not kept."""

Result = Kept | Unusable


class AudioCache:
    """The cache in a folder, which is made when needed. Close it, or use it in a `with`."""

    def __init__(self, folder: Path) -> None:
        """Raises StorageError where the folder cannot be written or is no such cache."""
        self.folder = folder
        with storage_errors(folder):
            folder.mkdir(parents=True, exist_ok=True)
        with self._errors():
            self._index = sqlite3.connect(folder / "index.sqlite", timeout=_WAIT_SECONDS)
            # A kill loses nothing that was committed; only a power cut may, and then it is made
            # again.
            self._index.execute("PRAGMA journal_mode=WAL")
            self._index.execute("PRAGMA synchronous=NORMAL")
            with self._index:
                self._index.execute(_TABLE)

    def __enter__(self) -> AudioCache:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._index.close()

    def path(self, sha256: str) -> Path:
        """Where the FLAC of that content lies."""
        return flac_path(self.folder, sha256)

    def find(self, keys: Collection[str]) -> dict[str, Result]:
        """What is known of recordings; their FLACs are not looked at. Measurements have no id."""
        found: dict[str, Result] = {}
        for some in _portions(keys):
            marks = ",".join("?" * len(some))
            query = "SELECT key, sha256, seconds, measured, reason, detail FROM recordings "
            for row in self._rows(f"{query} WHERE key IN ({marks})", some):
                found[row[0]] = _result(row)
        return found

    def keep(self, results: Mapping[str, Result]) -> None:
        """Remember results by key; the FLACs of those that have one are there already."""
        rows = [
            (key, *_row(result))
            for key, result in results.items()
            if not (isinstance(result, Unusable) and result.reason in _PASSING)
        ]
        with self._errors(), self._index:
            self._index.executemany(
                "INSERT OR REPLACE INTO recordings VALUES (?, ?, ?, ?, ?, ?)", rows
            )

    def link(self, sha256: str, target: Path) -> bool:
        """Give the FLAC of that content a further name, by a hard link or else a copy.

        Its bytes are hashed first: what somebody wrote into, or a power cut spoiled, enters
        nothing. It is removed then, with all that is known of it.

        Returns:
            Whether it was there and whole.
        """
        source = self.path(sha256)
        try:
            whole = sha256_file(source) == sha256
        except FileNotFoundError:
            whole = False
        if not whole:
            self.drop([sha256])
            return False
        with storage_errors(target):
            link_file(source, target)
        return True

    def drop(self, sha256s: Iterable[str]) -> int:
        """Forget audio: its FLACs and every row that leads to them. Returns how many FLACs went."""
        chosen = list(sha256s)
        self._index.execute("PRAGMA secure_delete=ON")
        for some in _portions(chosen):
            marks = ",".join("?" * len(some))
            with self._errors(), self._index:
                self._index.execute(f"DELETE FROM recordings WHERE sha256 IN ({marks})", some)  # noqa: S608
        with self._errors():  # what was deleted is not to be read in the journal either
            self._index.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        gone = 0
        for sha256 in chosen:
            with storage_errors(self.path(sha256)), contextlib.suppress(FileNotFoundError):
                self.path(sha256).unlink()
                gone += 1
        return gone

    def unused(self, used: Collection[str]) -> dict[str, int]:
        """FLACs that nothing needs: sha256 -> bytes.

        Those are not in `used`, and no other name leads to their bytes: what a corpus, an older
        version in DVC's cache or a build at work has linked costs nothing. And they are not new: a
        build at work may have written them and not linked them yet.
        """
        found: dict[str, int] = {}
        old = time.time() - _ABANDONED_SECONDS
        for path in sorted((self.folder / "flac").glob("??/*.flac")):
            with contextlib.suppress(FileNotFoundError):
                status = path.stat()
                if path.stem not in used and status.st_nlink == 1 and status.st_mtime < old:
                    found[path.stem] = status.st_size
        return found

    def prune(self, used: Collection[str]) -> dict[str, int]:
        """Drop what is `unused`, and what killed builds left half written; what went, as there."""
        found = self.unused(used)
        self.drop(found)
        for part in (self.folder / "flac").glob("??/*.part"):
            with contextlib.suppress(FileNotFoundError):
                if part.stat().st_mtime < time.time() - _ABANDONED_SECONDS:
                    part.unlink()
        with self._errors(), self._index:
            self._index.execute("DELETE FROM recordings WHERE sha256 IS NULL")
        return found

    def _rows(self, query: str, values: list[str]) -> list[Any]:
        with self._errors():
            return self._index.execute(query, values).fetchall()

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            if (known := as_storage_error(error)) is not None:
                raise known from error
            raise StorageError(
                f"The index of decoded audio {self.folder / 'index.sqlite'} cannot be used "
                f"({error}). Delete the folder {self.folder} and run again: it is a cache."
            ) from error


def drop(cache: Path, sha256s: Iterable[str]) -> int:
    """Forget decoded audio (`AudioCache.drop`) in `Settings.cache`; nothing where there is none."""
    if not (cache / FOLDER).is_dir():
        return 0
    with AudioCache(cache / FOLDER) as opened:
        return opened.drop(sha256s)


def flac_path(folder: Path, sha256: str) -> Path:
    """Where a cache keeps the FLAC of that content."""
    return folder / "flac" / sha256[:2] / f"{sha256}.flac"


def _row(result: Result) -> tuple[Any, ...]:
    if isinstance(result, Unusable):
        return None, None, None, result.reason, result.detail
    measured = asdict(replace(result.measurement, id=""))
    return result.sha256, result.seconds, json.dumps(measured), None, None


def _result(row: tuple[Any, ...]) -> Result:
    _, sha256, seconds, measured, reason, detail = row
    if sha256 is None:
        return Unusable(reason, detail)
    return Kept(sha256, seconds, Measurement(**json.loads(measured)))


def _portions(values: Collection[str]) -> Iterator[list[str]]:
    every = list(values)
    for start in range(0, len(every), _AT_ONCE):
        yield every[start : start + _AT_ONCE]
