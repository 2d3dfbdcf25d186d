"""Whole files or none: hashing, atomic writes, folders that appear only when complete."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from voiceforge.errors import StorageError

_CHUNK = 1 << 20


def sha256_file(path: Path) -> str:
    """Hex sha256 of a file's bytes."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def sha256_json(value: Any) -> str:
    """Hex sha256 of a JSON value in canonical form (sorted keys, no spaces)."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def sha256_folder(folder: Path) -> dict[str, str]:
    """Relative POSIX path -> sha256 of every regular file below `folder`, in sorted order."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): sha256_file(path) for path in files}


def write_text(path: Path, text: str) -> None:
    """Write a text file so that a reader sees the old file or the new one, never a half.

    Raises:
        StorageError: the disk is full, read-only or refuses the file.
    """
    write_bytes(path, text.encode())


def write_bytes(path: Path, content: bytes | memoryview) -> None:
    """The bytes twin of `write_text`."""
    with storage_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
        try:
            with os.fdopen(handle, "wb") as stream:
                stream.write(content)
                stream.flush()
                os.fsync(stream.fileno())
            Path(name).chmod(0o644)
            Path(name).replace(path)
        except BaseException:
            with contextlib.suppress(OSError):
                Path(name).unlink()
            raise


def write_json(path: Path, value: Any) -> None:
    """Write a JSON value, indented and with a final newline, atomically."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def read_json(path: Path) -> Any:
    """Read a JSON file.

    Raises:
        StorageError: the file is missing or not JSON.
    """
    try:
        return json.loads(path.read_text())
    except FileNotFoundError as error:
        raise StorageError(f"{path} is missing. Run the stage that makes it again.") from error
    except ValueError as error:
        raise StorageError(
            f"{path} is not valid JSON ({error}). Delete it and run again."
        ) from error


def link_file(source: Path, target: Path) -> None:
    """A second name for a file, or a copy where the disk has no hard links across these folders.

    A target that is this very file already is left as it is.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.exists() and target.samefile(source):
        return
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


@contextlib.contextmanager
def new_folder(final: Path) -> Iterator[Path]:
    """Yield an empty folder that takes the name `final` when the block ends well.

    When the block fails nothing is left behind; when the process is killed only a `.tmp-` folder
    is, which `remove_leftovers_of` clears. An existing `final` is replaced whole.
    """
    with storage_errors(final):
        final.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(dir=final.parent, prefix=f".tmp-{final.name}-"))
        temporary.chmod(0o755)
        try:
            yield temporary
            if final.exists():
                old = Path(tempfile.mkdtemp(dir=final.parent, prefix=f".tmp-{final.name}-"))
                final.rename(old / final.name)
                temporary.rename(final)
                shutil.rmtree(old, ignore_errors=True)
            else:
                temporary.rename(final)
        except BaseException:
            shutil.rmtree(temporary, ignore_errors=True)
            raise


def remove_leftovers(parent: Path) -> list[Path]:
    """Remove what killed runs left of `new_folder` below `parent`; returns what was removed.

    Nothing else may be at work below `parent`.
    """
    return _remove(path for path in parent.rglob(".tmp-*") if path.is_dir())


def remove_leftovers_of(final: Path) -> list[Path]:
    """The same for one folder; others may be at work beside it."""
    return _remove(final.parent.glob(f".tmp-{final.name}-????????"))


def _remove(found: Iterable[Path]) -> list[Path]:
    removed = list(found)
    for path in removed:
        shutil.rmtree(path, ignore_errors=True)
    return removed


@contextlib.contextmanager
def storage_errors(path: Path) -> Iterator[None]:
    """Turn the disk's own errors (full, read-only, forbidden) into a `StorageError` with advice."""
    try:
        yield
    except OSError as error:
        if (known := _storage_error(error, path)) is not None:
            raise known from error
        raise


def as_storage_error(error: BaseException) -> StorageError | None:
    """The `StorageError` behind any error that a library made of the disk's own; None otherwise."""
    seen: BaseException | None = error
    visited: set[int] = set()
    # Frameworks that raise a caught error again can close the chain to a ring.
    while seen is not None and id(seen) not in visited:
        visited.add(id(seen))
        if isinstance(seen, StorageError):
            return seen
        if isinstance(seen, OSError) and (known := _storage_error(seen, None)) is not None:
            return known
        for number, words in _WORDS.items():
            if any(word in str(seen) for word in words):
                return _storage_error(OSError(number, os.strerror(number)), None)
        seen = seen.__cause__ or seen.__context__
    return None


# SQLite and the writers of audio, tensors and tables pass the disk's errors on as text.
_WORDS = {
    errno.ENOSPC: (os.strerror(errno.ENOSPC), "database or disk is full"),
    errno.EDQUOT: (os.strerror(errno.EDQUOT),),
    errno.EROFS: (os.strerror(errno.EROFS), "readonly database", "unable to open database file"),
    errno.EFBIG: (os.strerror(errno.EFBIG),),
}


def _storage_error(error: OSError, path: Path | None) -> StorageError | None:
    where = error.filename or path or "a file"
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return StorageError(
            f"The disk is full: {where} could not be written. Free some space (`voiceforge gc` "
            "removes artifacts that nothing needs) and run again; finished stages are kept."
        )
    if error.errno == errno.EFBIG:
        return StorageError(
            f"{where} is larger than this machine lets a file be (`ulimit -f`). Raise that limit "
            "and run again; finished stages are kept."
        )
    if error.errno in (errno.EROFS, errno.EACCES, errno.EPERM):
        return StorageError(
            f"{where} cannot be written ({error.strerror}). Make it writable, or set "
            "VOICEFORGE_HOME to a folder that is."
        )
    return None
