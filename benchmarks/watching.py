"""Running a command to its end, with an eye on the time and memory of it and all its children."""

from __future__ import annotations

import resource
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil


@dataclass(frozen=True)
class Watched:
    """A command with its children.

    Attributes:
        seconds: wall time.
        cpu_seconds: of all of them.
        largest_bytes: largest resident set of any one process.
        together_bytes: most that all had at once.
        output: what they printed.
    """

    seconds: float
    cpu_seconds: float
    largest_bytes: int
    together_bytes: int
    output: str


def watch(
    command: Sequence[str], folder: Path | None = None, environ: Mapping[str, str] | None = None
) -> Watched:
    """Run a command to its end; in this folder and environment where none is given.

    Raises:
        SystemExit: it failed.
    """
    largest = together = 0
    began, used = time.perf_counter(), _cpu_seconds()
    process = subprocess.Popen(
        command,
        cwd=folder,
        env=None if environ is None else dict(environ),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )
    lines: list[str] = []
    reader = threading.Thread(target=lambda: lines.extend(process.stdout or ()))
    reader.start()
    while process.poll() is None:
        sizes = _resident(process.pid)
        largest, together = max([largest, *sizes]), max(together, sum(sizes))
        time.sleep(0.02 if time.perf_counter() - began < 3 else 0.2)
    seconds = time.perf_counter() - began
    reader.join()
    output = "".join(lines)
    if process.returncode:
        said = f"{' '.join(command[:3])} ended with {process.returncode}"
        raise SystemExit(f"{said}:\n{output}")
    return Watched(seconds, _cpu_seconds() - used, largest, together, output)


def _cpu_seconds() -> float:
    """Of all children that have ended, and theirs."""
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    return spent.ru_utime + spent.ru_stime


def _resident(pid: int) -> list[int]:
    """Resident bytes of a process and its descendants, as far as they still run."""
    sizes = []
    try:
        parent = psutil.Process(pid)
        for process in (parent, *parent.children(recursive=True)):
            try:
                sizes.append(process.memory_info().rss)
            except psutil.NoSuchProcess:
                continue
    except psutil.NoSuchProcess:
        pass  # It has just ended.
    return sizes
