"""Ending processes with everything that they started."""

from __future__ import annotations

import contextlib
import ctypes
import signal
import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import psutil

_SET_CHILD_SUBREAPER = 36
"""PR_SET_CHILD_SUBREAPER of Linux's prctl."""


def family(pid: int) -> list[psutil.Process]:
    """A process and its descendants, as far as they still run, the process itself first."""
    import psutil

    try:
        parent = psutil.Process(pid)
        return [parent, *parent.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def adopt_orphans() -> None:
    """Become the parent of every descendant whose own parent dies, on Linux.

    Otherwise the workers of a server that was killed would belong to nobody, and `end_children`
    could not find them.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def end_children(timeout: float = 15.0) -> None:
    """`end_families` of everything that this process started or adopted."""
    import psutil

    end_families([child.pid for child in psutil.Process().children()], timeout)


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


@contextlib.contextmanager
def sigterm_as_interrupt() -> Iterator[None]:
    """Take SIGTERM (systemd, a container's stop) as Ctrl-C while the block runs; main thread."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
