"""Deleting a speaker from DVC: the objects of old corpus versions in the cache and in remotes.

DVC keeps every file of every version once, under its md5, and a version as a list of them. A
version that holds the speaker loses the speaker's audio, its tables (they hold their words) and its
list: it cannot be restored any more. Other people's audio stays, and so does every object that a
version without the speaker needs.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from data.forgotten import Forgotten
from data.remotes import RemoteSettings, open_remote, remote_errors, remote_url
from data.tables import UTTERANCES
from voiceforge.errors import StorageError
from voiceforge.files import storage_errors

_LIST = ".dir"
_AUDIO = "audio/"


@dataclass(frozen=True)
class Store:
    """A place of objects: DVC's cache or a remote.

    Attributes:
        name: its path or address.
        odb: DVC's object database.
        lists: md5 of the versions that lie there.
    """

    name: str
    odb: Any
    lists: frozenset[str]


@dataclass(frozen=True)
class Holdings:
    """What DVC holds of a speaker.

    Attributes:
        versions: corpus versions with recordings of the speaker, md5 ending in ".dir".
        audio: objects that are the speaker's audio and needed by nobody else.
        tables: objects of those versions that are no audio and needed by no other version.
        audio_sha256: of the speaker's recordings, as tables name them.
        shared: how many audio objects other versions need (those of another corpus), so that they
            stay.
    """

    versions: tuple[str, ...] = ()
    audio: tuple[str, ...] = ()
    tables: tuple[str, ...] = ()
    audio_sha256: frozenset[str] = field(default_factory=frozenset)
    shared: int = 0


def open_stores(
    repo: Any, settings: RemoteSettings | None, former: Iterable[str] = ()
) -> tuple[list[Store], list[str]]:
    """The cache and every remote that answers: those of the configuration, and former ones.

    Args:
        former: addresses that versions were pushed to at some time.

    Returns:
        The stores, and a sentence for each remote that could not be asked.
    """
    stores, problems = [_store(repo.cache.local.path, repo.cache.local)], []
    named = {name: remote_url(repo, name) for name in sorted(repo.config["remote"])}
    for number, url in enumerate(sorted({*former} - {*named.values()})):
        repo.config["remote"][f"former-{number}"] = {"url": url}  # for as long as it is open
        named[f"former-{number}"] = url
    for name, url in named.items():
        try:
            remote = open_remote(repo, settings, name)
            if remote is None:
                problems.append(f"VOICEFORGE_OFFLINE forbids to ask the remote {url}.")
            elif remote.worktree or remote.fs.version_aware:
                problems.append(
                    f"The remote {url} keeps versions itself (worktree or version_aware): what it "
                    "holds must be deleted there by hand."
                )
            else:
                with remote_errors(url):
                    stores.append(_store(url, remote.odb))
        except StorageError as error:
            problems.append(str(error))
    return stores, problems


def find_holdings(
    stores: Sequence[Store], corpus: str, speaker: str, forgotten: Forgotten
) -> Holdings:
    """Which versions of a corpus hold a speaker, and which objects must go with them.

    Every version is looked at that any store has, recorded or not.

    Args:
        corpus: its name: the `domain` of its utterances.
        speaker: the id.
        forgotten: with the speaker's tombstone where there is one; a version that it names counts
            even if its tables are gone.

    Raises:
        StorageError: a store cannot be read.
    """
    stone = forgotten.tombstone(speaker)
    entries = {md5: _entries(stores, md5) for md5 in sorted({m for s in stores for m in s.lists})}
    tables = {
        md5: table
        for md5, files in entries.items()
        if UTTERANCES in files and (table := _table(stores, files[UTTERANCES], corpus)) is not None
    }
    audio = {one for table in tables.values() for one in _audio_of(table, speaker)}
    held = {
        md5: paths
        for md5, table in tables.items()
        if (paths := _paths(table, speaker, audio, forgotten))
    }
    for md5 in stone.versions if stone else ():
        if md5 in entries:
            held.setdefault(md5, [])
    needed = {one for md5, files in entries.items() if md5 not in held for one in files.values()}
    voices = {entries[md5][path] for md5, paths in held.items() for path in paths}
    others = {
        one for md5 in held for path, one in entries[md5].items() if not path.startswith(_AUDIO)
    }
    return Holdings(
        versions=tuple(sorted(held)),
        audio=tuple(sorted(voices - needed)),
        tables=tuple(sorted(others - needed)),
        audio_sha256=frozenset(audio),
        shared=len(voices & needed),
    )


def delete_objects(
    stores: Sequence[Store],
    holdings: Holdings,
    before: Callable[[str], None] = lambda _: None,
) -> int:
    """Delete them everywhere: audio, then tables, then lists; returns how many objects.

    A version is known by its list and its table, so that one that was killed on the way is found
    again.

    Args:
        before: called with a word for each step before it is taken.

    Raises:
        StorageError: a store refuses.
    """
    deleted = 0
    steps = (("audio", holdings.audio), ("tables", holdings.tables), ("lists", holdings.versions))
    for step, objects in steps:
        for store in stores:
            before(f"{step} in {store.name}")
            deleted += _delete(store, objects)
    return deleted


def _store(name: str, odb: Any) -> Store:
    try:
        found = [oid for oid in odb.all() if oid.endswith(_LIST)]
    except FileNotFoundError:  # nothing was pushed yet
        found = []
    return Store(name, odb, frozenset(found))


def _entries(stores: Sequence[Store], md5: str) -> dict[str, str]:
    """Relative path -> md5 of a version's files."""
    listed = json.loads(_read(stores, md5) or b"[]")
    return {entry["relpath"]: entry["md5"] for entry in listed}


