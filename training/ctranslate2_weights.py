"""The weights of a CTranslate2 Whisper model, read without CTranslate2 and renamed, exactly.

The binary layout is that of `ctranslate2/specs/model_spec.py` (version 6, `ModelSpec._serialize`),
the names those of its converter for transformers, read backwards: fused query-key-value rows are
split in three, Whisper's keys have no bias (CTranslate2 stores zeros there), and float16 widens to
float32 without loss. Only unquantized models can be had back; nothing is unpickled.
"""

from __future__ import annotations

import math
import mmap
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from voiceforge.errors import IntegrityError, UsageError

Array = npt.NDArray[Any]
Floats = npt.NDArray[np.float32]

_VERSION = 6
_TYPES: dict[int, tuple[type[np.generic], str]] = {
    # DataType of ctranslate2/types.h; bfloat16 (5) has no NumPy type and is widened by hand.
    0: (np.float32, "float32"),
    1: (np.int8, "int8"),
    2: (np.int16, "int16"),
    3: (np.int32, "int32"),
    4: (np.float16, "float16"),
    5: (np.uint16, "bfloat16"),
}


class _Reader:
    """Reads little-endian fields from a buffer; running out of bytes is an IntegrityError."""

    def __init__(self, content: memoryview, path: Path) -> None:
        self._content, self._at, self._path = content, 0, path

    def bytes(self, count: int) -> memoryview:
        if self._at + count > len(self._content):
            raise IntegrityError(
                f"{self._path} ends after {len(self._content)} bytes, in the middle of a variable: "
                "it was cut. Delete its folder and fetch it again."
            )
        self._at += count
        return self._content[self._at - count : self._at]

    def number(self, code: str) -> int:
        value: int = struct.unpack("<" + code, self.bytes(struct.calcsize("<" + code)))[0]
        return value

    def text(self) -> str:
        try:
            return bytes(self.bytes(self.number("H"))[:-1]).decode()
        except UnicodeDecodeError as error:
            raise self.damaged("a name that is no text") from error

    def damaged(self, what: str) -> IntegrityError:
        return IntegrityError(
            f"{self._path} is damaged: it holds {what}. Delete its folder and fetch it again."
        )

    @property
    def at_end(self) -> bool:
        return self._at == len(self._content)


def read_variables(path: Path) -> dict[str, Array]:
    """Variables of a CTranslate2 Whisper `model.bin`: name -> array; aliases are resolved.

    Arrays are read-only views of the file's bytes (bfloat16 is widened to float32).

    Raises:
        IntegrityError: the file is cut or not in the known layout.
        UsageError: it holds another kind of model.
    """
    with path.open("rb") as stream:
        content = memoryview(mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ))
    reader = _Reader(content, path)
    if (version := reader.number("I")) != _VERSION:
        raise IntegrityError(
            f"{path} has CTranslate2 binary version {version}, and {_VERSION} can be read. Convert "
            "the model with a current CTranslate2, or name a Hugging Face folder instead."
        )
    if (spec := reader.text()) != "WhisperSpec":
        raise UsageError(f"{path} is a CTranslate2 {spec}, and only Whisper models can be used.")
    reader.number("I")  # the revision of the specification
    variables = dict(_variables(reader))
    for _ in range(reader.number("I")):
        alias, name = reader.text(), reader.text()
        if name not in variables:
            raise reader.damaged(f"{alias} as an alias of {name}, which is missing")
        variables[alias] = variables[name]
    if not reader.at_end:
        raise reader.damaged("bytes after its last variable")
    return variables


def _variables(reader: _Reader) -> Iterator[tuple[str, Array]]:
    for _ in range(reader.number("I")):
        name = reader.text()
        shape = [reader.number("I") for _ in range(reader.number("B"))]
        kind, size = reader.number("B"), reader.number("I")
        if kind not in _TYPES:
            raise reader.damaged(f"{name} with the unknown data type {kind}")
        dtype, label = _TYPES[kind]
        if len(shape) > 3 or math.prod(shape) * np.dtype(dtype).itemsize != size:
            raise reader.damaged(f"{name} with the shape {shape} in {size} bytes")
        array = np.frombuffer(reader.bytes(size), dtype=dtype).reshape(shape)
        if label == "bfloat16":
            array = (array.astype(np.uint32) << 16).view(np.float32)
        yield name, array


