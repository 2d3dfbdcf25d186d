"""Audio that a table names: inside its folder, through no link that leads out of it, and there."""

from __future__ import annotations

import errno
import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path, PurePosixPath, PureWindowsPath

from data.sources.text_tables import Unusable

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_AUDIO = re.compile(
    r"[^.].*\.(aac|aiff?|amr|au|caf|flac|g722|gsm|m4a|mka|mkv|mov|mp3|mp4|oga|ogg|opus|wav|weba|webm"
    r"|wma)",
    re.IGNORECASE,
)
"""Names of recordings that are not hidden."""


def inside(given: str, root: Path | None = None) -> str:
    """A path as POSIX writes it, inside its folder as far as its letters tell.

    Args:
        given: as the table has it.
        root: its folder, for the advice of what to write instead of an absolute path.

    Raises:
        Unusable: it is empty ("missing"), or absolute, leads upwards or is no name ("unsafe-path").
    """
    path = PurePosixPath(given.strip().replace("\\", "/"))
    if not path.name and not path.is_absolute():
        raise Unusable("missing", "the path of the audio is empty.")
    if ".." in path.parts:
        raise Unusable(
            "unsafe-path", f"{given!r:.200} leads out of its folder. Only files inside it count."
        )
    if path.is_absolute() or PureWindowsPath(given.strip()).drive:
        short = path.as_posix() if root is None else below(path.as_posix(), root)
        advice = "Move the recording into the folder and write its path from there."
        if short != path.as_posix():
            advice = f"Write {short!r:.200}."
        raise Unusable(
            "unsafe-path", f"{given!r:.200} is an absolute path, and those are not read. {advice}"
        )
    if _CONTROL.search(path.as_posix()):
        raise Unusable("unsafe-path", f"{given!r:.200} holds what no file name should.")
    return path.as_posix()


def below(path: str, root: Path) -> str:
    """An absolute path from `root` on; the path itself where it is relative or lies elsewhere."""
    for start in (root, root.resolve()):
        if Path(path).is_relative_to(start):
            return Path(path).relative_to(start).as_posix()
    return path


def check_file(root: Path, path: Path, folders: dict[Path, str]) -> None:
    """Check a file below `root`.

    Args:
        root: folder that symbolic links may not lead out of.
        path: below `root` by its letters.
        folders: real paths of the folders that were seen; most rows share one.

    Raises:
        Unusable: it is not there ("missing"), or links lead out or in a circle ("unsafe-path").
    """
    try:
        for folder in (root, path.parent):
            if folder not in folders:
                folders[folder] = os.path.realpath(folder, strict=True)
        real = f"{folders[path.parent]}/{path.name}"
        mode = os.lstat(real).st_mode
        if stat.S_ISLNK(mode):
            real = os.path.realpath(real, strict=True)
            mode = os.lstat(real).st_mode
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise Unusable("unsafe-path", "symbolic links lead in a circle.") from error
        why = "the file is not there" if error.errno == errno.ENOENT else str(error.strerror)
        raise Unusable("missing", f"{why}.") from error
    if not real.startswith(folders[root].rstrip("/") + "/"):
        raise Unusable("unsafe-path", "a symbolic link leads out of its folder.")
    if not stat.S_ISREG(mode):
        raise Unusable("missing", "what is there is not a file.")


def unnamed_audio(root: Path, named: set[str]) -> Iterator[str]:
    """Paths below `root` of audio, told by its suffix, that is not among the named."""
    for folder, folders, files in os.walk(root):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        start = "" if Path(folder) == root else Path(folder).relative_to(root).as_posix() + "/"
        for name in sorted(files):
            if _AUDIO.fullmatch(name) and start + name not in named:
                yield start + name
