"""Whisper on CTranslate2: building an engine from a Hugging Face folder, and running it.

Clips are decoded at their own length (plus the silence the model was trained with) rather than in
Whisper's 30 s window, down to the engine's `minimum_mel_frames`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from data.features import HOP, SAMPLE_RATE, WINDOW_FRAMES, log_mel
from serving.engines.batching import buckets, mel_length, most_tokens
from serving.engines.contracts import (
    DecodingOptions,
    EngineDescription,
    EngineSpec,
    Samples,
    Transcript,
    Word,
)
from serving.engines.description import read_description, verify_files, write_description
from serving.engines.words import place_words, split_words
from voiceforge.errors import IntegrityError, UsageError
from voiceforge.files import sha256_folder

KIND = "ctranslate2"
MOST_SAMPLES = WINDOW_FRAMES * HOP
CONTEXT_TOKENS = 448
"""Positions of Whisper's decoder: prompt, start tokens and text together."""

REPETITION_PENALTY = 1.3
"""Of the second try at a text that repeats itself: Keskar et al. 2019, arXiv:1909.05858, 4.1.

On speech that the base model loops on (2 of 444 clips of dev and training voices) 1.1 and 1.3 left
8 errors in 15 words, a ban of repeated n-grams 11 to 19, the loops 224.
"""

_TOKENIZER = "tokenizer.json"
# CTranslate2 computes float16 on GPUs only: on a CPU such weights are widened, which is exact.
_COMPUTE_TYPES = {
    "int8": "int8",
    "int8_float32": "int8_float32",
    "float32": "float32",
    "float16": "float32",
}


def build(
    source: Path, out: Path, spec: EngineSpec, source_sha256: str, trailing_silence: float
) -> EngineDescription:
    """Build an engine folder: the CTranslate2 model, its tokenizer and `engine.json`.

    Args:
        source: Hugging Face folder of a Whisper model (safetensors, tokenizer.json).
        out: an empty folder.
        spec: precision, language and shortest mel.
        source_sha256: tensor digest of the source model, recorded as the engine's origin.
        trailing_silence: seconds of silence appended to a clip before decoding.

    Raises:
        UsageError: the source is no Whisper folder, or the precision is not known.
        StorageError: the disk is full or read-only.
    """
    from ctranslate2.converters import TransformersConverter
    from transformers.utils.logging import disable_progress_bar

    if spec.precision not in _COMPUTE_TYPES:
        raise UsageError(
            f"The precision {spec.precision!r} is not known. Known: {', '.join(_COMPUTE_TYPES)}."
        )
    if not (source / "model.safetensors").is_file() or not (source / _TOKENIZER).is_file():
        raise UsageError(
            f"{source} holds no model.safetensors and {_TOKENIZER}, so no engine can be built "
            "from it. Give the folder of a base or merged Whisper model."
        )
    disable_progress_bar()
    converter = TransformersConverter(str(source), copy_files=[_TOKENIZER])
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
        compute_type=_COMPUTE_TYPES[precision],
        intra_threads=threads,
        inter_threads=1,
    )


