"""Optimization profiles: which shapes a plan takes, and for which it is made fast.

Pure: from a Whisper's dimensions to the least, usual and most shape of every input of its two
graphs (`serving.engines.onnx.export` has their names and axes).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from data.features import WINDOW_FRAMES
from serving.engines.onnx.graphs import names
from serving.engines.tensorrt.errors import ProfileError
from serving.engines.tokens import CONTEXT_TOKENS
from voiceforge.files import sha256_json


@dataclass(frozen=True, slots=True)
class Span:
    """A dimension's least, usual and most."""

    least: int
    usual: int
    most: int

    def __post_init__(self) -> None:
        if not 0 <= self.least <= self.usual <= self.most or self.most == 0:
            raise ProfileError(
                f"A dimension of {self.least}, {self.usual} and {self.most} is none: the least is "
                "0 or more, the usual no less than it, and the most no less than that, and above 0."
            )


@dataclass(frozen=True, slots=True)
class Dimensions:
    """Of a Whisper model.

    Attributes:
        n_mels: mel bands.
        layers: of the decoder.
        heads: of each attention of the decoder.
        width: of a head.
    """

    n_mels: int
    layers: int
    heads: int
    width: int


@dataclass(frozen=True, slots=True)
class Limits:
    """What a plan has to take.

    Attributes:
        clips: of a batch; beams count as clips in the decoder.
        frames: of a mel, 10 ms each.
        past: tokens that were read before; one is always new.
        ids: tokens that are read at once: one in a step, a prompt at first.
    """

    clips: Span = Span(1, 8, 8)
    frames: Span = Span(100, 1000, WINDOW_FRAMES)
    past: Span = Span(0, 32, CONTEXT_TOKENS - 1)
    ids: Span = Span(1, 1, CONTEXT_TOKENS)

    def __post_init__(self) -> None:
        for name, bound in (("frames", WINDOW_FRAMES), ("ids", CONTEXT_TOKENS),
                            ("past", CONTEXT_TOKENS - 1)):  # fmt: skip
            if getattr(self, name).most > bound:
                raise ProfileError(
                    f"A profile of up to {getattr(self, name).most} {name} is more than Whisper "
                    f"has: {bound}."
                )
        for name in ("clips", "frames", "ids"):
            if getattr(self, name).least < 1:
                raise ProfileError(f"A profile from 0 {name} on is none: nothing would be heard.")


Shape = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Shapes:
    """Of one input: three shapes of one rank."""

    least: Shape
    usual: Shape
    most: Shape


@dataclass(frozen=True, slots=True)
class Profile:
    """Of one graph: input name -> its shapes."""

    inputs: Mapping[str, Shapes]

    def as_dict(self) -> dict[str, list[list[int]]]:
        """As in plan.json: input -> least, usual, most."""
        return {
            name: [list(one.least), list(one.usual), list(one.most)]
            for name, one in sorted(self.inputs.items())
        }

    @property
    def sha256(self) -> str:
        return sha256_json(self.as_dict())


def encoder_profile(of: Dimensions, limits: Limits) -> Profile:
    """mel [clips, n_mels, frames]."""
    return Profile({"mel": _shapes(limits.clips, of.n_mels, limits.frames)})


def decoder_profile(of: Dimensions, limits: Limits) -> Profile:
    """ids [clips, n], places [k], past_* [clips, heads, P, width], cross_* [.., .., T / 2, width].

    Logits are asked for at one place (a step) or two (a prompt's end and its opening).
    """
    heard = Span(*((one + 1) // 2 for one in (
        limits.frames.least, limits.frames.usual, limits.frames.most)))  # fmt: skip
    inputs = {
        "ids": _shapes(limits.clips, limits.ids),
        "places": _shapes(Span(1, 1, 2)),
    }
    for prefix, length in (("past", limits.past), ("cross", heard)):
        for name in names(prefix, of.layers):
            inputs[name] = _shapes(limits.clips, of.heads, length, of.width)
    return Profile(inputs)


def check_profile(profile: Profile | None, inputs: Mapping[str, Sequence[int]]) -> None:
    """Refuse a profile that is not one of a graph.

    Args:
        inputs: the graph's input name -> its shape, where -1 is any length.

    Raises:
        ProfileError: there is none and a length is open, an input is missing or not the graph's,
            or a dimension that the graph fixes is another.
    """
    if profile is None:
        if moving := [name for name, shape in inputs.items() if -1 in shape]:
            raise ProfileError(
                f"The graph has inputs of any length ({', '.join(moving[:3])}), and no profile "
                "says which to build for. Give one of serving.engines.tensorrt.profiles."
            )
        return
    if differing := sorted(inputs.keys() ^ profile.inputs.keys()):
        name = differing[0]
        which = "the graph does not have" if name in profile.inputs else "the profile lacks"
        raise ProfileError(
            f"The profile is of another graph: {which} {', '.join(differing[:4])}. Another version "
            "of VoiceForge wrote that graph, or it is not Whisper's; build the engine again."
        )
    for name, shape in inputs.items():
        for asked in (profile.inputs[name].least, profile.inputs[name].most):
            fits = len(asked) == len(shape) and all(
                has in (-1, size) for has, size in zip(shape, asked, strict=True)
            )
            if not fits:
                raise ProfileError(
                    f"The profile asks for {name} of {list(asked)}, and the graph has it as "
                    f"{list(shape)} (-1 is any length). It is of a model of other dimensions."
                )


def _shapes(*axes: Span | int) -> Shapes:
    spans = [one if isinstance(one, Span) else Span(one, one, one) for one in axes]
    return Shapes(
        tuple(one.least for one in spans),
        tuple(one.usual for one in spans),
        tuple(one.most for one in spans),
    )
