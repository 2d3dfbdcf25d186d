"""What static int8 measures and rewrites, on graphs small enough to compute by hand."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import helper, numpy_helper

from serving.engines.onnx.calibration import Magnitudes, largest_channels
from serving.engines.onnx.quantize import smooth

CHANNELS = 8
chance = np.random.default_rng(3)


@given(
    st.lists(
        st.lists(st.floats(-1e4, 1e4, width=32), min_size=1, max_size=60), min_size=1, max_size=5
    ),
    st.sampled_from([50.0, 90.0, 99.0, 100.0]),
)
def test_a_percentile_is_that_of_all_values_within_a_bin(
    batches: list[list[float]], percent: float
) -> None:
    found = Magnitudes()
    for batch in batches:
        found.add(np.array(batch, np.float32))
    every = np.concatenate([np.array(one, np.float32) for one in batches])
    sizes = np.sort(np.abs(every)).astype(np.float64)
    exact = np.percentile(sizes, percent, method="inverted_cdf")
    assert found.percentile(percent) == pytest.approx(exact, abs=sizes[-1] / 1000 + 1e-30)
    assert found.percentile(100) == sizes[-1]


def test_smoothing_leaves_what_is_computed_and_evens_the_channels() -> None:
    model, mels = _graph(), [_loud(length) for length in (5, 9)]
    before = [_run(model, mel) for mel in mels]
    loud = largest_channels(model, ["normed"], mels)["normed"]
    smooth(model, mels, 0.5)
    for mel, one in zip(mels, before, strict=True):
        np.testing.assert_allclose(_run(model, mel), one, rtol=1e-4, atol=1e-4)
    even = largest_channels(model, ["normed"], mels)["normed"]
    assert even.max() / even.min() < 0.5 * loud.max() / loud.min()


def test_a_norm_that_something_else_reads_is_left() -> None:
    model = _graph(also_added=True)
    kept = model.SerializeToString()
    smooth(model, [_loud(5)], 0.5)
    assert model.SerializeToString() == kept


def _loud(length: int) -> np.ndarray:
    return chance.normal(0, 1, (length, CHANNELS)).astype(np.float32)


def _graph(also_added: bool = False) -> onnx.ModelProto:
    """A norm with one loud channel, and two products of it."""
    gain = np.ones(CHANNELS, np.float32)
    gain[2] = 50
    held = {
        "gain": gain,
        "bias": chance.normal(0, 0.1, CHANNELS).astype(np.float32),
        "first": chance.normal(0, 0.1, (CHANNELS, 6)).astype(np.float32),
        "second": chance.normal(0, 0.1, (CHANNELS, 6)).astype(np.float32),
    }
    nodes = [
        helper.make_node("LayerNormalization", ["mel", "gain", "bias"], ["normed"], axis=-1),
        helper.make_node("MatMul", ["normed", "first"], ["one"]),
        helper.make_node("MatMul", ["normed", "second"], ["other"]),
        helper.make_node("Add", ["one", "other"], ["product"]),
    ]
    if also_added:
        nodes.append(helper.make_node("Add", ["normed", "mel"], ["residual"]))
    graph = helper.make_graph(
        nodes,
        "small",
        [helper.make_tensor_value_info("mel", onnx.TensorProto.FLOAT, [1, None, CHANNELS])],
        [
            helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None)
            for name in ["product", *(["residual"] if also_added else [])]
        ],
        [numpy_helper.from_array(values, name) for name, values in held.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)


def _run(model: onnx.ModelProto, mel: np.ndarray) -> np.ndarray:
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    (product,) = session.run(["product"], {"mel": mel[None]})
    return product
