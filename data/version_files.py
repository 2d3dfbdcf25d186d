"""One file of a recorded version of a corpus, without restoring the rest of it."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from data.remotes import RemoteSettings, open_remote, remote_errors, remote_url
from data.repository import dvc_errors, open_repository
from data.versions import full_md5
from voiceforge.errors import IntegrityError, SourceError


def version_file(
    project: Path, name: str, md5: str, file: str, remote: RemoteSettings | None = None
) -> bytes:
    """The bytes of a file of a version, from DVC's cache or else the remote.

    Args:
        project, remote: as in `data.versions.add_version`.
        name: the corpus, for messages.
        md5: the version, with or without ".dir".
        file: path of the file inside the corpus, such as "utterances.parquet".

    Raises:
        UsageError: `md5` is not a version.
        SourceError: neither cache nor remote hold it, or it has no such file.
        IntegrityError: they hold something else under its name.
        StorageError: the remote is needed and cannot be used.
    """
    digest = full_md5(md5)
    with open_repository(project, remote) as repo:
        listed = json.loads(_object(repo, digest, name, remote))
        found = {entry["relpath"]: str(entry["md5"]) for entry in listed}
        if file not in found:
            raise SourceError(f"Version {digest} of {name} has no file {file}.")
        return _object(repo, found[file], name, remote)


def _object(repo: Any, oid: str, name: str, remote: RemoteSettings | None) -> bytes:
    """An object of the cache by its md5, fetched from the remote where the cache lacks it."""
    path = Path(repo.cache.local.oid_to_path(oid))
    if not path.is_file() and open_remote(repo, remote) is not None:
        from dvc_data.hashfile.hash_info import HashInfo

        with dvc_errors(f"fetching {name}", path), remote_errors(remote_url(repo)):
            repo.cloud.pull([HashInfo("md5", oid)])
    if not path.is_file():
        raise SourceError(
            f"A part of {name} ({oid}) is neither in DVC's cache nor in its remote. `voiceforge "
            f"corpus show {name}` lists the recorded versions; one of before a speaker was "
            "forgotten is gone for good."
        )
    content = path.read_bytes()
    if hashlib.md5(content, usedforsecurity=False).hexdigest() != oid.removesuffix(".dir"):
        raise IntegrityError(f"{path} is damaged. Delete it and run again: it is fetched anew.")
    return content
