"""How large the activations of a graph become on real speech, which is what static int8 rounds to.

One clip is in memory at a time: the attention of a padded window takes half a gigabyte a clip.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
_BINS = 4096


class Magnitudes:
    """A histogram of absolute values that widens as larger ones come, by doubling its bins."""

    def __init__(self) -> None:
        self._counts = np.zeros(_BINS, np.int64)
        self._width = 0.0
        self.largest = 0.0

    def add(self, values: Floats) -> None:
        """Count values of any shape."""
        if not values.size:
            return
        sizes = np.abs(values).ravel()
        largest = float(sizes.max())
        self.largest = max(self.largest, largest)
        if not self._width:
            self._width = largest
        while largest > self._width > 0:
            halved = self._counts.reshape(-1, 2).sum(axis=1)
            self._counts = np.concatenate([halved, np.zeros_like(halved)])
            self._width *= 2
        # In float64: the bins' number over the least float32 is none.
        bins = (sizes.astype(np.float64) / (self._width or 1.0) * _BINS).astype(np.int64)
        self._counts += np.bincount(np.minimum(bins, _BINS - 1), minlength=_BINS)

    def percentile(self, percent: float) -> float:
        """At most so many percent of the values are larger than the rest; 100 is the largest.

        Exact to a bin: 1/2048 of the largest value, or less.
        """
        if percent >= 100 or not self._width:
            return self.largest
        reached = np.cumsum(self._counts) >= self._counts.sum() * percent / 100
        return min(self.largest, float(np.argmax(reached) + 1) * self._width / _BINS)


def largest_activations(
    graph: Any, tensors: Sequence[str], mels: Iterable[Floats], percent: float
) -> dict[str, float]:
    """Magnitude of each tensor that `percent` of its values do not exceed.

    Args:
        graph: ONNX model with the input `mel`.
        tensors: names of float32 tensors in it.
        mels: log-mels of calibration clips, each [n_mels, frames].
        percent: 100 is the largest value (MinMax).
    """
    found = {name: Magnitudes() for name in tensors}
    for values in _runs(graph, tensors, mels):
        for name, value in zip(tensors, values, strict=True):
            found[name].add(value)
    return {name: one.percentile(percent) for name, one in found.items()}


def largest_channels(graph: Any, tensors: Sequence[str], mels: Iterable[Floats]) -> dict[str, Any]:
    """Largest magnitude in each channel (last axis) of each tensor, shape [channels]."""
    found: dict[str, Any] = {}
    for values in _runs(graph, tensors, mels):
        for name, value in zip(tensors, values, strict=True):
            channels = np.abs(value).reshape(-1, value.shape[-1]).max(axis=0)
            found[name] = np.maximum(found.get(name, 0), channels)
    return found


def _runs(graph: Any, tensors: Sequence[str], mels: Iterable[Floats]) -> Iterable[Any]:
    """The tensors' values for each clip."""
    import onnx
    import onnxruntime

    open_graph = onnx.ModelProto()
    open_graph.CopyFrom(graph)
    has = {one.name for one in [*graph.graph.output, *graph.graph.input]}
    for name in tensors:
        if name not in has:
            open_graph.graph.output.append(
                onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None)
            )
    session = onnxruntime.InferenceSession(
        open_graph.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    inner = [name for name in tensors if name != "mel"]
    for mel in mels:
        values = {"mel": mel[None]}
        values |= dict(zip(inner, session.run(inner, dict(values)), strict=True))
        yield [values[name] for name in tensors]


def read_graph(path: Path) -> Any:
    """An ONNX graph that is one file."""
    import onnx

    return onnx.load(path, load_external_data=False)
