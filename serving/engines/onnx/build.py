"""Build an ONNX Runtime engine: graphs in a precision, tokenizer, rules of decoding.

Precisions:
    float32: as exported.
    int8: weights of the matrix products by channel, activations as they come (dynamic).
    int8_static: the encoder in symmetric Q/DQ, fitted to calibration clips; the decoder as in int8,
        with which its word errors were those with a float32 decoder (4.18% of 311 words).
    float16: weights and states in half the bytes, which a CPU computes in float32.
"""

from __future__ import annotations

import hashlib
import logging
import shutil
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from data.features import SAMPLE_RATE, log_mel
from serving.engines.batching import mel_length
from serving.engines.contracts import Calibration, EngineDescription, EngineSpec, Samples
from serving.engines.description import read_description, verify_files, write_description
from serving.engines.offered import EngineName, check_calibration, check_source
from serving.engines.onnx.graphs import DECODER, DECODING, ENCODER, FACTS
from serving.engines.onnx.quantize import STATIC, Recipe, dynamic_int8, half, static_int8
from serving.engines.tokens import FILE as TOKENIZER
from serving.engines.whisper import Mels, check_clip
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
    calibration: Sequence[Samples] = (),
    exact: Path | None = None,
    recipe: Recipe = STATIC,
) -> EngineDescription:
    """Build an engine folder: two graphs, tokenizer, `decoding.json` and `engine.json`.

    Args:
        source: Hugging Face folder of a Whisper model (safetensors, tokenizer.json).
        out: an empty folder.
        spec: precision, language and shortest mel.
        source_sha256: tensor digest of the source model, recorded as the engine's origin.
        trailing_silence: seconds of silence appended to a clip before decoding.
        calibration: speech that int8_static is fitted to, clips of at most 30 s; other precisions
            need none.
        exact: a float32 engine of the same source, whose graphs need not be exported again.
        recipe: what int8_static rounds, and how.

    Raises:
        UsageError: the source is no Whisper folder, the precision is not known, or it needs
            calibration clips and there are none.
        ValueError: a calibration clip is none that an engine can hear.
        StorageError: the disk is full or read-only.
    """
    name = EngineName(KIND, spec.precision)
    check_source(source, name)
    check_calibration(name, len(calibration))
    for index, clip in enumerate(calibration):
        check_clip(clip, index)
    generation = read_json(source / "generation_config.json")
    fitted = None
    with tempfile.TemporaryDirectory(dir=out.parent) as scratch, _quietly():
        graphs, facts = _graphs(source, source_sha256, exact, Path(scratch))
        encoder, decoder = graphs / ENCODER, graphs / DECODER
        match spec.precision:
            case "int8":
                dynamic_int8(encoder, out / ENCODER)
                dynamic_int8(decoder, out / DECODER)
            case "int8_static":
                mels = _Heard(calibration, spec, trailing_silence, int(facts["n_mels"]))
                static_int8(encoder, out / ENCODER, mels, recipe)
                dynamic_int8(decoder, out / DECODER)
                fitted = _described(calibration, recipe)
            case "float16":
                half(encoder, out / ENCODER)
                half(decoder, out / DECODER)
            case _:
                shutil.copyfile(encoder, out / ENCODER)
                shutil.copyfile(decoder, out / DECODER)
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
        calibration=fitted,
    )
    write_description(out, description)
    return description


@dataclass(frozen=True)
class _Heard:
    """Log-mels of clips as the engine will hear each of them alone, made when they are asked for.

    Shape [n_mels, frames]; not kept, as those of padded clips take 1 MB each.
    """

    clips: Sequence[Samples]
    spec: EngineSpec
    trailing_silence: float
    n_mels: int

    def __iter__(self) -> Iterator[Mels]:
        for clip in self.clips:
            frames = mel_length(
                len(clip),
                trailing_silence=self.trailing_silence,
                minimum_mel_frames=self.spec.minimum_mel_frames,
            )
            yield log_mel(clip, self.n_mels, frames)


def _described(clips: Sequence[Samples], recipe: Recipe) -> Calibration:
    digest = hashlib.sha256()
    for clip in clips:
        digest.update(np.ascontiguousarray(clip).tobytes())
    seconds = sum(map(len, clips)) / SAMPLE_RATE
    return Calibration(len(clips), round(seconds, 2), digest.hexdigest(), recipe.method)


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
    if missing := [name for name in FACTS if name not in decoding]:
        raise UsageError(
            f"{exact / DECODING} lacks {', '.join(missing)}: another version of VoiceForge wrote "
            "it. Build that engine again."
        )
    return exact, {name: decoding[name] for name in FACTS}


def _is_multilingual(source: Path) -> bool:
    from transformers import WhisperConfig

    config: Any = WhisperConfig.from_pretrained(source)
    # OpenAI's rule: English models have one token fewer than the smallest multilingual one.
    return int(config.vocab_size) >= 51865
