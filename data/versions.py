"""Versions of a corpus: DVC records its content, keeps it in a cache and a remote, restores it.

A version is the md5 of a corpus folder as DVC states it ("....dir"). `add_version` leaves the small
`NAME.dvc` file beside the folder for the user to commit; `checkout_version` restores any version
that cache or remote hold, committed or not. Corpus folders are always replaced whole and never
written in place, so their files may be hard links into the cache.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml

from data.remotes import RemoteSettings, open_remote, remote_errors, remote_url
from data.repository import dvc_errors, open_repository, pointer_of
from voiceforge.errors import IntegrityError, SourceError, StorageError, UsageError
from voiceforge.files import new_folder, write_text

_KEPT = (
    "Nothing is lost: the corpus and its version are kept on this machine, and the next run pushes "
    "what is missing."
)


@dataclass(frozen=True, slots=True)
class CorpusVersion:
    """A recorded state of a corpus.

    Attributes:
        md5: DVC's hash of the folder, ending in ".dir".
        files: how many.
        bytes: their sizes added up.
        remote: address of the remote that has it, "" where none does.
    """

    md5: str
    files: int
    bytes: int
    remote: str = field(default="", compare=False)

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def add_version(project: Path, corpus: Path, remote: RemoteSettings | None) -> CorpusVersion:
    """Record a corpus folder as it is now and push it.

    What cannot be pushed is recorded all the same; adding it again pushes it.

    Args:
        project: folder that holds, or will hold, `.dvc`.
        corpus: folder inside the project.
        remote: where to push to when the project names no remote of its own; None for none.

    Raises:
        StorageError: the disk is full or read-only, or the remote cannot be used.
    """
    with open_repository(project, remote) as repo:
        with dvc_errors(f"recording {corpus.name}", corpus):
            version = _add(repo, corpus)
        if open_remote(repo, remote, comfort=_KEPT) is None:
            return version
        url = remote_url(repo)
        with dvc_errors(f"pushing {corpus.name}", corpus), remote_errors(url, _KEPT):
            repo.push(targets=[str(pointer_of(corpus))])
    return replace(version, remote=url)


def checkout_version(
    project: Path,
    name: str,
    md5: str,
    remote: RemoteSettings | None = None,
    check: Callable[[Path], None] = lambda _: None,
) -> CorpusVersion:
    """Restore a recorded version of `data/corpora/NAME`, from the cache or else the remote.

    The folder is replaced whole when every file is there, and left as it was otherwise.

    Args:
        project, remote: as in `add_version`.
        name: the corpus.
        md5: as `add_version` returned it, with or without ".dir".
        check: is given the restored folder before it takes its place, and may refuse by raising.

    Raises:
        UsageError: `md5` is not one.
        SourceError: neither cache nor remote hold that version.
        IntegrityError: they hold something else under its name.
        StorageError: the disk is full or read-only, or the remote is needed and cannot be used.
    """
    digest = full_md5(md5)
    corpus = project / "data" / "corpora" / name
    with open_repository(project, remote) as repo:
        with new_folder(corpus) as folder:
            _restore(repo, folder, digest, name, remote)
            check(folder)
        with dvc_errors(f"recording {name}", corpus):
            version = _add(repo, corpus)
    return version


def full_md5(md5: str) -> str:
    """A version with its ".dir".

    Raises:
        UsageError: it is not a version.
    """
    digits = md5.removesuffix(".dir")
    if len(digits) != 32 or not set(digits) <= set("0123456789abcdef"):
        raise UsageError(f"{md5!r} is not a version of a corpus: 32 hexadecimal digits are.")
    return f"{digits}.dir"


def _add(repo: Any, corpus: Path) -> CorpusVersion:
    out = repo.add(str(corpus))[0].outs[0]
    return CorpusVersion(out.hash_info.value, out.meta.nfiles, out.meta.size)


def _restore(
    repo: Any, folder: Path, digest: str, name: str, remote: RemoteSettings | None
) -> None:
    """Fill a folder with a version by way of a passing .dvc file of its own.

    The remote is asked for what the cache lacks only.
    """
    pointer = pointer_of(folder)
    outs = [{"md5": digest, "hash": "md5", "path": folder.name}]
    write_text(pointer, yaml.safe_dump({"outs": outs}))
    places = f"DVC's cache ({repo.cache.local.path})"
    try:
        problem = _from_cache(repo, folder, pointer)
        if problem and (url := remote_url(repo)):
            if open_remote(repo, remote) is not None:
                places += f" or the remote {url}"
                problem = _fetch(repo, pointer) or _from_cache(repo, folder, pointer)
            else:
                places += f", and VOICEFORGE_OFFLINE forbids to ask the remote {url}"
    finally:
        pointer.unlink(missing_ok=True)
    if problem:
        raise SourceError(
            f"Version {digest} of {name} is not in {places}. Check the hash; versions are recorded "
            f"in MLflow and in the history of the corpus's .dvc file. ({problem})"
        )
    _verify(repo, folder, digest, name)


def _from_cache(repo: Any, folder: Path, pointer: Path) -> str:
    """Check out what the cache holds; returns what was wrong, "" when all is there."""
    from dvc.exceptions import CheckoutError, DvcException

    try:
        repo.checkout(targets=[str(pointer)], force=True)
    except CheckoutError:
        return "Files are missing."
    except DvcException as error:
        return f"{error}."
    return "" if any(folder.iterdir()) else "It has no files."


def _fetch(repo: Any, pointer: Path) -> str:
    """Bring a version from the remote to the cache; returns what was wrong."""
    from dvc.exceptions import DvcException

    try:
        with remote_errors(remote_url(repo)):
            repo.fetch(targets=[str(pointer)])
    except StorageError as error:
        if isinstance(error.__cause__, DvcException):
            return str(error)
        raise
    return ""


def _verify(repo: Any, folder: Path, digest: str, name: str) -> None:
    """Hash every restored file: DVC takes its own cache's word for what it holds.

    A version is the md5 of a JSON list of the files' md5 and relative paths.
    """
    listed = Path(repo.cache.local.oid_to_path(digest)).read_bytes()
    damaged = [] if f"{_md5(listed)}.dir" == digest else ["the list of its files"]
    damaged += [
        entry["relpath"]
        for entry in json.loads(listed)
        if _md5((folder / entry["relpath"]).read_bytes()) != entry["md5"]
    ]
    if damaged:
        raise IntegrityError(
            f"Version {digest} of {name} is damaged in DVC's cache: {len(damaged)} files, such as "
            f"{damaged[0]}. Delete {repo.cache.local.path} and check out again: what the remote "
            "holds is fetched anew."
        )


def _md5(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()
