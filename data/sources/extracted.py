"""Recordings that a source takes out of its tables: copies in the cache, named by their content."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable
from pathlib import Path

from voiceforge.files import storage_errors


def extracted(cache: Path) -> Path:
    """The folder of the copies in `Settings.cache`."""
    return cache / "huggingface" / "audio"


def keep(content: bytes, target: Path) -> None:
    """Write a recording under the name of its content, whole or not at all, once."""
    with storage_errors(target):
        # A power cut can leave a file short, since thousands are not forced to the disk each.
        if target.is_file() and target.stat().st_size == len(content):
            return
        target.parent.mkdir(parents=True, exist_ok=True)
        part = target.with_name(f".{target.name}.{os.getpid()}.part")
        try:
            part.write_bytes(content)
            part.replace(target)
        finally:
            part.unlink(missing_ok=True)


def drop(cache: Path, paths: Iterable[Path]) -> int:
    """Delete those of the files that are such copies, parts of them that a kill left included.

    Returns how many went; files elsewhere are not ours and stay.

    Raises:
        StorageError: the disk refuses.
    """
    folder, gone = extracted(cache), 0
    for path in paths:
        if not path.is_relative_to(folder):
            continue
        with storage_errors(path):
            for part in path.parent.glob(f".{path.name}.*.part"):
                part.unlink(missing_ok=True)
            with contextlib.suppress(FileNotFoundError):
                path.unlink()
                gone += 1
    return gone
