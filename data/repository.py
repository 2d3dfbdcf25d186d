"""The project's DVC repository, opened for a few operations and closed again."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from data.remotes import RemoteSettings, name_remote
from voiceforge.errors import StorageError
from voiceforge.files import storage_errors


@contextmanager
def open_repository(project: Path, remote: RemoteSettings | None) -> Iterator[Any]:
    """The project's DVC repository, made where there is none, with a remote if it can have one.

    Raises:
        StorageError: `.dvc` is damaged or cannot be written.
    """
    os.environ["DVC_NO_ANALYTICS"] = "1"
    from dvc.repo import Repo

    logging.getLogger("dvc").setLevel(logging.ERROR)  # it talks to users of its own command

    has_git = any((folder / ".git").exists() for folder in (project, *project.parents))
    with dvc_errors("opening DVC's repository", project):
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
            name_remote(repo, remote)
        yield repo
    finally:
        repo.close()


def pointer_of(corpus: Path) -> Path:
    """The small file that records a corpus's version, for git."""
    return corpus.with_name(f"{corpus.name}.dvc")


@contextmanager
def dvc_errors(what: str, where: Path) -> Iterator[None]:
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
