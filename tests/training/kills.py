"""Training processes that die at an exact point: put on the path of the worker as sitecustomize.

The kernel kills the process, and nothing of it gets to run: at the opening of a file whose name
holds TEST_DIE_AT, or in the middle of the first file that grows beyond TEST_DIE_BEYOND bytes.
(Python code that ran in the worker, and not a watcher from outside, meets the point every time.)
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

_CUSTOM = """
import os, resource, signal, sys

def hook(event, arguments):
    if event == "open" and os.environ["TEST_DIE_AT"] in str(arguments[0]):
        if arguments[2] & os.O_CREAT:
            os.kill(os.getpid(), signal.SIGKILL)

if "training.worker" in " ".join(sys.orig_argv):
    if os.environ.get("TEST_DIE_AT"):
        sys.addaudithook(hook)
    if os.environ.get("TEST_DIE_BEYOND"):
        limit = int(os.environ["TEST_DIE_BEYOND"])
        signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
"""


def die(folder: Path, monkeypatch: pytest.MonkeyPatch, *, at: str = "", beyond: int = 0) -> None:
    """Make the next training processes of this one die so; with neither they live again."""
    folder.mkdir(exist_ok=True)
    (folder / "sitecustomize.py").write_text(_CUSTOM)
    monkeypatch.setenv("PYTHONPATH", f"{folder}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
    monkeypatch.setenv("TEST_DIE_AT", at)
    monkeypatch.setenv("TEST_DIE_BEYOND", str(beyond) if beyond else "")
