"""Which TensorRT there is: `tensorrt` 11, or TensorRT-RTX, and what differs between them.

Both have one interface in Python, so that `build` is written once against `Flavour`. What differs:
`tensorrt` builds for the card of this machine and keeps timings of it; TensorRT-RTX builds for
named compute capabilities, with or without a card, and compiles for the card it finds when a plan
is loaded (its timing caches are no-ops since 1.2).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Protocol

from serving.engines.tensorrt.errors import NoTensorRTError

FULL, RTX = "tensorrt", "tensorrt_rtx"
_RTX_MODULES = ("tensorrt_rtx", "tensorrt_rtx_bindings")  # the wheel of the bindings has the second
_LEAST_VERSION = 11  # the first where every network is strongly typed
_TURING = "7.5"
_CAPABILITY = re.compile(r"(\d{1,2})\.(\d)")


class Flavour(Protocol):
    """A TensorRT that builds plans.

    Attributes:
        api: its module.
        why: why this one was taken, for people.
    """

    @property
    def name(self) -> str: ...
    @property
    def version(self) -> str: ...
    @property
    def api(self) -> Any: ...
    @property
    def why(self) -> str: ...

    def targets(self, asked: Sequence[str]) -> tuple[str, ...]:
        """Compute capabilities such as "8.9" that a plan is built for, sorted; none asked for are
        those that it offers by itself.

        Raises:
            NoTensorRTError: it does not build for one of them here.
        """
        ...

    def aim(self, config: Any, targets: Sequence[str]) -> None:
        """Let a builder's configuration build for these targets."""
        ...

    def use_timings(self, config: Any, timings: bytes) -> None:
        """Start from the timings of earlier builds; b"" is none."""
        ...

    def timings(self, config: Any) -> bytes:
        """Of a build and of those before it; b"" where the flavour keeps none."""
        ...


@dataclass(frozen=True, slots=True)
class Full:
    """`tensorrt` 11: for the card of this machine.

    Attributes:
        card: its compute capability, such as "9.0".
    """

    api: Any
    version: str
    card: str
    why: str = "this machine has an NVIDIA GPU"
    name: str = FULL

    def targets(self, asked: Sequence[str]) -> tuple[str, ...]:
        if others := sorted(set(asked) - {self.card}, key=order):
            raise NoTensorRTError(
                f"tensorrt {self.version} builds for the card of this machine alone, which has "
                f"compute capability {self.card}; asked for is {', '.join(others)}. Build where "
                "such a card is, or leave --compute-capability out."
            )
        return (self.card,)

    def aim(self, config: Any, targets: Sequence[str]) -> None:
        """Nothing to say: it looks at the card."""

    def use_timings(self, config: Any, timings: bytes) -> None:
        config.set_timing_cache(config.create_timing_cache(timings), False)

    def timings(self, config: Any) -> bytes:
        return bytes(config.get_timing_cache().serialize())


@dataclass(frozen=True, slots=True)
class Rtx:
    """TensorRT-RTX: for the compute capabilities that it names."""

    api: Any
    version: str
    why: str = "it builds ahead of time, without a GPU"
    name: str = RTX

    def targets(self, asked: Sequence[str]) -> tuple[str, ...]:
        known = self._members()
        if unknown := [one for one in asked if one not in known]:
            raise NoTensorRTError(
                f"TensorRT-RTX {self.version} does not build for compute capability "
                f"{', '.join(unknown)}. It builds for: {', '.join(known)}."
            )
        # Turing multiplies no float32 matrices here: it has to be asked for.
        return tuple(sorted(set(asked), key=order)) or tuple(k for k in known if k != _TURING)

    def aim(self, config: Any, targets: Sequence[str]) -> None:
        known = self._members()
        config.num_compute_capabilities = len(targets)
        for index, one in enumerate(targets):
            config.set_compute_capability(known[one], index)

    def use_timings(self, config: Any, timings: bytes) -> None:
        """Nothing: it measures nothing before a plan is loaded."""

    def timings(self, config: Any) -> bytes:
        return b""

    def _members(self) -> dict[str, Any]:
        members = self.api.ComputeCapability.__members__.items()
        found = {f"{name[2:-1]}.{name[-1]}": one for name, one in members if name.startswith("SM")}
        return {one: found[one] for one in sorted(found, key=order)}


def order(capability: str) -> tuple[int, int]:
    """Sorts compute capabilities by number.

    Raises:
        NoTensorRTError: it is none, such as "sm_89".
    """
    if (found := _CAPABILITY.fullmatch(capability)) is None:
        raise NoTensorRTError(
            f"{capability!r} is no compute capability. Name it as NVIDIA does, such as 8.9."
        )
    return int(found[1]), int(found[2])


def find_flavour() -> Flavour:
    """`tensorrt` where it and a card are, else TensorRT-RTX.

    Raises:
        NoTensorRTError: neither is here; says why of each, and what to install.
    """
    full = _imported(FULL)
    if isinstance(full, str):
        reasons = [full]
    elif card := _card():
        return Full(full, str(full.__version__), card)
    else:
        reasons = ["tensorrt builds for a card, and there is no NVIDIA GPU"]
    for name in _RTX_MODULES:
        found = _imported(name)
        if not isinstance(found, str):
            return Rtx(found, str(found.__version__))
        reasons.append(found)
    raise NoTensorRTError(
        f"There is no TensorRT here: {'; '.join(reasons)}. Install TensorRT-RTX, which builds "
        "plans without a GPU: pip install 'voiceforge[tensorrt-rtx]'. On a machine with an NVIDIA "
        "GPU: pip install 'voiceforge[tensorrt]'."
    )


def _imported(name: str) -> Any:
    """The module, or in words why there is none."""
    try:
        module = import_module(name)
    except (ImportError, OSError) as error:  # no package, or a library that it needs
        return f"{name} cannot be imported ({error})"
    version = getattr(module, "__version__", "")
    if not version:
        return f"{name} has no version: its wheel is a stub without the libraries"
    if name == FULL and int(version.split(".")[0]) < _LEAST_VERSION:
        return f"tensorrt is {version}, and {_LEAST_VERSION} is needed"
    return module


def _card() -> str:
    """Compute capability of the first card, "" where there is none."""
    import torch

    if not torch.cuda.is_available():
        return ""
    major, minor = torch.cuda.get_device_capability(0)
    return f"{major}.{minor}"