def state_dict(variables: dict[str, Array]) -> dict[str, Floats]:
    """Hugging Face `WhisperForConditionalGeneration` tensors from CTranslate2 variables, float32.

    The output projection is left out: Whisper ties it to the token embedding.

    Raises:
        UsageError: the weights are quantized, so the originals cannot be had back.
        IntegrityError: a key bias is not zero, or a variable is unknown: not a Whisper model as
            transformers knows it.
    """
    left = {name: array for name, array in variables.items() if array.ndim}
    left.pop("decoder/projection/weight", None)
    tensors: dict[str, Floats] = {}

    def move(source: str, target: str, parts: tuple[str, ...] = ()) -> None:
        array = left.pop(source, None)
        if array is None:
            raise IntegrityError(f"The CTranslate2 model lacks {source}; it is no Whisper model.")
        if array.dtype not in (np.float16, np.float32):
            raise UsageError(
                f"{source} is stored as {array.dtype}: the model is quantized and its weights "
                "cannot be had back exactly. Name a float16 or float32 conversion."
            )
        wide = array.astype(np.float32)
        if not parts:
            tensors[target] = wide
            return
        for part, rows in zip(parts, np.split(wide, len(parts)), strict=True):
            name = target.format(part)
            if not name.endswith("k_proj.bias"):
                tensors[name] = np.ascontiguousarray(rows)
            elif rows.any():
                raise IntegrityError(f"{source} gives keys a bias, which Whisper does not have.")

    def norm(source: str, target: str) -> None:
        move(f"{source}/gamma", f"{target}.weight")
        move(f"{source}/beta", f"{target}.bias")

    def linear(source: str, target: str, parts: tuple[str, ...] = ()) -> None:
        move(f"{source}/weight", f"{target}.weight", parts)
        move(f"{source}/bias", f"{target}.bias", parts)

    linear("encoder/conv1", "model.encoder.conv1")
    linear("encoder/conv2", "model.encoder.conv2")
    move("decoder/embeddings/weight", "model.decoder.embed_tokens.weight")
    for side in ("encoder", "decoder"):
        move(f"{side}/position_encodings/encodings", f"model.{side}.embed_positions.weight")
        norm(f"{side}/layer_norm", f"model.{side}.layer_norm")
        for index in range(count_layers(variables, side)):
            here, there = f"{side}/layer_{index}", f"model.{side}.layers.{index}"
            norm(f"{here}/self_attention/layer_norm", f"{there}.self_attn_layer_norm")
            fused = ("q", "k", "v")
            linear(f"{here}/self_attention/linear_0", f"{there}.self_attn.{{}}_proj", fused)
            linear(f"{here}/self_attention/linear_1", f"{there}.self_attn.out_proj")
            if side == "decoder":
                norm(f"{here}/attention/layer_norm", f"{there}.encoder_attn_layer_norm")
                linear(f"{here}/attention/linear_0", f"{there}.encoder_attn.q_proj")
                linear(f"{here}/attention/linear_1", f"{there}.encoder_attn.{{}}_proj", ("k", "v"))
                linear(f"{here}/attention/linear_2", f"{there}.encoder_attn.out_proj")
            norm(f"{here}/ffn/layer_norm", f"{there}.final_layer_norm")
            linear(f"{here}/ffn/linear_0", f"{there}.fc1")
            linear(f"{here}/ffn/linear_1", f"{there}.fc2")
    if left:
        raise IntegrityError(f"The CTranslate2 model has unknown variables: {', '.join(left)}.")
    return tensors


def count_layers(variables: dict[str, Array], side: str) -> int:
    """Number of encoder or decoder layers."""
    prefix = f"{side}/layer_"
    numbers = [name[len(prefix) :].split("/")[0] for name in variables if name.startswith(prefix)]
    return len({number for number in numbers if number.isdigit()})
