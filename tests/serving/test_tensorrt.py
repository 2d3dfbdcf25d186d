"""TensorRT: profiles, keys and refusals; and real ahead-of-time builds with TensorRT-RTX."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnx as onnx_format
import pytest

from serving.engines import onnx
from serving.engines.contracts import EngineSpec
from serving.engines.tensorrt import find_flavour, plan_engine
from serving.engines.tensorrt.build import _parse, build_plan
from serving.engines.tensorrt.errors import (
    BuilderError,
    ForeignPlanError,
    GraphRefusedError,
    NoTensorRTError,
    ProfileError,
)
from serving.engines.tensorrt.flavour import Flavour, Full
from serving.engines.tensorrt.plans import Origin, Plans, check_plan, read_plan
from serving.engines.tensorrt.profiles import (
    Dimensions,
    Limits,
    Profile,
    Shapes,
    Span,
    check_profile,
    decoder_profile,
    encoder_profile,
)
from tests.narrow_whisper import narrow_whisper
from training.base_models import BaseModel
from voiceforge.errors import IntegrityError, UsageError

NARROW = Dimensions(n_mels=80, layers=1, heads=2, width=8)
SMALL = Limits(clips=Span(1, 2, 2))
ORIGIN = Origin("encoder.onnx", "a" * 64, "tensorrt_rtx", "1.7.1.116", ("8.9",), "b" * 64)
ADA = ("8.9",)


# Profiles


def test_a_profile_has_every_input_of_its_graph_in_the_model_s_dimensions() -> None:
    assert encoder_profile(NARROW, Limits()).as_dict() == {
        "mel": [[1, 80, 100], [8, 80, 1000], [8, 80, 3000]]
    }
    decoder = decoder_profile(NARROW, Limits())
    assert decoder.as_dict() == {
        "ids": [[1, 1], [8, 1], [8, 448]],
        "places": [[1], [1], [2]],
        "past_key_0": [[1, 2, 0, 8], [8, 2, 32, 8], [8, 2, 447, 8]],
        "past_value_0": [[1, 2, 0, 8], [8, 2, 32, 8], [8, 2, 447, 8]],
        "cross_key_0": [[1, 2, 50, 8], [8, 2, 500, 8], [8, 2, 1500, 8]],
        "cross_value_0": [[1, 2, 50, 8], [8, 2, 500, 8], [8, 2, 1500, 8]],
    }
    assert len(decoder_profile(replace(NARROW, layers=4), Limits()).inputs) == 2 + 4 * 4


def test_a_mel_of_odd_frames_is_heard_in_half_as_many_places_rounded_up() -> None:
    limits = Limits(frames=Span(101, 103, 105))
    cross = decoder_profile(NARROW, limits).inputs["cross_key_0"]
    assert (cross.least[2], cross.usual[2], cross.most[2]) == (51, 52, 53)


def test_a_profile_s_hash_is_that_of_its_figures() -> None:
    one = decoder_profile(NARROW, Limits())
    turned = Profile(dict(reversed(one.inputs.items())))
    assert one.sha256 == turned.sha256
    assert one.sha256 != decoder_profile(NARROW, SMALL).sha256


@pytest.mark.parametrize("figures", [(2, 1, 3), (1, 4, 3), (-1, 1, 3), (0, 0, 0)])
def test_a_dimension_that_is_none_is_refused(figures: tuple[int, int, int]) -> None:
    with pytest.raises(ProfileError, match="is none: the least is 0 or more"):
        Span(*figures)


def test_more_than_whisper_has_is_refused() -> None:
    with pytest.raises(ProfileError, match="3002 frames is more than Whisper has: 3000"):
        Limits(frames=Span(100, 100, 3002))
    with pytest.raises(ProfileError, match="448 past is more than Whisper has: 447"):
        Limits(past=Span(0, 1, 448))
    with pytest.raises(ProfileError, match="from 0 clips on is none"):
        Limits(clips=Span(0, 1, 8))


def test_a_profile_of_another_graph_is_refused_by_the_input() -> None:
    profile, inputs = encoder_profile(NARROW, Limits()), {"mel": (-1, 80, -1)}
    check_profile(profile, inputs)
    check_profile(None, {"mel": (1, 80, 3000)})
    with pytest.raises(ProfileError, match=r"inputs of any length \(mel\), and no profile"):
        check_profile(None, inputs)
    with pytest.raises(ProfileError, match=r"asks for mel of \[1, 80, 100\], and the graph"):
        check_profile(profile, {"mel": (-1, 128, -1)})
    with pytest.raises(ProfileError, match="the profile lacks ids"):
        check_profile(profile, {"mel": (-1, 80, -1), "ids": (-1, -1)})
    with pytest.raises(ProfileError, match="the graph does not have mel"):
        check_profile(profile, {})
    flat = Profile({"mel": Shapes((1,), (1,), (1,))})
    with pytest.raises(ProfileError, match="of other dimensions"):
        check_profile(flat, inputs)


# Keys and the folder of plans


@pytest.mark.parametrize(
    "change",
    [
        {"onnx_sha256": "c" * 64},
        {"flavour": "tensorrt"},
        {"version": "1.7.1.117"},
        {"compute_capabilities": ("8.6", "8.9")},
        {"profile_sha256": "c" * 64},
    ],
)
def test_whatever_a_plan_depends_on_is_in_its_key(change: dict[str, Any]) -> None:
    assert replace(ORIGIN, **change).key != ORIGIN.key
    assert replace(ORIGIN, graph="renamed.onnx").key == ORIGIN.key


def test_a_plan_is_found_again_as_it_was_stored(tmp_path: Path) -> None:
    plans = Plans(tmp_path / "plans")
    assert plans.find(ORIGIN) is None
    stored = plans.store(ORIGIN, b"a plan", 1.25, {"mel": []})
    assert plans.find(ORIGIN) == stored
    assert stored.path.read_bytes() == b"a plan" and stored.path.name == "encoder.plan"
    assert plans.find(replace(ORIGIN, version="1.8")) is None


def test_what_is_not_what_was_built_is_refused_with_its_file(tmp_path: Path) -> None:
    plans = Plans(tmp_path)
    stored = plans.store(ORIGIN, b"a plan", 1.0, {})
    about = stored.path.with_name("plan.json")
    fields = json.loads(about.read_text())

    stored.path.write_bytes(b"a plan, longer")
    with pytest.raises(IntegrityError, match=r"encoder\.plan is not what was built"):
        plans.find(ORIGIN)
    stored.path.unlink()
    with pytest.raises(IntegrityError, match=r"encoder\.plan is missing"):
        plans.find(ORIGIN)
    about.write_text(json.dumps(fields | {"compute_capabilities": ["12.0"]}))
    with pytest.raises(IntegrityError, match=r"plan\.json was edited"):
        plans.find(ORIGIN)
    for text in ("{", "[]", "{}", json.dumps(fields | {"size": "large"})):
        about.write_text(text)
        with pytest.raises(IntegrityError, match=r"plan\.json does not describe a plan"):
            plans.find(ORIGIN)


def test_a_plan_under_another_s_key_is_refused(tmp_path: Path) -> None:
    plans, other = Plans(tmp_path), replace(ORIGIN, version="1.8")
    folder = plans.store(ORIGIN, b"a plan", 1.0, {}).path.parent
    folder.rename(tmp_path / other.key[:16])
    with pytest.raises(IntegrityError, match="is of another plan"):
        plans.find(other)


def test_a_plan_for_another_card_or_version_is_refused(tmp_path: Path) -> None:
    plan = read_plan(Plans(tmp_path).store(ORIGIN, b"a plan", 1.0, {}).path.parent)
    check_plan(plan, "tensorrt_rtx", "1.7.1.116", "8.9")
    with pytest.raises(ForeignPlanError, match=r"for compute capability 8\.9, and here is 8\.6"):
        check_plan(plan, "tensorrt_rtx", "1.7.1.116", "8.6")
    with pytest.raises(ForeignPlanError, match=r"tensorrt_rtx 1\.7\.1\.116, and here is .* 1\.8"):
        check_plan(plan, "tensorrt_rtx", "1.8", "8.9")
    with pytest.raises(ForeignPlanError, match=r"and here is tensorrt 11\.0"):
        check_plan(plan, "tensorrt", "11.0", "8.9")


def test_timings_are_kept_by_flavour_version_and_card(tmp_path: Path) -> None:
    plans = Plans(tmp_path)
    plans.keep_timings(ORIGIN, b"")
    assert not list(tmp_path.iterdir()) and plans.timings(ORIGIN) == b""
    plans.keep_timings(ORIGIN, b"times")
    assert plans.timings(replace(ORIGIN, onnx_sha256="c" * 64)) == b"times"
    assert plans.timings(replace(ORIGIN, compute_capabilities=("9.0",))) == b""


# Flavours


@pytest.fixture
def without(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """A machine with no TensorRT of any kind."""
    for name in ("tensorrt", "tensorrt_rtx", "tensorrt_rtx_bindings"):
        monkeypatch.setitem(sys.modules, name, None)
    return monkeypatch


@pytest.fixture
def rtx(without: pytest.MonkeyPatch) -> Iterator[Flavour]:
    without.undo()
    yield find_flavour()


@pytest.mark.usefixtures("without")
def test_a_machine_without_tensorrt_is_told_what_to_install() -> None:
    with pytest.raises(NoTensorRTError, match=r"pip install 'voiceforge\[tensorrt-rtx\]'") as found:
        find_flavour()
    assert found.value.exit_code == 2
    assert "tensorrt cannot be imported" in str(found.value)
    assert "tensorrt_rtx_bindings cannot be imported" in str(found.value)


@pytest.mark.parametrize(
    ("module", "words"),
    [
        (SimpleNamespace(__version__="10.16.0"), "tensorrt is 10.16.0, and 11 is needed"),
        (SimpleNamespace(), "tensorrt has no version: its wheel is a stub"),
        (SimpleNamespace(__version__="11.4.0"), "there is no NVIDIA GPU"),
    ],
)
def test_a_tensorrt_that_cannot_build_here_says_why(
    module: Any, words: str, without: pytest.MonkeyPatch
) -> None:
    without.setitem(sys.modules, "tensorrt", module)
    without.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(NoTensorRTError, match=words):
        find_flavour()


def test_tensorrt_is_taken_where_there_is_a_card_and_builds_for_it(
    without: pytest.MonkeyPatch,
) -> None:
    without.setitem(sys.modules, "tensorrt", SimpleNamespace(__version__="11.4.0"))
    without.setattr("torch.cuda.is_available", lambda: True)
    without.setattr("torch.cuda.get_device_capability", lambda _: (9, 0))
    found = find_flavour()
    assert (found.name, found.version) == ("tensorrt", "11.4.0")
    assert found.targets(()) == found.targets(["9.0"]) == ("9.0",)
    with pytest.raises(NoTensorRTError, match=r"capability 9\.0; asked for is 8\.6, 12\.0"):
        found.targets(["12.0", "8.6"])


def test_tensorrt_rtx_builds_for_the_cards_that_it_names(rtx: Flavour) -> None:
    assert rtx.name == "tensorrt_rtx"
    assert rtx.targets(["12.0", "8.9", "8.9"]) == ("8.9", "12.0")
    assert {"8.6", "8.9", "12.0"} <= set(rtx.targets(())) and "7.5" not in rtx.targets(())
    for unknown in ("9.0", "sm_89", ""):
        with pytest.raises(NoTensorRTError, match=r"It builds for: 7\.5, .*8\.9, .*12\.0"):
            rtx.targets([unknown])


# Ahead-of-time builds


@pytest.fixture(scope="module")
def engines(tiny_en: BaseModel, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A narrow Whisper with random weights in every precision of ONNX Runtime."""
    folder = tmp_path_factory.mktemp("narrow")
    narrow_whisper(tiny_en.path, folder / "model")
    noise = np.random.default_rng(0)
    clips = [noise.normal(0, 0.1, 16_000).astype(np.float32) for _ in range(2)]
    exact = folder / "float32"
    for precision in ("float32", "float16", "int8", "int8_static"):
        (folder / precision).mkdir()
        onnx.build(
            folder / "model", folder / precision, EngineSpec(onnx.KIND, precision, 3000, "en"),
            "0" * 64, 0.5, calibration=clips, exact=None if precision == "float32" else exact,
        )  # fmt: skip
    return folder


