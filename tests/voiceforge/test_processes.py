"""Whole families of processes end, those in sessions of their own too."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from voiceforge.processes import end_families, family

FAMILY = """
import subprocess, sys, time
depth = int(sys.argv[1])
if sys.argv[2] == "stubborn":
    import signal
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
if depth:
    subprocess.Popen([sys.executable, "-c", sys.argv[3], str(depth - 1), sys.argv[2], sys.argv[3]],
                     start_new_session=True)
print("up", flush=True)
time.sleep(120)
"""


def start(manner: str) -> tuple[subprocess.Popen[str], list[psutil.Process]]:
    """A process, its child and grandchild, each in a session of its own, all running."""
    process = subprocess.Popen(
        [sys.executable, "-c", FAMILY, "2", manner, FAMILY], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert [process.stdout.readline() for _ in range(3)] == ["up\n"] * 3
    members = family(process.pid)
    assert len(members) == 3
    return process, members


@pytest.mark.parametrize("manner", ["polite", "stubborn"])
def test_children_and_grandchildren_end(manner: str) -> None:
    process, members = start(manner)
    began = time.monotonic()
    end_families([process.pid], timeout=1.0)
    assert time.monotonic() - began < 10
    process.wait(5)
    assert not any(member.is_running() and member.status() != "zombie" for member in members)
    end_families([process.pid])
    assert family(process.pid) == []


def test_several_families_end_together_and_others_live() -> None:
    families = [start("polite") for _ in range(2)]
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(120)"]) as other:
        end_families([process.pid for process, _ in families], timeout=1.0)
        assert other.poll() is None
        other.kill()
    for process, members in families:
        process.wait(5)
        assert not any(member.is_running() and member.status() != "zombie" for member in members)


STUBBORN = """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
time.sleep(120)
"""
UP = """
import os, sys
from pathlib import Path
from cli.up import Server, _running, _wait_for_end
from voiceforge.processes import sigterm_as_interrupt
server = Server("slow", [sys.executable, "-c", sys.argv[2]], 1, "/")
with sigterm_as_interrupt(), _running([server], os.environ, Path(sys.argv[1])) as running:
    print("up", flush=True)
    _wait_for_end(running)
"""
SERVICE = """
import subprocess, sys, time
from pathlib import Path
from serving.launch import ServiceProcess
process = subprocess.Popen([sys.executable, "-c", sys.argv[2]], start_new_session=True)
with ServiceProcess(process, "http://127.0.0.1:1", Path(sys.argv[1]) / "log"):
    print("up", flush=True)
    time.sleep(120)
"""
AT_EASE = """
import subprocess, sys, time
from voiceforge.processes import end_families
process = subprocess.Popen([sys.executable, "-c", sys.argv[2]], start_new_session=True)
print("up", flush=True)
time.sleep(2)
end_families([process.pid])
print("went on", flush=True)
"""


def interrupt(
    program: str, folder: Path, numbers: list[int], pause: float
) -> tuple[int, float, str]:
    """Send signals to a program with a stubborn child; its status, its seconds, its last words."""
    starter = subprocess.Popen(
        [sys.executable, "-c", program, str(folder), STUBBORN],
        stdout=subprocess.PIPE,
        text=True,
        # A shell's background job ignores Ctrl-C, and so would what it starts.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    assert starter.stdout is not None
    assert starter.stdout.readline() == "up\n"
    (child,) = psutil.Process(starter.pid).children()
    time.sleep(1.0)  # until the child ignores SIGTERM
    began = time.monotonic()
    for number in numbers:
        time.sleep(pause)
        with contextlib.suppress(ProcessLookupError):
            os.kill(starter.pid, number)
    try:
        status = starter.wait(60)
        took = time.monotonic() - began
        assert not child.is_running()
    finally:
        with contextlib.suppress(psutil.NoSuchProcess):
            child.kill()
    return status, took, starter.stdout.read()


@pytest.mark.parametrize(
    ("program", "numbers", "pause"),
    [
        (UP, [signal.SIGINT] * 2, 1.0),
        (UP, [signal.SIGTERM] * 2, 1.0),
        (UP, [signal.SIGINT] * 10, 0.02),
        (SERVICE, [signal.SIGINT] * 2, 1.0),
    ],
    ids=["up, Ctrl-C", "up, SIGTERM", "up, impatient", "service"],
)
def test_a_second_signal_hurries_the_ending_and_leaves_nothing(
    program: str, numbers: list[int], pause: float, tmp_path: Path
) -> None:
    _, took, _ = interrupt(program, tmp_path, numbers, pause)
    assert took < 10


def test_a_signal_to_an_ending_that_nobody_interrupted_is_passed_on(tmp_path: Path) -> None:
    status, took, said = interrupt(AT_EASE, tmp_path, [signal.SIGINT], 2.0)
    assert (status, said) == (-signal.SIGINT, "")
    assert took < 10
