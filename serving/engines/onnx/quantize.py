"""Rewrites of the float32 graphs into other precisions: one function each, graph in, graph out."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from serving.engines.onnx.calibration import (
    Floats,
    largest_activations,
    largest_channels,
    read_graph,
)


@dataclass(frozen=True, slots=True)
class Recipe:
    """Which products of the encoder static int8 takes, and how it rounds what goes into them.

    Attributes:
        feed_forward_output: fc2 too, whose input has outliers.
        convolutions: the two at the input, too.
        attention: products of activations with activations, too.
        percent: of an activation's values that are not cut off; 100 is MinMax.
        smoothing: alpha of SmoothQuant (Xiao et al. 2023, arXiv:2211.10438), 0 for none: how much
            of the outliers goes from activations into weights.
    """

    feed_forward_output: bool = False
    convolutions: bool = False
    attention: bool = False
    percent: float = 99.99
    smoothing: float = 0.0

    @property
    def method(self) -> str:
        """As engine.json says it."""
        cut = "minmax" if self.percent >= 100 else f"percentile {self.percent:g}"
        return cut + (f", SmoothQuant {self.smoothing:g}" if self.smoothing else "")


STATIC = Recipe()
"""Of `int8_static`."""
EVERYTHING = Recipe(feed_forward_output=True, convolutions=True, attention=True, percent=100.0)
"""Breaks Whisper, as tests show: what a gate has to reject."""


def dynamic_int8(graph: Path, out: Path) -> None:
    """Weights of matrix products in int8 by channel, activations rounded as they come.

    A table that is multiplied and looked up, as the decoder's, is stored once.
    """
    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic

    quantize_dynamic(
        graph,
        out,
        op_types_to_quantize=["MatMul"],
        per_channel=True,
        weight_type=QuantType.QInt8,
    )
    model = read_graph(out)
    if _look_up_in_int8(model):
        onnx.save(model, out)


def static_int8(graph: Path, out: Path, mels: Iterable[Floats], recipe: Recipe) -> None:
    """Symmetric Q/DQ int8: weights by channel, activations by what `mels` made of them.

    Args:
        graph: an encoder in float32.
        mels: log-mels of calibration clips, each [n_mels, frames]; read more than once.
    """
    from onnxruntime.quantization import CalibrationMethod, QDQQuantizer, QuantType
    from onnxruntime.quantization.calibrate import TensorData, TensorsData

    model = read_graph(graph)
    if recipe.smoothing:
        smooth(model, mels, recipe.smoothing)
    nodes = _products(model, recipe)
    weights = {one.name for one in model.graph.initializer}
    ends = recipe == EVERYTHING
    tensors = sorted(
        {name for node in nodes for name in [*node.input[:2], *(node.output if ends else ())]}
        - weights
    )
    largest = largest_activations(model, tensors, mels, recipe.percent)
    ranges = {
        name: TensorData(lowest=np.float32(-value), highest=np.float32(value))
        for name, value in largest.items()
    }
    kinds = sorted({node.op_type for node in nodes})
    quantizer = QDQQuantizer(
        model,
        per_channel=True,
        reduce_range=False,
        weight_qType=QuantType.QInt8,
        activation_qType=QuantType.QInt8,
        tensors_range=TensorsData(CalibrationMethod.Percentile, ranges),
        nodes_to_quantize=[node.name for node in nodes],
        nodes_to_exclude=[],
        op_types_to_quantize=kinds,
        extra_options={
            "ActivationSymmetric": True,
            "WeightSymmetric": True,
            "OpTypesToExcludeOutputQuantization": [] if ends else kinds,
            "QDQOpTypePerChannelSupportToAxis": {"MatMul": 1},
        },
    )
    quantizer.quantize_model()
    quantizer.model.save_model_to_file(str(out), False)


def smooth(model: Any, mels: Iterable[Floats], alpha: float) -> None:
    """Move outliers of normalised activations into the weights that multiply them, in place.

    SmoothQuant, folded: gain and bias of a LayerNorm are divided by channel and the rows of the
    weights behind it multiplied by the same, so that the graph computes what it computed. Norms
    whose output goes anywhere but into products with weights are left.
    """
    from onnx import numpy_helper

    weights = {one.name: one for one in model.graph.initializer}
    readers: dict[str, list[Any]] = {}
    for node in model.graph.node:
        for name in node.input:
            readers.setdefault(name, []).append(node)
    handed_out = {one.name for one in model.graph.output}
    norms = [
        node
        for node in model.graph.node
        if node.op_type == "LayerNormalization"
        and node.output[0] in readers
        and node.output[0] not in handed_out
        and all(
            reader.op_type == "MatMul" and reader.input[1] in weights
            for reader in readers[node.output[0]]
        )
    ]
    if not norms:
        return
    largest = largest_channels(model, [node.output[0] for node in norms], mels)
    for norm in norms:
        matrices = [weights[reader.input[1]] for reader in readers[norm.output[0]]]
        rows = np.max([np.abs(numpy_helper.to_array(one)).max(axis=1) for one in matrices], axis=0)
        heard = np.maximum(largest[norm.output[0]], 1e-5)
        scale = np.maximum(heard**alpha / np.maximum(rows, 1e-5) ** (1 - alpha), 1e-5)
        for name in norm.input[1:]:
            _set(weights[name], numpy_helper.to_array(weights[name]) / scale)
        for one in matrices:
            _set(one, numpy_helper.to_array(one) * scale[:, None])


def half(graph: Path, out: Path) -> None:
    """Weights and what is computed in float16; mel, logits and attention stay float32."""
    import onnx
    from onnxruntime.transformers.float16 import convert_float_to_float16

    kept = ["mel", "logits", "attention"]
    onnx.save(convert_float_to_float16(read_graph(graph), keep_io_types=kept), out)


def _products(model: Any, recipe: Recipe) -> list[Any]:
    """The nodes that a recipe quantizes."""
    weights = {one.name: one.dims for one in model.graph.initializer}
    found = []
    for node in model.graph.node:
        if node.op_type == "Conv" and recipe.convolutions:
            found.append(node)
        if node.op_type == "MatMul":
            shape = weights.get(node.input[1])
            narrows = shape is not None and shape[0] > shape[1]
            if recipe.attention if shape is None else recipe.feed_forward_output or not narrows:
                found.append(node)
    return found


def _look_up_in_int8(model: Any) -> bool:
    """Let Gathers along axis 1 read the int8 table of a product rather than a copy in float32."""
    import onnx

    held = {one.name: one for one in model.graph.initializer}
    changed = False
    for place, node in reversed(list(enumerate(model.graph.node))):
        table = f"{node.input[0]}_quantized" if node.op_type == "Gather" else ""
        if table not in held:
            continue
        wide, ids, out = node.input[0], node.input[1], node.output[0]
        steps: list[tuple[str, list[str], str, dict[str, Any]]] = [
            ("Gather", [table, ids], "int8", {"axis": 1}),
            ("Cast", [f"{out}_int8"], "whole", {"to": onnx.TensorProto.FLOAT}),
            ("Gather", [f"{wide}_scale", ids], "scale", {"axis": 0}),
            ("Mul", [f"{out}_whole", f"{out}_scale"], "", {}),
        ]
        model.graph.node.remove(node)
        for offset, (kind, inputs, suffix, attributes) in enumerate(steps):
            output = f"{out}_{suffix}" if suffix else out
            made = onnx.helper.make_node(kind, inputs, [output], f"{output}_made", **attributes)
            model.graph.node.insert(place + offset, made)
        if not any(wide in other.input for other in model.graph.node) and wide in held:
            model.graph.initializer.remove(held[wide])
        changed = True
    return changed


def _set(tensor: Any, values: Any) -> None:
    from onnx import numpy_helper

    tensor.CopyFrom(numpy_helper.from_array(values.astype(np.float32), tensor.name))
