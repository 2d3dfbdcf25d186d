"""What the machine offers a training process."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import version

from voiceforge.errors import UsageError

_PACKAGES = ("torch", "transformers", "peft", "accelerate", "safetensors", "numpy")


@dataclass(frozen=True, slots=True)
class Device:
    """What computes.

    Attributes:
        kind: "cpu" or "cuda".
        precision: "bfloat16" or "float16" (autocast), or "float32".
        why: the reason in a few words, for the log.
    """

    kind: str
    precision: str
    why: str


def choose_device(asked: str) -> Device:
    """The device to train on, and its fastest precision.

    Matrix products in bfloat16 are faster only where the processor has instructions for them;
    elsewhere they are emulated, far slower than float32.

    Args:
        asked: "cpu", "cuda", or "auto" for CUDA where there is some.

    Raises:
        UsageError: CUDA was asked for and there is none.
    """
    import torch

    has_cuda = torch.cuda.is_available()
    if asked == "cuda" and not has_cuda:
        raise UsageError(
            "VOICEFORGE_DEVICE is 'cuda', and PyTorch finds no CUDA device here "
            f"(torch {torch.__version__}). Install a CUDA build of torch and a driver, or set it "
            "to 'cpu'."
        )
    if asked != "cpu" and has_cuda:
        name = torch.cuda.get_device_name()
        if torch.cuda.is_bf16_supported(including_emulation=False):
            return Device("cuda", "bfloat16", f"bfloat16 on {name}")
        return Device("cuda", "float16", f"float16 since {name} has no bfloat16")
    where = "" if asked == "cpu" else ", on the CPU since there is no CUDA device"
    able = torch.cpu.get_capabilities()
    for ability, name in (("amx_bf16", "AMX"), ("avx512_bf16", "AVX512-BF16")):
        if able.get(ability):
            return Device("cpu", "bfloat16", f"bfloat16 since this processor has {name}{where}")
    return Device(
        "cpu", "float32", f"float32 since this processor has no bfloat16 instructions{where}"
    )


def versions() -> dict[str, str]:
    """Versions of the packages that decide what a training run computes."""
    return {name: version(name) for name in _PACKAGES}
