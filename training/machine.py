"""What the machine offers a training process, and what the process took of it."""

from __future__ import annotations

import resource
import sys
from importlib.metadata import version
from pathlib import Path

_PACKAGES = ("torch", "transformers", "peft", "accelerate", "safetensors", "numpy")


def training_precision() -> tuple[bool, str]:
    """Whether to train in bfloat16 (autocast), and the reason in a few words.

    Matrix products in bfloat16 are faster only where the processor has instructions for them;
    elsewhere they are emulated, far slower than float32.
    """
    import torch

    able = torch.cpu.get_capabilities()
    if able.get("amx_bf16"):
        return True, "bfloat16 since this processor has AMX"
    if able.get("avx512_bf16"):
        return True, "bfloat16 since this processor has AVX512-BF16"
    return False, "float32 since this processor has no bfloat16 instructions"


def peak_memory() -> int:
    """Highest resident set of this process so far, in bytes."""
    status = Path("/proc/self/status")
    if status.is_file():  # getrusage would also count the process that started this one
        for line in status.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def versions() -> dict[str, str]:
    """Versions of the packages that decide what a training run computes."""
    return {name: version(name) for name in _PACKAGES}