def _table(stores: Sequence[Store], md5: str, corpus: str) -> Any:
    """A version's utterances of this corpus as an Arrow table, whatever VoiceForge wrote them.

    None where it is something else of that name, or nowhere.
    """
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    content = _read(stores, md5)
    if content is None:
        return None
    try:
        names = pq.read_schema(io.BytesIO(content)).names
        columns = [name for name in ("speaker", "audio", "domain", "audio_sha256") if name in names]
        if not {"speaker", "audio", "domain"} <= set(columns):
            return None
        table = pq.read_table(io.BytesIO(content), columns=columns)
    except pa.ArrowInvalid:
        return None
    return table.filter(pc.equal(table["domain"], corpus))


def _audio_of(table: Any, speaker: str) -> list[str]:
    """The sha256 of a speaker's recordings; tables of early versions have none."""
    import pyarrow.compute as pc

    if "audio_sha256" not in table.column_names:
        return []
    found: list[str] = table.filter(pc.equal(table["speaker"], speaker))["audio_sha256"].to_pylist()
    return found


def _paths(table: Any, speaker: str, audio: Collection[str], forgotten: Forgotten) -> list[str]:
    """Where a version's recordings of a speaker lie, under the speaker's name or another."""
    import pyarrow as pa
    import pyarrow.compute as pc

    theirs = pc.equal(table["speaker"], speaker)
    if "audio_sha256" in table.column_names:
        column = table["audio_sha256"]
        known = {*audio, *filter(forgotten.holds_audio, pc.unique(column).to_pylist())}
        same = pc.is_in(column, value_set=pa.array(sorted(known), type=column.type))
        theirs = pc.or_(theirs, same)
    found: list[str] = table.filter(theirs)["audio"].to_pylist()
    return found


def _read(stores: Sequence[Store], oid: str) -> bytes | None:
    """An object from the first store that has it, None where none has."""
    for store in stores:
        path = store.odb.oid_to_path(oid)
        with _errors(store):
            try:
                content: bytes = store.odb.fs.cat_file(path)
            except FileNotFoundError:
                continue
        return content
    return None


def _delete(store: Store, objects: Collection[str]) -> int:
    from dvc_data.hashfile.db import get_index

    with _errors(store):
        paths = [store.odb.oid_to_path(oid) for oid in store.odb.oids_exist(objects)]
        if paths:
            store.odb.fs.remove(paths)
            # DVC remembers what it saw there.
            with closing(get_index(store.odb)) as index:
                index.clear()
    return len(paths)


@contextmanager
def _errors(store: Store) -> Iterator[None]:
    if store.odb.fs.protocol == "local":
        with storage_errors(Path(store.name)):
            yield
    else:
        with remote_errors(store.name):
            yield
