"""Where previews of a corpus were written, so that a forgotten speaker leaves them, too.

A preview holds clips that people said, and a person may have it written to any folder. The list is
`previews/NAME.json` below VOICEFORGE_HOME.
"""

from __future__ import annotations

import contextlib
import shutil
from dataclasses import dataclass
from pathlib import Path

import filelock

from lifecycle.workspace import Workspace
from voiceforge.errors import StorageError
from voiceforge.files import read_json, remove_leftovers_of, storage_errors, write_json

PAGE = "index.html"
RECORD = "preview.json"
"""What marks a folder as a preview; it names its domain."""
IGNORE = ".gitignore"


@dataclass(frozen=True, slots=True)
class Previews:
    """Previews of a domain.

    Attributes:
        there: folders that hold one.
        unreachable: folders that held one, on a disk that is not there now.
    """

    there: tuple[Path, ...]
    unreachable: tuple[Path, ...]


def default_preview(workspace: Workspace) -> Path:
    """Where a preview is written unless a person names a folder."""
    return (workspace.settings.home / "previews" / workspace.domain.name).resolve()


def remember_preview(workspace: Workspace, folder: Path) -> None:
    """Note a folder before a preview is written to it; one in the project relative to it, so that
    the project may be moved.

    Raises:
        StorageError: the list cannot be read or written.
    """
    with _locked(workspace):
        known, project = _remembered(workspace), workspace.settings.project.resolve()
        folder = folder.resolve()
        inside = folder.is_relative_to(project)
        name = (folder.relative_to(project) if inside else folder).as_posix()
        if name not in known:
            write_json(_list(workspace), [*known, name])


def find_previews(workspace: Workspace) -> Previews:
    """The previews of a domain that are still there; what other domains wrote over is theirs.

    Raises:
        StorageError: the list cannot be read.
    """
    folders, usual = _folders(workspace), default_preview(workspace)
    name = workspace.domain.name
    there = {folder for folder in folders if _is_of(folder, name) or _left_only(folder)}
    if usual.is_dir() or _left_only(usual):
        there.add(usual)
    gone = {folder for folder in folders if not folder.parent.is_dir()}
    return Previews(tuple(sorted(there)), tuple(sorted(gone)))


def delete_previews(workspace: Workspace) -> tuple[list[Path], list[str]]:
    """Delete every preview of a domain, whole: babble mixes any voice into any clip.

    Other files that somebody put into a folder of theirs stay.

    Returns:
        The folders, and a sentence for each that could not be deleted.

    Raises:
        StorageError: the list cannot be read or written.
    """
    deleted, problems = [], []
    with _locked(workspace):
        found, usual = find_previews(workspace), default_preview(workspace)
        for folder in (*_folders(workspace), usual):
            remove_leftovers_of(folder)
        for folder in found.there:
            try:
                with storage_errors(folder):
                    _delete(folder)
                    if folder == usual and folder.is_dir():  # ours, whatever is in it
                        shutil.rmtree(folder)
            except StorageError as error:
                problems.append(f"The preview {folder} could not be deleted: {error}")
            else:
                deleted.append(folder)
        if _list(workspace).is_file():
            stay = {*found.there, *found.unreachable} - {*deleted}
            left = [one for one in _remembered(workspace) if _path(workspace, one) in stay]
            write_json(_list(workspace), left)
    return deleted, problems


def _delete(folder: Path) -> None:
    """The mark goes last, so that a preview that was half deleted is still known as one."""
    clips = [one for one in folder.glob("*/*") if _is_clip(one)]
    for path in (*clips, folder / PAGE, folder / IGNORE, folder / RECORD):
        path.unlink(missing_ok=True)
    for place in (*sorted({one.parent for one in clips}), folder):
        with contextlib.suppress(OSError):  # not empty: somebody else's files
            place.rmdir()


def _is_clip(path: Path) -> bool:
    return path.parent.name.isdigit() and path.suffix in (".flac", ".png")


def _is_of(folder: Path, name: str) -> bool:
    try:
        record = read_json(folder / RECORD)
    except (StorageError, OSError):
        return False
    return isinstance(record, dict) and record.get("domain") == name


def _left_only(folder: Path) -> bool:
    """Whether all there is of a preview is the part that a kill left beside its folder."""
    return not folder.exists() and any(folder.parent.glob(f".tmp-{folder.name}-????????"))


def _list(workspace: Workspace) -> Path:
    # No domain's own folder: their names have no dot.
    return workspace.settings.home / "previews" / f"{workspace.domain.name}.json"


def _remembered(workspace: Workspace) -> list[str]:
    path = _list(workspace)
    return [str(one) for one in read_json(path)] if path.is_file() else []


def _folders(workspace: Workspace) -> list[Path]:
    return [_path(workspace, one) for one in _remembered(workspace)]


def _path(workspace: Workspace, name: str) -> Path:
    return workspace.settings.project.resolve() / name


def _locked(workspace: Workspace) -> filelock.BaseFileLock:
    locks = workspace.settings.locks
    with storage_errors(locks):
        locks.mkdir(parents=True, exist_ok=True)
    return filelock.FileLock(locks / f"{workspace.domain.name}.previews.lock")
