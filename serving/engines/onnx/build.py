"""Build an ONNX Runtime engine: graphs in a precision, tokenizer, rules of decoding."""

from __future__ import annotations

import logging
import shutil
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

from serving.engines.contracts import EngineDescription, EngineSpec
from serving.engines.description import read_description, verify_files, write_description
from serving.engines.offered import EngineName, check_source
from serving.engines.onnx.graphs import DECODER, DECODING, ENCODER
from serving.engines.onnx.quantize import dynamic_int8
from serving.engines.tokens import FILE as TOKENIZER
from voiceforge.errors import UsageError
from voiceforge.files import read_json, sha256_folder, write_json

KIND = "onnxruntime"
_TOOLS = ("onnxruntime", "onnx", "onnxscript", "torch", "transformers")


def build(
    source: Path,
    out: Path,
    spec: EngineSpec,
    source_sha256: str,
    trailing_silence: float,
    *,
    exact: Path | None = None,
) -> EngineDescription:
    """Build an engine folder: two graphs, tokenizer, `decoding.json` and `engine.json`.

    Precisions: float32; int8: weights of the matrix products by channel, activations as they come
    (dynamic quantization).

    Args:
        source: Hugging Face folder of a Whisper model (safetensors, tokenizer.json).
        out: an empty folder.
        spec: precision, language and shortest mel.
        source_sha256: tensor digest of the source model, recorded as the engine's origin.
        trailing_silence: seconds of silence appended to a clip before decoding.
        exact: a float32 engine of the same source, whose graphs need not be exported again.

    Raises:
        UsageError: the source is no Whisper folder, or the precision is not known.
        StorageError: the disk is full or read-only.
    """
    check_source(source, EngineName(KIND, spec.precision))
    generation = read_json(source / "generation_config.json")
    with tempfile.TemporaryDirectory(dir=out.parent) as scratch, _quietly():
        graphs, facts = _graphs(source, source_sha256, exact, Path(scratch))
        for name in (ENCODER, DECODER):
            if spec.precision == "int8":
                dynamic_int8(graphs / name, out / name)
            else:
                shutil.copyfile(graphs / name, out / name)
    shutil.copyfile(source / TOKENIZER, out / TOKENIZER)
    suppressed = generation.get("suppress_tokens") or []
    first = generation.get("begin_suppress_tokens") or []
    write_json(
        out / DECODING,
        {"suppressed": suppressed, "suppressed_first": first, **facts},
    )
    description = EngineDescription(
        kind=KIND,
        precision=spec.precision,
        minimum_mel_frames=spec.minimum_mel_frames,
        language=spec.language,
        multilingual=_is_multilingual(source),
        n_mels=int(facts["n_mels"]),
        source_sha256=source_sha256,
        files=sha256_folder(out),
        tool_versions={name: version(name) for name in _TOOLS},
        trailing_silence=trailing_silence,
    )
    write_description(out, description)
    return description


@contextmanager
def _quietly() -> Iterator[None]:
    """Without what exporter and quantizer say of their own insides."""
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        before = logging.root.manager.disable
        logging.disable(logging.WARNING)
        try:
            yield
        finally:
            logging.disable(before)


def _graphs(
    source: Path, source_sha256: str, exact: Path | None, scratch: Path
) -> tuple[Path, dict[str, Any]]:
    """Folder of the float32 graphs, and what `export` says of them."""
    from serving.engines.onnx.export import export

    if exact is None:
        return scratch, export(source, scratch)
    built = read_description(exact)
    verify_files(exact, built)
    if (built.kind, built.precision, built.source_sha256) != (KIND, "float32", source_sha256):
        raise UsageError(
            f"{exact} is {built.kind}:{built.precision} of {built.source_sha256[:12]}; its graphs "
            f"are needed in float32 and of {source_sha256[:12]}."
        )
    decoding = read_json(exact / DECODING)
    return exact, {name: decoding[name] for name in ("layers", "n_mels", "opset")}


def _is_multilingual(source: Path) -> bool:
    from transformers import WhisperConfig

    config: Any = WhisperConfig.from_pretrained(source)
    # OpenAI's rule: English models have one token fewer than the smallest multilingual one.
    return int(config.vocab_size) >= 51865
