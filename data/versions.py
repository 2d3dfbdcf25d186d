"""Versions of a corpus: DVC records its content, keeps it in a cache and a remote, restores it.

A version is the md5 of a corpus folder as DVC states it ("....dir"). `add_version` leaves the small
`NAME.dvc` file beside the folder for the user to commit; `checkout_version` restores any version
that cache or remote hold, committed or not. Corpus folders are always replaced whole and never
written in place, so their files may be hard links into the cache.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import yaml

from voiceforge.errors import IntegrityError, SourceError, StorageError, UsageError
from voiceforge.files import new_folder, storage_errors, write_text

REMOTE = "voiceforge"
"""Our remote's name; a project whose `.dvc/config` names another default remote keeps that."""


@dataclass(frozen=True, slots=True)
class CorpusVersion:
    """A recorded state of a corpus.

    Attributes:
        md5: DVC's hash of the folder, ending in ".dir".
        files: how many.
        bytes: their sizes added up.
    """

    md5: str
    files: int
    bytes: int

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def add_version(project: Path, corpus: Path, remote: Path | None) -> CorpusVersion:
    """Record a corpus folder as it is now and push it.

    Args:
        project: folder that holds, or will hold, `.dvc`.
        corpus: folder inside the project.
        remote: folder to push to where the project names no remote of its own; None for none.

    Raises:
        StorageError: the disk is full or read-only, or the remote cannot be reached.
    """
    with _repo(project, remote) as repo, _dvc_errors(f"recording {corpus.name}", corpus):
        version = _add(repo, corpus)
        if repo.config["core"].get("remote"):
            repo.push(targets=[str(_pointer(corpus))])
    return version


def checkout_version(
    project: Path, name: str, md5: str, remote: Path | None = None
) -> CorpusVersion:
    """Restore a recorded version of `data/corpora/NAME`, from the cache or else the remote.

    The folder is replaced whole when every file is there, and left as it was otherwise.

    Args:
        project, remote: as in `add_version`.
        name: the corpus.
        md5: as `add_version` returned it, with or without ".dir".

    Raises:
        UsageError: `md5` is not one.
        SourceError: neither cache nor remote hold that version.
        IntegrityError: they hold something else under its name.
        StorageError: the disk is full or read-only.
    """
    digest = f"{md5.removesuffix('.dir')}.dir"
    if len(digest) != 36 or not set(md5.removesuffix(".dir")) <= set("0123456789abcdef"):
        raise UsageError(f"{md5!r} is not a version of a corpus: 32 hexadecimal digits are.")
    corpus = project / "data" / "corpora" / name
    with _repo(project, remote) as repo:
        with new_folder(corpus) as folder:
            _restore(repo, folder, digest, name)
        with _dvc_errors(f"recording {name}", corpus):
            version = _add(repo, corpus)
    return version


def _add(repo: Any, corpus: Path) -> CorpusVersion:
    out = repo.add(str(corpus))[0].outs[0]
    return CorpusVersion(out.hash_info.value, out.meta.nfiles, out.meta.size)


def _restore(repo: Any, folder: Path, digest: str, name: str) -> None:
    """Fill a folder with a version by way of a passing .dvc file of its own."""
    from dvc.exceptions import CheckoutError, DvcException

    pointer = _pointer(folder)
    outs = [{"md5": digest, "hash": "md5", "path": folder.name}]
    write_text(pointer, yaml.safe_dump({"outs": outs}))
    places = f"DVC's cache ({repo.cache.local.path})"
    if where := repo.config["core"].get("remote"):
        places += f" or the remote {repo.config['remote'][where]['url']}"
    missing = (
        f"Version {digest} of {name} is not in {places}. Check the hash; versions are recorded in "
        "MLflow and in the history of the corpus's .dvc file."
    )
    try:
        if where:
            repo.fetch(targets=[str(pointer)])
        repo.checkout(targets=[str(pointer)], force=True)
    except CheckoutError as error:
        raise SourceError(missing) from error
    except DvcException as error:
        raise SourceError(f"{missing} ({error})") from error
    finally:
        pointer.unlink(missing_ok=True)
    if not any(folder.iterdir()):
        raise SourceError(missing)
    _verify(repo, folder, digest, name)


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


def _pointer(corpus: Path) -> Path:
    return corpus.with_name(f"{corpus.name}.dvc")


@contextmanager
def _repo(project: Path, remote: Path | None) -> Iterator[Any]:
    """The project's DVC repository, made where there is none, with a remote if it can have one."""
    os.environ["DVC_NO_ANALYTICS"] = "1"
    from dvc.repo import Repo

    logging.getLogger("dvc").setLevel(logging.ERROR)  # it talks to users of its own command

    has_git = any((folder / ".git").exists() for folder in (project, *project.parents))
    with _dvc_errors("opening DVC's repository", project):
        if not (project / ".dvc").is_dir():
            in_subfolder = has_git and not (project / ".git").exists()
            Repo.init(str(project), no_scm=not has_git, subdir=in_subfolder).close()
        overlay = {
            "core": {"no_scm": not has_git, "analytics": False, "autostage": False},
            # Folder and cache share their files; hard links first, since DVC tries the others by
            # copying. It makes the files read-only.
            "cache": {"type": ["hardlink", "reflink", "copy"]},
        }
        repo = Repo(str(project), config=overlay, _wait_for_lock=True)
    try:
        repo.scm_context.quiet = True  # no advice on `git add`
        if remote is not None:
            _name_remote(repo, remote)
        yield repo
    finally:
        repo.close()


def _name_remote(repo: Any, remote: Path) -> None:
    """Give the repository a default remote in `.dvc/config.local`, unless it has one of its own."""
    default = repo.config["core"].get("remote")
    if default not in (None, REMOTE):
        return
    url = repo.config["remote"].get(REMOTE, {}).get("url", "")
    if default == REMOTE and Path(url) == remote:
        return
    with storage_errors(remote), repo.config.edit("local") as local:
        remote.mkdir(parents=True, exist_ok=True)
        local.setdefault("core", {})["remote"] = REMOTE
        local.setdefault("remote", {})[REMOTE] = {"url": str(remote)}


@contextmanager
def _dvc_errors(what: str, where: Path) -> Iterator[None]:
    """DVC's own errors and the disk's, as errors that a person is meant to read."""
    from dvc.exceptions import DvcException
    from dvc.scm import SCMError

    try:
        with storage_errors(where):
            yield
    except (DvcException, SCMError) as error:
        raise StorageError(
            f"DVC failed in {what}: {error}. Look at .dvc/config and the remote it names."
        ) from error