@pytest.fixture(scope="module")
def typed_decoder(engines: Path) -> Path:
    """The narrow decoder with every product between Q and DQ, as no engine of ours has it yet."""
    from onnxruntime.quantization import CalibrationDataReader, QuantType, quantize_static

    noise = np.random.default_rng(0)

    class Feeds(CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self._left = 2

        def get_next(self) -> dict[str, Any] | None:
            self._left -= 1
            states = {
                f"{of}_{kind}_0": noise.normal(size=(2, 2, length, 8)).astype(np.float32)
                for of, length in (("past", 4), ("cross", 50))
                for kind in ("key", "value")
            }
            ids = noise.integers(0, 50_000, (2, 3))
            return states | {"ids": ids, "places": np.array([0, 2])} if self._left >= 0 else None

    graph = engines / "decoder_qdq.onnx"
    quantize_static(
        engines / "float32" / "decoder.onnx", graph, Feeds(),
        op_types_to_quantize=["MatMul"], per_channel=True,
        activation_type=QuantType.QInt8, weight_type=QuantType.QInt8,
        extra_options={"ActivationSymmetric": True, "WeightSymmetric": True},
    )  # fmt: skip
    return graph


@pytest.mark.system
@pytest.mark.parametrize(
    ("precision", "decoder", "type_of_states"),
    [
        ("float32", None, "FLOAT"),
        ("float16", None, "HALF"),
        ("int8_static", "float32", "FLOAT"),
    ],
)
def test_both_plans_of_an_engine_are_built_once(
    precision: str, decoder: str | None, type_of_states: str,
    engines: Path, rtx: Flavour, tmp_path: Path,
) -> None:  # fmt: skip
    other = engines / decoder if decoder else None
    first = plan_engine(engines / precision, tmp_path, rtx, ADA, limits=SMALL, decoder=other)
    assert [one.plan.path.name for one in first] == ["encoder.plan", "decoder.plan"]
    for one in first:
        assert not one.kept
        assert one.plan.size == one.plan.path.stat().st_size > 100_000
        assert one.plan.origin.compute_capabilities == ADA
        check_plan(one.plan, rtx.name, rtx.version, "8.9")
    again = plan_engine(engines / precision, tmp_path, rtx, ADA, limits=SMALL, decoder=other)
    assert all(one.kept for one in again)
    assert [one.plan.path for one in again] == [one.plan.path for one in first]
    # TensorRT-RTX keeps no timings, and nothing half-made is left.
    assert {one.name for one in tmp_path.iterdir()} == {one.plan.path.parent.name for one in first}

    network = _parse(engines / precision / "encoder.onnx", rtx).network
    flag = rtx.api.NetworkDefinitionCreationFlag.STRONGLY_TYPED
    assert network.get_flag(flag) and network.get_output(0).dtype.name == type_of_states


@pytest.mark.system
def test_a_decoder_in_q_dq_is_built(typed_decoder: Path, rtx: Flavour) -> None:
    kinds = {node.op_type for node in onnx_format.load(typed_decoder).graph.node}
    assert {"QuantizeLinear", "DequantizeLinear"} <= kinds and "MatMulInteger" not in kinds
    built = build_plan(typed_decoder, decoder_profile(NARROW, SMALL), rtx, ADA)
    assert len(built.plan) > 100_000 and built.timings == b""


@pytest.mark.system
@pytest.mark.parametrize(
    ("precision", "graph"), [("int8", "encoder.onnx"), ("int8_static", "decoder.onnx")]
)
def test_dynamic_int8_is_refused_with_the_parser_s_own_words(
    precision: str, graph: str, engines: Path, rtx: Flavour, tmp_path: Path
) -> None:
    with pytest.raises(GraphRefusedError, match=rf"does not take .*{graph}: Dynamic") as refused:
        plan_engine(engines / precision, tmp_path / "plans", rtx, ADA, limits=SMALL)
    assert not (tmp_path / "plans").exists()
    assert "decoder of a float32 engine" in str(refused.value)
    nodes = onnx_format.load(engines / precision / graph).graph.node
    dynamic = [one for one in nodes if one.op_type in ("DynamicQuantizeLinear", "MatMulInteger")]
    assert len(refused.value.refusals) == len(dynamic) > 0
    for one, said in zip(dynamic, refused.value.refusals, strict=True):
        assert said == f"{one.op_type} at node {one.name} (UNSUPPORTED_NODE)"


@pytest.mark.system
def test_engines_that_do_not_belong_together_are_refused(
    engines: Path, engine_folder: Path, rtx: Flavour, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match=r"cross_key_0 in FLOAT, .* takes it in FLOAT16"):
        plan_engine(engines / "int8_static", tmp_path, rtx, ADA, decoder=engines / "float16")
    with pytest.raises(UsageError, match="is ctranslate2:int8; plans are built of the graphs of"):
        plan_engine(engine_folder, tmp_path, rtx, ADA)
    assert not list(tmp_path.iterdir())


@pytest.mark.system
def test_what_cannot_be_parsed_or_built_is_an_error_of_its_own(
    engines: Path, rtx: Flavour, tmp_path: Path
) -> None:
    graph, profile = engines / "float32" / "encoder.onnx", encoder_profile(NARROW, SMALL)
    with pytest.raises(ProfileError, match="no profile says which to build for"):
        build_plan(graph, None, rtx, ADA)
    wide = encoder_profile(replace(NARROW, n_mels=128), SMALL)
    with pytest.raises(ProfileError, match="of other dimensions"):
        build_plan(graph, wide, rtx, ADA)
    # Turing multiplies no float32 matrices: the builder returns None, with an error in its log.
    with pytest.raises(BuilderError, match=r"capability 7\.5 .*FP32 GEMM is not supported") as none:
        build_plan(graph, profile, rtx, ("7.5",))
    assert none.value.exit_code == 1 and none.value.messages
    torn = tmp_path / "torn.onnx"
    torn.write_bytes(graph.read_bytes()[:5000])
    with pytest.raises(GraphRefusedError, match="Failed to parse the ONNX model"):
        build_plan(torn, profile, rtx, ADA)


@pytest.mark.system
@pytest.mark.filterwarnings("ignore:.*Timing cache:DeprecationWarning")
def test_the_other_flavour_goes_the_same_way_and_keeps_its_timings(
    engines: Path, rtx: Flavour, tmp_path: Path
) -> None:
    """TensorRT-RTX's module stands for `tensorrt`, whose libraries no machine here has."""
    full = Full(rtx.api, "11.0", "8.9")
    built = plan_engine(engines / "float16", tmp_path, full, full.targets(()), limits=SMALL)
    assert [one.plan.origin.flavour for one in built] == ["tensorrt", "tensorrt"]
    kept = tmp_path / "timings-tensorrt-11.0-8.9.bin"
    assert kept.stat().st_size > 0
    build_plan(
        engines / "float16" / "encoder.onnx", encoder_profile(NARROW, SMALL), full, ADA,
        kept.read_bytes(),
    )  # fmt: skip
