"""The plans of an engine folder of ONNX Runtime: two graphs, each parsed before one is built."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from serving.engines.description import read_description, verify_files
from serving.engines.offered import engine_name
from serving.engines.onnx.graphs import DECODER, ENCODER
from serving.engines.tensorrt.build import build_plan, check_graph
from serving.engines.tensorrt.flavour import Flavour
from serving.engines.tensorrt.plans import Origin, Plan, Plans
from serving.engines.tensorrt.profiles import (
    Dimensions,
    Limits,
    Profile,
    check_profile,
    decoder_profile,
    encoder_profile,
)
from voiceforge.errors import UsageError
from voiceforge.files import sha256_file

_KIND = "onnxruntime"


@dataclass(frozen=True, slots=True)
class Planned:
    """A plan, and whether it was there before."""

    plan: Plan
    kept: bool


def plan_engine(
    engine: Path,
    out: Path,
    flavour: Flavour,
    targets: Sequence[str],
    *,
    limits: Limits | None = None,
    decoder: Path | None = None,
    progress: Callable[[str], None] = lambda _: None,
) -> list[Planned]:
    """Build the plans of an engine's encoder and decoder, or find those that were built before.

    Args:
        engine: folder of an ONNX Runtime engine; its files are verified.
        out: folder of plans, which may hold others.
        targets: compute capabilities, as `Flavour.targets` gives them.
        limits: what they have to take.
        decoder: another engine of the same weights whose decoder is taken, as the one of
            int8_static is dynamic int8, which no TensorRT takes.
        progress: told in words what takes time.

    Raises:
        UsageError: a folder is no engine of ONNX Runtime, or the two do not belong together.
        IntegrityError: a file of an engine or a plan is not what was built.
        GraphRefusedError: the parser does not take a graph; nothing was built then.
        ProfileError: a graph is not that of a Whisper of these dimensions.
        BuilderError: the builder gave no plan.
        StorageError: the disk is full or read-only.
    """
    plans = Plans(out)
    jobs = list(_jobs(engine, decoder or engine, flavour, limits or Limits()))
    planned = []
    for graph, profile in jobs:
        origin = Origin(
            graph.name,
            sha256_file(graph),
            flavour.name,
            flavour.version,
            tuple(targets),
            profile.sha256,
        )
        found = plans.find(origin)
        if found is None:
            progress(f"{graph.name}: building its plan")
            built = build_plan(graph, profile, flavour, targets, plans.timings(origin))
            made = plans.store(origin, built.plan, built.seconds, profile.as_dict())
            plans.keep_timings(origin, built.timings)
            planned.append(Planned(made, kept=False))
        else:
            planned.append(Planned(found, kept=True))
    return planned


def _jobs(
    engine: Path, decoder: Path, flavour: Flavour, limits: Limits
) -> Iterator[tuple[Path, Profile]]:
    """Graphs with their profiles, each looked at by the parser."""
    about, other = _described(engine), _described(decoder)
    if about.source_sha256 != other.source_sha256:
        raise UsageError(
            f"{decoder} was built of other weights ({other.source_sha256[:16]}) than {engine} "
            f"({about.source_sha256[:16]}): a decoder hears with the encoder of its own model."
        )
    _check_types(engine / ENCODER, decoder / DECODER)
    inputs = {ENCODER: check_graph(engine / ENCODER, flavour)}
    inputs[DECODER] = check_graph(decoder / DECODER, flavour)
    states = [shape for name, shape in inputs[DECODER].items() if name.startswith("past_key_")]
    _, heads, _, width = states[0] if states else (0, 1, 0, 1)
    dimensions = Dimensions(about.n_mels, len(states), heads, width)
    profiles = {
        ENCODER: encoder_profile(dimensions, limits),
        DECODER: decoder_profile(dimensions, limits),
    }
    for name, folder in ((ENCODER, engine), (DECODER, decoder)):
        check_profile(profiles[name], inputs[name])
        yield folder / name, profiles[name]


def _described(folder: Path) -> Any:
    about = read_description(folder)
    if about.kind != _KIND:
        raise UsageError(
            f"{folder} is {engine_name(about)}; plans are built of the graphs of an {_KIND} "
            "engine, such as onnxruntime:float16 (`voiceforge engine build`)."
        )
    verify_files(folder, about)
    return about


def _check_types(encoder: Path, decoder: Path) -> None:
    """Refuse a decoder that takes other numbers than the encoder gives."""
    import onnx

    given = {
        one.name: one.type.tensor_type.elem_type
        for one in onnx.load(encoder, load_external_data=False).graph.output
    }
    for one in onnx.load(decoder, load_external_data=False).graph.input:
        taken = one.type.tensor_type.elem_type
        if given.get(one.name, taken) != taken:
            names = [onnx.TensorProto.DataType.Name(kind) for kind in (given[one.name], taken)]
            raise UsageError(
                f"{encoder} gives {one.name} in {names[0]}, and {decoder} takes it in {names[1]}. "
                "Take a decoder of the encoder's precision, or of float32 for int8_static."
            )
