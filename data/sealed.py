"""A folder that knows its own hashes: `manifest.json` beside the files, cheap to check again.

The manifest holds size, modification time and sha256 of every file. A check compares size and
modification time, and hashes only the files where one of them differs, so that a warm check costs
a few milliseconds and a copied or touched folder still proves itself.
"""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

from voiceforge.errors import IntegrityError, StorageError
from voiceforge.files import read_json, sha256_file, write_json

MANIFEST = "manifest.json"


def seal(folder: Path, facts: dict[str, Any]) -> None:
    """Write the manifest of all files below `folder`, with `facts` about them."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    files = {path.relative_to(folder).as_posix(): _record(path) for path in paths}
    write_json(folder / MANIFEST, {**facts, "files": files})


def sealed_facts(folder: Path) -> dict[str, Any] | None:
    """The manifest of a sealed folder, files unchecked; None where there is no such folder."""
    if not (folder / MANIFEST).is_file():
        return None
    facts: dict[str, Any] = read_json(folder / MANIFEST)
    return facts


def check_sealed(folder: Path) -> dict[str, Any]:
    """Check every file of a sealed folder and return its manifest.

    Raises:
        IntegrityError: a file is missing or has other content than when the folder was sealed.
        StorageError: the manifest is missing or unreadable.
    """
    facts: dict[str, Any] = read_json(folder / MANIFEST)
    moved = False
    for name, recorded in facts["files"].items():
        path = folder / name
        if not path.is_file():
            raise IntegrityError(
                f"{path} is missing, though {MANIFEST} beside it lists it. Delete {folder} and run "
                "again: it will be fetched or made anew."
            )
        status = path.stat()
        if (status.st_size, status.st_mtime_ns) == (recorded["bytes"], recorded["mtime_ns"]):
            continue
        actual = _record(path)
        if actual["sha256"] != recorded["sha256"]:
            raise IntegrityError(
                f"{path} is corrupt: its sha256 is {actual['sha256']} and should be "
                f"{recorded['sha256']}. Delete {folder} and run again: it will be fetched or made "
                "anew."
            )
        facts["files"][name] = actual
        moved = True
    if moved:
        with contextlib.suppress(StorageError):  # a read-only cache is only slower to check
            write_json(folder / MANIFEST, facts)
    return facts


def _record(path: Path) -> dict[str, Any]:
    status = path.stat()
    return {
        "sha256": sha256_file(path), "bytes": status.st_size, "mtime_ns": status.st_mtime_ns,
    }  # fmt: skip
