"""Freed memory is used again: page faults of a process that allocates the same over and over."""

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


def faults(how: str) -> int:
    command = [sys.executable, "-c", PROGRAM, how]
    return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def test_blocks_of_64_mib_are_faulted_in_once() -> None:
    # numpy asks for huge pages (2 MiB), of which ten times 64 MiB have 320.
    assert faults("keep") < 32
    assert faults("as it comes") > 300
