"""Whole families of processes end, those in sessions of their own too."""

from __future__ import annotations

import subprocess
import sys
import time

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
