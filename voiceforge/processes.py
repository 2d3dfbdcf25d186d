"""Ending processes with everything that they started."""

from __future__ import annotations

import contextlib
import ctypes
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import psutil

_Handler = Callable[[int, Any], Any] | int | None

_SET_CHILD_SUBREAPER = 36
"""PR_SET_CHILD_SUBREAPER of Linux's prctl."""

_SET_PARENT_DEATH_SIGNAL = 1
"""PR_SET_PDEATHSIG of Linux's prctl."""

_LOOK_SECONDS = 0.1
"""How long a signal may wait for somebody to look."""


def family(pid: int) -> list[psutil.Process]:
    """A process and its descendants, as far as they still run, the process itself first."""
    import psutil

    try:
        return _family(psutil.Process(pid))
    except psutil.NoSuchProcess:
        return []


def _family(process: psutil.Process) -> list[psutil.Process]:
    import psutil

    try:
        return [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def adopt_orphans() -> None:
    """Become the parent of every descendant whose own parent dies, on Linux.

    Otherwise the workers of a server that was killed would belong to nobody, and `end_children`
    could not find them.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def end_with_parent() -> None:
    """Be killed as soon as the thread that started this process ends, on Linux."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_SET_PARENT_DEATH_SIGNAL, signal.SIGKILL, 0, 0, 0)


def end_children(timeout: float = 15.0) -> None:
    """`end_families` of everything that this process started or adopted."""
    import psutil

    with _signals_hurry() as signals:
        _end([child.pid for child in psutil.Process().children()], timeout, signals)


def end_families(pids: Sequence[int], timeout: float = 15.0) -> None:
    """End processes and all their descendants: politely from the top, then for certain.

    Servers start workers in sessions of their own, so that ending a process group would miss
    them. Safe to call twice. Ctrl-C or SIGTERM meanwhile ends the politeness, not the ending.

    Args:
        timeout: seconds that they have to end by themselves.
    """
    with _signals_hurry() as signals:
        _end(pids, timeout, signals)


def _end(pids: Sequence[int], timeout: float, signals: Sequence[int]) -> None:
    """`signals` grows when somebody cannot wait any longer."""
    import psutil

    families = [family(pid) for pid in pids]
    for processes in families:
        for process in processes[:1]:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.terminate()
    alive = [process for processes in families for process in processes]
    deadline = time.monotonic() + timeout
    while alive and not signals and time.monotonic() < deadline:
        _, alive = psutil.wait_procs(alive, _LOOK_SECONDS)
    # What they have started since the first look goes with them.
    alive = list({member: None for process in alive for member in _family(process)})
    for process in alive:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(alive, timeout)


@contextlib.contextmanager
def _signals_hurry() -> Iterator[Sequence[int]]:
    """Collect Ctrl-C and SIGTERM while the block runs; one of them is passed on after it.

    Not where an exception is on its way already: then the program ends as it is, and for a better
    reason. Outside of the main thread Python runs no handlers, so nothing is to be done.
    """
    signals: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield signals
        return
    before = _take(lambda number, _: signals.append(number))
    try:
        yield signals
    finally:
        _give_back(before)
    if signals and sys.exception() is None:
        signal.raise_signal(signals[0])


@contextlib.contextmanager
def sigterm_as_interrupt() -> Iterator[None]:
    """Take SIGTERM (systemd, a container's stop) as Ctrl-C while the block runs; main thread.

    Only the first of them raises KeyboardInterrupt: none after it can break off the ending.
    """

    def interrupt(*_: object) -> None:
        _take(lambda *_: None)
        raise KeyboardInterrupt

    before = _take(interrupt)
    try:
        yield
    finally:
        _give_back(before)


def _take(handler: Callable[[int, object], None]) -> dict[signal.Signals, _Handler]:
    """Handle both signals, unless this process was told to ignore one; the handlers until now."""
    taken: dict[signal.Signals, _Handler] = {}
    for number in (signal.SIGINT, signal.SIGTERM):
        before = signal.getsignal(number)
        if before not in (signal.SIG_IGN, None):
            taken[number] = before
            signal.signal(number, handler)
    return taken


def _give_back(before: Mapping[signal.Signals, _Handler]) -> None:
    for number, handler in before.items():
        signal.signal(number, handler)
