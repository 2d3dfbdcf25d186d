"""One plan of one ONNX graph: a strongly typed network, whose precision is the graph's own.

No flag of the builder says anything of precision: float16 is what the graph computes in float16,
int8 what stands between its QuantizeLinear and DequantizeLinear. TF32 is left as TensorRT has it,
on: cards that have it multiply float32 with 10 bits of mantissa.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from serving.engines.tensorrt.errors import BuilderError, GraphRefusedError
from serving.engines.tensorrt.flavour import Flavour
from serving.engines.tensorrt.profiles import Profile, check_profile


@dataclass(frozen=True, slots=True)
class Built:
    """A plan as it came from the builder.

    Attributes:
        plan: serialized, for a runtime of the same flavour and version.
        seconds: of parsing and building.
        timings: for the next build, b"" where the flavour keeps none.
    """

    plan: bytes
    seconds: float
    timings: bytes


@dataclass(frozen=True, slots=True)
class _Parsed:
    """What the parser made; the network lives as long as its builder and parser do."""

    builder: Any
    network: Any
    parser: Any
    said: list[str]


def build_plan(
    graph: Path,
    profile: Profile | None,
    flavour: Flavour,
    targets: Sequence[str],
    timings: bytes = b"",
) -> Built:
    """Parse a graph and build its plan.

    Args:
        graph: an ONNX file that holds its weights.
        profile: shapes of its inputs; None where all of them are fixed.
        targets: compute capabilities, as `Flavour.targets` gives them.
        timings: of an earlier build.

    Raises:
        GraphRefusedError: the parser does not take it.
        ProfileError: the profile is missing, or of another graph.
        BuilderError: the builder gave no plan.
    """
    start = time.monotonic()
    parsed = _parse(graph, flavour)
    check_profile(profile, _inputs(parsed.network))
    config = parsed.builder.create_builder_config()
    flavour.aim(config, targets)
    flavour.use_timings(config, timings)
    if profile is not None:
        shapes = parsed.builder.create_optimization_profile()
        for name, one in profile.inputs.items():
            shapes.set_shape(name, one.least, one.usual, one.most)
        config.add_optimization_profile(shapes)
    plan = parsed.builder.build_serialized_network(parsed.network, config)
    if plan is None:  # it does not raise
        raise BuilderError(graph, _named(flavour, targets), parsed.said)
    return Built(bytes(plan), time.monotonic() - start, flavour.timings(config))


def check_graph(graph: Path, flavour: Flavour) -> dict[str, tuple[int, ...]]:
    """Let the parser look at a graph, which takes no time beside a build.

    Returns:
        The graph's inputs -> shape, -1 for any length.

    Raises:
        GraphRefusedError: it does not take it.
    """
    return _inputs(_parse(graph, flavour).network)


def _parse(graph: Path, flavour: Flavour) -> _Parsed:
    api, said = flavour.api, list[str]()
    logger = _logger(api, said)
    builder = api.Builder(logger)
    # TensorRT 11 knows no other network and ignores the flag; TensorRT-RTX has to be told.
    network = builder.create_network(1 << int(api.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    parser = api.OnnxParser(network, logger)
    if not parser.parse_from_file(str(graph)):
        refusals = [_refusal(parser.get_error(n)) for n in range(parser.num_errors)]
        raise GraphRefusedError(graph, f"{flavour.name} {flavour.version}", refusals or said)
    return _Parsed(builder, network, parser, said)


def _logger(api: Any, said: list[str]) -> Any:
    """A logger that keeps errors for ours and prints nothing."""
    wrong = (api.ILogger.Severity.ERROR, api.ILogger.Severity.INTERNAL_ERROR)

    class Kept(api.ILogger):  # type: ignore[misc]  # the module is found when it runs
        def __init__(self) -> None:
            api.ILogger.__init__(self)

        def log(self, severity: Any, message: str) -> None:
            if severity in wrong:
                said.append(message)

    return Kept()


def _refusal(error: Any) -> str:
    node = f"{error.node_operator()} at node {error.node_name()}" if error.node_name() else "file"
    # Of an operator that it lacks, the description is but the condition that failed: "false".
    why = "" if error.desc() in ("", "false") else f": {error.desc()}"
    return f"{node} ({error.code().name}{why})"


def _inputs(network: Any) -> dict[str, tuple[int, ...]]:
    found = [network.get_input(index) for index in range(network.num_inputs)]
    return {one.name: tuple(one.shape) for one in found}


def _named(flavour: Flavour, targets: Sequence[str]) -> str:
    return f"compute capability {', '.join(targets)} with {flavour.name} {flavour.version}"
