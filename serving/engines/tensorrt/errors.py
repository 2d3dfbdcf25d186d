"""What can be wrong with TensorRT, its graphs, profiles and plans, each as an error of its own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from voiceforge.errors import UsageError, VoiceForgeError

_SHOWN = 3


class NoTensorRTError(UsageError):
    """This machine has no TensorRT, or none that can build what was asked for."""


class ProfileError(UsageError):
    """An optimization profile is missing, or not one of this graph."""


class ForeignPlanError(UsageError):
    """A plan was built for another flavour, version or compute capability than what is here."""


class GraphRefusedError(UsageError):
    """The parser does not take a graph.

    Attributes:
        refusals: the parser's own words, each with its operator and the name of its node.
    """

    def __init__(self, graph: Path, flavour: str, refusals: Sequence[str]) -> None:
        self.refusals = tuple(refusals)
        shown = "; ".join(self.refusals[:_SHOWN])
        more = len(self.refusals) - _SHOWN
        rest = f"; and {more} more" if more > 0 else ""
        advice = (
            "Build that engine again, or take one that it takes: onnxruntime:float16 or float32"
        )
        if any("DynamicQuantizeLinear" in one for one in self.refusals):
            advice = (
                "Activations that are rounded as they come (dynamic int8) are nothing for "
                "TensorRT: take onnxruntime:float16, float32, or the Q/DQ encoder of int8_static "
                "with the decoder of a float32 engine (--decoder)"
            )
        super().__init__(
            f"{flavour} does not take {graph}: {shown}{rest}. {advice} (docs/engines.md)."
        )


class BuilderError(VoiceForgeError):
    """The builder gave no plan for a graph that the parser took.

    Attributes:
        messages: what it said of it, errors alone.
    """

    def __init__(self, graph: Path, target: str, messages: Sequence[str]) -> None:
        self.messages = tuple(messages)
        said = "; ".join(self.messages) or "it did not say why"
        super().__init__(
            f"No plan of {graph} could be built for {target}: {said}. Try another precision or "
            "compute capability, or fewer clips at once."
        )
