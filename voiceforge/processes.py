"""Ending processes with everything that they started."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import psutil


def family(pid: int) -> list[psutil.Process]:
    """A process and its descendants, as far as they still run, the process itself first."""
    import psutil

    try:
        parent = psutil.Process(pid)
        return [parent, *parent.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def end_families(pids: Sequence[int], timeout: float = 15.0) -> None:
    """End processes and all their descendants: politely from the top, then for certain.

    Servers start workers in sessions of their own, so that ending a process group would miss
    them. Safe to call twice.

    Args:
        timeout: seconds that they have to end by themselves.
    """
    import psutil

    families = [family(pid) for pid in pids]
    for processes in families:
        for process in processes[:1]:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.terminate()
    everyone = [process for processes in families for process in processes]
    _, alive = psutil.wait_procs(everyone, timeout)
    for process in alive:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(alive, timeout)
