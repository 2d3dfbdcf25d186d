"""CTranslate2 `model.bin` to a Hugging Face Whisper folder, exactly.

The binary layout is that of `ctranslate2/specs/model_spec.py` (version 6, `ModelSpec._serialize`),
the names those of its converter for transformers, read backwards: fused query-key-value rows are
split in three, Whisper's keys have no bias (CTranslate2 stores zeros there), and float16 widens to
float32 without loss. Only unquantized models can be converted; nothing is unpickled.
"""

from __future__ import annotations

import json
import mmap
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from voiceforge.errors import IntegrityError, UsageError
from voiceforge.files import write_json

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
MULTILINGUAL_VOCABULARY = 51_865
"""English-only Whisper models have 51,864 tokens, multilingual ones at least one more."""


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
        return bytes(self.bytes(self.number("H"))[:-1]).decode()

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
    variables = dict(_variables(reader, path))
    for _ in range(reader.number("I")):
        alias, name = reader.text(), reader.text()
        variables[alias] = variables[name]
    if not reader.at_end:
        raise IntegrityError(f"{path} goes on after its last variable. Fetch it again.")
    return variables


def _variables(reader: _Reader, path: Path) -> Iterator[tuple[str, Array]]:
    for _ in range(reader.number("I")):
        name = reader.text()
        shape = [reader.number("I") for _ in range(reader.number("B"))]
        kind = reader.number("B")
        if kind not in _TYPES:
            raise IntegrityError(
                f"{path} gives {name} the unknown data type {kind}. Fetch it again."
            )
        dtype, label = _TYPES[kind]
        array = np.frombuffer(reader.bytes(reader.number("I")), dtype=dtype).reshape(shape)
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


def model_config(variables: dict[str, Array]) -> dict[str, Any]:
    """transformers' `config.json` for these variables; the class has defaults for the rest."""
    vocabulary, width = variables["decoder/embeddings/weight"].shape
    end = 50_256 if vocabulary < MULTILINGUAL_VOCABULARY else 50_257
    return {
        "architectures": ["WhisperForConditionalGeneration"],
        "model_type": "whisper",
        "vocab_size": vocabulary,
        "d_model": width,
        "num_mel_bins": variables["encoder/conv1/weight"].shape[1],
        "max_source_positions": variables["encoder/position_encodings/encodings"].shape[0],
        "max_target_positions": variables["decoder/position_encodings/encodings"].shape[0],
        "encoder_layers": count_layers(variables, "encoder"),
        "decoder_layers": count_layers(variables, "decoder"),
        "num_hidden_layers": count_layers(variables, "encoder"),
        "encoder_attention_heads": int(variables["encoder/num_heads"]),
        "decoder_attention_heads": int(variables["decoder/num_heads"]),
        "encoder_ffn_dim": variables["encoder/layer_0/ffn/linear_0/weight"].shape[0],
        "decoder_ffn_dim": variables["decoder/layer_0/ffn/linear_0/weight"].shape[0],
        "bos_token_id": end,
        "eos_token_id": end,
        "pad_token_id": end,
        "decoder_start_token_id": end + 1,
        "tie_word_embeddings": True,
        "dtype": "float32",
    }


def convert(source: Path, target: Path) -> None:
    """Fill the folder `target` with the Hugging Face form of the CTranslate2 folder `source`.

    `source` holds `model.bin`, `config.json` and `tokenizer.json`.

    Raises:
        IntegrityError: the weights are damaged or not Whisper's.
        UsageError: the weights are quantized, or of another kind of model.
    """
    from safetensors.numpy import save_file

    variables = read_variables(source / "model.bin")
    config = model_config(variables)
    tokenizer = _whole_tokenizer(json.loads((source / "tokenizer.json").read_text()), config)
    ids = {token["content"]: token["id"] for token in tokenizer["added_tokens"]}
    stated = json.loads((source / "config.json").read_text())
    write_json(target / "config.json", config)
    write_json(target / "generation_config.json", _generation_config(config, stated, ids))
    write_json(target / "preprocessor_config.json", _feature_config(config))
    write_json(target / "tokenizer.json", tokenizer)
    write_json(target / "tokenizer_config.json", _tokenizer_config())
    save_file(state_dict(variables), target / "model.safetensors", metadata={"format": "pt"})


def _whole_tokenizer(tokenizer: dict[str, Any], config: dict[str, Any]) -> dict[str, Any]:
    """The tokenizer with every token that the model has: some conversions leave times out."""
    added = {token["id"] for token in tokenizer["added_tokens"]}
    first = (
        next(t["id"] for t in tokenizer["added_tokens"] if t["content"] == "<|notimestamps|>") + 1
    )
    for number in range(first, config["vocab_size"]):
        if number not in added:
            tokenizer["added_tokens"].append(
                {
                    "id": number,
                    "content": f"<|{(number - first) * 0.02:.2f}|>",
                    "single_word": False,
                    "lstrip": False,
                    "rstrip": False,
                    "normalized": True,
                    "special": False,
                }
            )
    return tokenizer


def _generation_config(
    config: dict[str, Any], stated: dict[str, Any], ids: dict[str, int]
) -> dict[str, Any]:
    multilingual = config["vocab_size"] >= MULTILINGUAL_VOCABULARY
    heads = stated.get("alignment_heads") or [
        # CTranslate2's own default: every head of the upper half of the decoder.
        [layer, head]
        for layer in range(config["decoder_layers"] // 2, config["decoder_layers"])
        for head in range(config["decoder_attention_heads"])
    ]
    generation: dict[str, Any] = {
        key: config[key]
        for key in ("bos_token_id", "eos_token_id", "pad_token_id", "decoder_start_token_id")
    }
    generation |= {
        "max_length": config["max_target_positions"],
        "suppress_tokens": stated["suppress_ids"],
        "begin_suppress_tokens": stated["suppress_ids_begin"],
        "alignment_heads": heads,
        "is_multilingual": multilingual,
        "no_timestamps_token_id": ids["<|notimestamps|>"],
        "prev_sot_token_id": ids["<|startofprev|>"],
        "max_initial_timestamp_index": 50,
        "return_timestamps": False,
    }
    if multilingual:
        between = range(ids["<|startoftranscript|>"] + 1, ids["<|translate|>"])
        generation["lang_to_id"] = {text: ids[text] for text in ids if ids[text] in between}
        generation["task_to_id"] = {
            "transcribe": ids["<|transcribe|>"],
            "translate": ids["<|translate|>"],
        }
    return generation


def _feature_config(config: dict[str, Any]) -> dict[str, Any]:
    return {
        "feature_extractor_type": "WhisperFeatureExtractor",
        "processor_class": "WhisperProcessor",
        "feature_size": config["num_mel_bins"],
        "sampling_rate": 16_000,
        "hop_length": 160,
        "n_fft": 400,
        "chunk_length": 30,
        "padding_value": 0.0,
        "return_attention_mask": False,
    }


def _tokenizer_config() -> dict[str, Any]:
    end = "<|endoftext|>"
    return {
        "tokenizer_class": "WhisperTokenizer",
        "processor_class": "WhisperProcessor",
        "bos_token": end,
        "eos_token": end,
        "unk_token": end,
        "pad_token": end,
        "add_prefix_space": False,
        "clean_up_tokenization_spaces": False,
        "model_max_length": 1024,
    }
