"""Whisper on CTranslate2: building an engine from a Hugging Face folder, and running it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from serving.engines.contracts import EngineDescription, EngineSpec, Samples
from serving.engines.description import read_description, verify_files, write_description
from serving.engines.offered import EngineName, check_source
from serving.engines.tokens import FILE as TOKENIZER
from serving.engines.whisper import Aligned, Generated, Mels, Sampling, WhisperEngine
from voiceforge.files import sha256_folder

KIND = "ctranslate2"
# CTranslate2 computes float16 on GPUs only: on a CPU such weights are widened, which is exact.
COMPUTE_TYPES = {
    "int8": "int8",
    "int8_float32": "int8_float32",
    "float32": "float32",
    "float16": "float32",
}


def build(
    source: Path,
    out: Path,
    spec: EngineSpec,
    source_sha256: str,
    trailing_silence: float,
    *,
    calibration: Sequence[Samples] = (),
) -> EngineDescription:
    """Build an engine folder: the CTranslate2 model, its tokenizer and `engine.json`.

    Args:
        source: Hugging Face folder of a Whisper model (safetensors, tokenizer.json).
        out: an empty folder.
        spec: precision, language and shortest mel.
        source_sha256: tensor digest of the source model, recorded as the engine's origin.
        trailing_silence: seconds of silence appended to a clip before decoding.
        calibration: not needed by any precision of CTranslate2.

    Raises:
        UsageError: the source is no Whisper folder, or the precision is not known.
        StorageError: the disk is full or read-only.
    """
    from ctranslate2.converters import TransformersConverter
    from transformers.utils.logging import disable_progress_bar

    check_source(source, EngineName(KIND, spec.precision))
    disable_progress_bar()
    converter = TransformersConverter(str(source), copy_files=[TOKENIZER])
    converter.convert(str(out), quantization=spec.precision, force=True)
    model = _load_model(out, spec.precision, threads=1)
    description = EngineDescription(
        kind=KIND,
        precision=spec.precision,
        minimum_mel_frames=spec.minimum_mel_frames,
        language=spec.language,
        multilingual=bool(model.is_multilingual),
        n_mels=int(model.n_mels),
        source_sha256=source_sha256,
        files=sha256_folder(out),
        tool_versions={name: version(name) for name in ("ctranslate2", "transformers")},
        trailing_silence=trailing_silence,
    )
    write_description(out, description)
    return description


def load(path: Path, *, threads: int) -> CTranslate2Engine:
    """Load an engine folder after checking every file against `engine.json`.

    Raises:
        StorageError: there is no engine.json.
        IntegrityError: a file is not what was built.
        UsageError: the model does not know the engine's language.
    """
    description = read_description(path)
    verify_files(path, description)
    return CTranslate2Engine(path, description, threads)


def _load_model(path: Path, precision: str, threads: int) -> Any:
    import ctranslate2

    return ctranslate2.models.Whisper(
        str(path),
        device="cpu",
        compute_type=COMPUTE_TYPES[precision],
        intra_threads=threads,
        inter_threads=1,
    )


class CTranslate2Engine(WhisperEngine):
    """A loaded Whisper engine; see `serving.engines.contracts.Engine`."""

    def __init__(self, path: Path, description: EngineDescription, threads: int) -> None:
        super().__init__(path, description)
        self._path, self._threads = path, threads
        self._model = _load_model(path, description.precision, threads)

    def encode(self, mels: Mels) -> Any:
        import ctranslate2

        return self._model.encode(ctranslate2.StorageView.from_array(mels))

    def generate(
        self,
        encoded: Any,
        prompt: Sequence[int],
        limit: int,
        *,
        beam_size: int,
        penalty: float,
        sampling: Sampling | None = None,
    ) -> list[Generated]:
        """As `WhisperEngine.generate`; a beam search hands out no log-probabilities."""
        greedy = beam_size == 1
        model = self._model if sampling is None else self._sampler(sampling.seed)
        results = model.generate(
            encoded,
            [list(prompt)] * encoded.shape[0],
            beam_size=beam_size,
            # CTranslate2 allows min(max_length / 2, max_length - prompt) new tokens.
            max_length=max(2 * limit, limit + len(prompt)),
            repetition_penalty=penalty,
            return_no_speech_prob=True,
            return_logits_vocab=greedy,
            return_scores=not greedy,
            sampling_topk=1 if sampling is None else 0,
            sampling_temperature=1.0 if sampling is None else sampling.temperature,
        )
        return [_generated(result, self.tokens.end, greedy=greedy) for result in results]

    def _sampler(self, seed: int) -> Any:
        """The model with generators of its own: CTranslate2 seeds a thread's when it first draws,
        and never again."""
        import ctranslate2

        ctranslate2.set_random_seed(seed)
        return _load_model(self._path, self.description.precision, self._threads)

    def align(
        self,
        encoded: Any,
        start: Sequence[int],
        tokens: Sequence[Sequence[int]],
        positions: Sequence[int],
    ) -> list[Aligned]:
        found = self._model.align(encoded, list(start), [list(ids) for ids in tokens], positions)
        return [
            Aligned(one.alignments, [_log(probability) for probability in one.text_token_probs])
            for one in found
        ]

    def likeliest_language(self, mel: Mels) -> str:
        import ctranslate2

        ((best, *_),) = self._model.detect_language(ctranslate2.StorageView.from_array(mel))
        return str(best[0]).strip("<|>")


def _generated(result: Any, end: int, *, greedy: bool) -> Generated:
    tokens, silence = result.sequences_ids[0], float(result.no_speech_prob)
    if not greedy:
        total = result.scores[0] * max(1, len(tokens))  # a score is divided by the length
        return Generated(tokens, None, silence, total)
    logprobs = _token_logprobs([*tokens, end], result.logits[0])
    return Generated(tokens, logprobs[: len(tokens)], silence, sum(logprobs))


def _token_logprobs(tokens: Sequence[int], logits: Sequence[Any]) -> list[float]:
    """Log-probabilities of the tokens that have logits: a text that was cut off has no end.

    Exact for what was decoded: suppressed tokens are at minus infinity, as in Whisper. Handing
    the logits out costs less than 1% of decoding; a pass of `align` would cost about half of it.
    """
    logprobs = []
    for token, scores in zip(tokens, logits, strict=False):
        row = np.asarray(scores)
        top = row.max()
        total = float(np.exp(row - top).sum(dtype=np.float64))
        logprobs.append(min(0.0, float(row[token] - top) - math.log(total)))
    return logprobs


def _log(probability: float) -> float:
    return min(0.0, math.log(max(probability, 1e-30)))
