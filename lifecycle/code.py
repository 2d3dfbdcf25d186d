"""Which code this is: the package's version and the project's revision in git."""

from __future__ import annotations

import subprocess

from lifecycle.workspace import Workspace
from voiceforge import __version__


def code_version(workspace: Workspace) -> str:
    """Package version and, in a git checkout, the commit; "+changes" where it is not clean."""
    command = [
        "git",
        "-C",
        str(workspace.settings.project),
        "describe",
        "--always",
        "--abbrev=40",
        "--exclude=*",
        "--dirty=+changes",
    ]
    try:
        found = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:  # no git on this machine
        return __version__
    return " ".join([__version__, found.stdout.strip()]).strip()