class CTranslate2Engine:
    """A loaded Whisper engine; see `serving.engines.contracts.Engine`."""

    def __init__(self, path: Path, description: EngineDescription, threads: int) -> None:
        from tokenizers import Tokenizer

        self.description = description
        self._tokenizer = Tokenizer.from_file(str(path / _TOKENIZER))
        self._end = self._special("<|endoftext|>")
        self._start(description.language)
        self._model = _load_model(path, description.precision, threads)

    def transcribe(
        self, clips: Sequence[Samples], options: DecodingOptions | None = None
    ) -> list[Transcript]:
        """Transcribe clips of at most 30 s each, in order; a clip without samples is empty.

        Raises:
            ValueError: a clip is not mono float32, longer than 30 s, or holds NaN or infinity;
                or `max_new_tokens` is not in 1..224.
            UsageError: the model does not know the language that the options ask for.
        """
        options = options or DecodingOptions()
        if not 1 <= options.max_new_tokens <= CONTEXT_TOKENS // 2:
            raise ValueError(
                f"max_new_tokens is {options.max_new_tokens}; the decoder has room for "
                f"1 to {CONTEXT_TOKENS // 2}"
            )
        options = replace(options, language=options.language or self.description.language)
        for index, clip in enumerate(clips):
            _check(clip, index)
        results = [Transcript("", options.language, (), 1.0) for _ in clips]
        heard = [index for index, clip in enumerate(clips) if len(clip)]
        frames = [self._frames(len(clips[index])) for index in heard]
        for group in buckets(frames):
            indices = [heard[place] for place in group]
            width = max(frames[place] for place in group)
            batch = self._decode([clips[index] for index in indices], width, options)
            for index, transcript in zip(indices, batch, strict=True):
                results[index] = transcript
        return results

    def detect_language(self, clip: Samples) -> str:
        """The likeliest language of a clip of at most 30 s, as Whisper hears it: in a full window.

        Raises:
            ValueError: as `transcribe`.
        """
        import ctranslate2

        _check(clip, 0)
        if not self.description.multilingual or not len(clip):
            return self.description.language
        mel = log_mel(clip, self.description.n_mels, WINDOW_FRAMES)[np.newaxis]
        ((best, *_),) = self._model.detect_language(ctranslate2.StorageView.from_array(mel))
        return str(best[0]).strip("<|>")

    def _frames(self, samples: int) -> int:
        return mel_length(
            samples,
            trailing_silence=self.description.trailing_silence,
            minimum_mel_frames=self.description.minimum_mel_frames,
        )

    def _decode(
        self, clips: Sequence[Samples], frames: int, options: DecodingOptions
    ) -> list[Transcript]:
        import ctranslate2

        mels = np.stack([log_mel(clip, self.description.n_mels, frames) for clip in clips])
        encoded = self._model.encode(ctranslate2.StorageView.from_array(mels))
        start = self._start(options.language)
        prompt = self._prompt(options.prompt, start)
        greedy = options.beam_size == 1
        most = [most_tokens(len(clip)) for clip in clips]
        limits = [min(bound, options.max_new_tokens) for bound in most]
        results = self._generate(encoded, prompt, max(limits), options)
        # Speech never fills a clip's bound: a text that does repeats itself, and is asked again.
        stuck = [
            index
            for index, result in enumerate(results)
            if len(result.sequences_ids[0]) >= most[index]
        ]
        if stuck:
            again = self._model.encode(ctranslate2.StorageView.from_array(mels[stuck]))
            bound = max(limits[index] for index in stuck)
            freed = self._generate(again, prompt, bound, options, penalty=REPETITION_PENALTY)
            for index, result in zip(stuck, freed, strict=True):
                results[index] = result
        tokens = [
            [token for token in result.sequences_ids[0][:limit] if token < self._end]
            for result, limit in zip(results, limits, strict=True)
        ]
        aligned: list[Any] = [None] * len(clips)
        if options.word_times or not greedy:
            aligned = self._align(encoded, start, clips, tokens)
        transcripts = []
        for clip, ids, result, alignment in zip(clips, tokens, results, aligned, strict=True):
            logprobs = _token_logprobs(result, ids) if greedy else _aligned_logprobs(alignment)
            words: tuple[Word, ...] = ()
            if options.word_times and alignment is not None:
                words = place_words(
                    split_words(ids, self._text, options.language),
                    alignment.alignments,
                    np.exp(logprobs).tolist(),
                    self._text,
                    len(clip) / SAMPLE_RATE,
                )
            transcripts.append(
                Transcript(
                    text=self._text(ids).strip(),
                    language=options.language,
                    token_logprobs=logprobs,
                    no_speech_probability=min(1.0, max(0.0, float(result.no_speech_prob))),
                    words=words,
                )
            )
        return transcripts

    def _generate(
        self,
        encoded: Any,
        prompt: list[int],
        limit: int,
        options: DecodingOptions,
        *,
        penalty: float = 1.0,
    ) -> list[Any]:
        """CTranslate2's results of a batch; each has at most `limit` new tokens."""
        results: list[Any] = self._model.generate(
            encoded,
            [prompt] * encoded.shape[0],
            beam_size=options.beam_size,
            # CTranslate2 allows min(max_length / 2, max_length - prompt) new tokens.
            max_length=max(2 * limit, limit + len(prompt)),
            repetition_penalty=penalty,
            return_no_speech_prob=True,
            return_logits_vocab=options.beam_size == 1,
        )
        return results

    def _align(
        self, encoded: Any, start: list[int], clips: Sequence[Samples], tokens: list[list[int]]
    ) -> list[Any]:
        """Align the texts that are not empty; None for the others."""
        aligned: list[Any] = [None] * len(tokens)
        if not any(tokens):
            return aligned
        # An empty text cannot be aligned; a batch must stay whole, so it borrows one token.
        borrowed = [ids or start[:1] for ids in tokens]
        heard = [max(2, math.ceil(len(clip) / HOP)) for clip in clips]
        found = self._model.align(encoded, start, borrowed, heard)
        for index, alignment in enumerate(found):
            if tokens[index]:
                aligned[index] = alignment
        return aligned

    def _start(self, language: str) -> list[int]:
        """The tokens that open a transcript in that language."""
        start = [self._special("<|startoftranscript|>")]
        if self.description.multilingual:
            token = self._tokenizer.token_to_id(f"<|{language}|>")
            if token is None:
                raise UsageError(f"The model knows no language {language!r}; write a code like en.")
            return [*start, int(token), self._special("<|transcribe|>")]
        if language != "en":
            raise UsageError(
                f"The language is {language!r}, but the model of this engine knows English only. "
                "Use a multilingual base model, such as whisper-base."
            )
        return start

    def _prompt(self, text: str, start: list[int]) -> list[int]:
        start = [*start, self._special("<|notimestamps|>")]
        if not text.strip():
            return start
        ids = self._tokenizer.encode(" " + text.strip(), add_special_tokens=False).ids
        kept = ids[-(CONTEXT_TOKENS // 2 - 1 - len(start)) :]
        return [self._special("<|startofprev|>"), *kept, *start]

    def _text(self, ids: Sequence[int]) -> str:
        return str(self._tokenizer.decode(list(ids), skip_special_tokens=True))

    def _special(self, token: str) -> int:
        found = self._tokenizer.token_to_id(token)
        if found is None:
            raise IntegrityError(
                f"The engine's tokenizer has no token {token}. It is not the tokenizer of a "
                f"Whisper model for {self.description.language!r}; build the engine again."
            )
        return int(found)


def _check(clip: Samples, index: int) -> None:
    if clip.ndim != 1 or clip.dtype != np.float32:
        raise ValueError(
            f"clip {index} is {clip.dtype} of shape {clip.shape}; mono float32 is needed"
        )
    if len(clip) > MOST_SAMPLES:
        raise ValueError(
            f"clip {index} is {len(clip) / SAMPLE_RATE:.2f} s long; an engine hears at most 30 s "
            "at once (serving.longform cuts longer audio at silences)"
        )
    if not np.isfinite(clip).all():
        raise ValueError(f"clip {index} holds samples that are NaN or infinite")


def _token_logprobs(result: Any, ids: Sequence[int]) -> tuple[float, ...]:
    """Log-probabilities of the text tokens of a greedy result, from the logits of each step.

    Exact for what was decoded: suppressed tokens are at minus infinity, as in Whisper. Handing
    the logits out costs less than 1% of decoding; a pass of `align` would cost about half of it.
    """
    logprobs = []
    for token, logits in zip(ids, result.logits[0], strict=False):
        row = np.asarray(logits)
        top = row.max()
        total = float(np.exp(row - top).sum(dtype=np.float64))
        logprobs.append(min(0.0, float(row[token] - top) - math.log(total)))
    return tuple(logprobs)


def _aligned_logprobs(alignment: Any) -> tuple[float, ...]:
    """Log-probabilities after a beam search, which hands out no logits: of a forced decoding."""
    if alignment is None:
        return ()
    return tuple(min(0.0, math.log(max(p, 1e-30))) for p in alignment.text_token_probs)
