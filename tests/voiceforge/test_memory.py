"""Freed memory is used again, and a process counts its own memory alone."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import resource, sys
from voiceforge.memory import keep_freed_memory
if sys.argv[1] == "keep":
    assert keep_freed_memory()
import numpy as np
np.ones(1 << 23)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(10):
    np.ones(1 << 23)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""

GROWN = """
import subprocess, sys
from voiceforge.memory import peak_memory
before = peak_memory()
held = b"x" * (300 << 20)
print(before, peak_memory(), flush=True)
subprocess.run([sys.executable, "-c", "from voiceforge.memory import *; print(peak_memory())"])
"""


def faults(how: str) -> int:
    command = [sys.executable, "-c", PROGRAM, how]
    return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def test_a_process_does_not_count_the_memory_of_the_one_that_started_it() -> None:
    command = [sys.executable, "-c", GROWN]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    before, grown, child = map(int, done.stdout.split())
    assert grown - before >= 300 << 20
    assert 1 << 20 < child < 100 << 20


def test_blocks_of_64_mib_are_faulted_in_once() -> None:
    # numpy asks for huge pages (2 MiB), of which ten times 64 MiB have 320.
    assert faults("keep") < 32
    assert faults("as it comes") > 300
