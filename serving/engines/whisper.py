"""What every Whisper engine does alike, whatever runs the network: from clips to transcripts.

Clips are decoded at their own length (plus the silence the model was trained with) rather than in
Whisper's 30 s window, down to the engine's `minimum_mel_frames`. A backend brings three steps:
encode mels, generate tokens, align tokens.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from data.features import HOP, SAMPLE_RATE, WINDOW_FRAMES, log_mel
from serving.engines.batching import buckets, mel_length, most_tokens
from serving.engines.contracts import (
    DecodingOptions,
    EngineDescription,
    Fallback,
    Samples,
    Transcript,
    Word,
)
from serving.engines.fallback import Tried, is_doubted, is_silence, kept
from serving.engines.tokens import CONTEXT_TOKENS, WhisperTokens
from serving.engines.words import place_words, split_words

MOST_SAMPLES = WINDOW_FRAMES * HOP

REPETITION_PENALTY = 1.3
"""Of the second try at a text that repeats itself: Keskar et al. 2019, arXiv:1909.05858, 4.1.

On speech that the base model loops on (2 of 444 clips of dev and training voices) 1.1 and 1.3 left
8 errors in 15 words, a ban of repeated n-grams 11 to 19, the loops 224.
"""

Mels = npt.NDArray[np.float32]
"""Log-mel spectrograms of a batch, shape [clips, n_mels, frames]."""


@dataclass(frozen=True, slots=True)
class Generated:
    """What the decoder wrote for one clip.

    Attributes:
        tokens: without the one that ends the text; special ones may be among them.
        logprobs: natural log-probability of each; None where the search does not hand them out.
        no_speech_probability: 0..1.
        total_logprob: of the tokens and the one that ends the text.
    """

    tokens: Sequence[int]
    logprobs: Sequence[float] | None
    no_speech_probability: float
    total_logprob: float


@dataclass(frozen=True, slots=True)
class Sampling:
    """Tokens are drawn instead of taken: a temperature above 0, and the seed of the draws."""

    temperature: float
    seed: int


@dataclass(frozen=True, slots=True)
class Aligned:
    """Where the tokens of one clip lie.

    Attributes:
        path: of dynamic time warping, as `serving.engines.words.place_words` takes it.
        logprobs: of each token when it is forced; None where the search hands them out.
    """

    path: Sequence[tuple[int, int]]
    logprobs: Sequence[float] | None = None


class WhisperEngine(ABC):
    """A loaded Whisper engine; see `serving.engines.contracts.Engine`."""

    def __init__(self, path: Path, description: EngineDescription) -> None:
        self.description = description
        self.tokens = WhisperTokens(
            path, language=description.language, multilingual=description.multilingual
        )

    @abstractmethod
    def encode(self, mels: Mels) -> Any:
        """The encoder's states of a batch, in whatever form `generate` and `align` take them."""

    @abstractmethod
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
        """At most `limit` new tokens for each clip of the batch.

        Args:
            penalty: for repeating a token (Keskar et al. 2019); 1 is none.
            sampling: draw the tokens, with a beam of 1; log-probabilities stay the model's own.
        """

    @abstractmethod
    def align(
        self,
        encoded: Any,
        start: Sequence[int],
        tokens: Sequence[Sequence[int]],
        positions: Sequence[int],
    ) -> list[Aligned]:
        """Align texts of at least one token; `positions` are the mel frames that each clip has."""

    @abstractmethod
    def likeliest_language(self, mel: Mels) -> str:
        """Of a multilingual model, for one full window, shape [1, n_mels, 3000]."""

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
            check_clip(clip, index)
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
        check_clip(clip, 0)
        if not self.description.multilingual or not len(clip):
            return self.description.language
        return self.likeliest_language(self._mels([clip], WINDOW_FRAMES))

    def _frames(self, samples: int) -> int:
        return mel_length(
            samples,
            trailing_silence=self.description.trailing_silence,
            minimum_mel_frames=self.description.minimum_mel_frames,
        )

    def _mels(self, clips: Sequence[Samples], frames: int) -> Mels:
        return np.stack([log_mel(clip, self.description.n_mels, frames) for clip in clips])

    def _decode(
        self, clips: Sequence[Samples], frames: int, options: DecodingOptions
    ) -> list[Transcript]:
        mels = self._mels(clips, frames)
        encoded = self.encode(mels)
        prompt = self.tokens.prompt(options.prompt, options.language)
        most = [most_tokens(len(clip)) for clip in clips]
        limits = [min(bound, options.max_new_tokens) for bound in most]
        beams = options.beam_size
        found = self.generate(encoded, prompt, max(limits), beam_size=beams, penalty=1.0)
        # Speech never fills a clip's bound: a text that does repeats itself, and is asked again.
        stuck = [index for index, one in enumerate(found) if len(one.tokens) >= most[index]]
        if stuck:
            freed = self.generate(
                self.encode(mels[stuck]),
                prompt,
                max(limits[index] for index in stuck),
                beam_size=beams,
                penalty=REPETITION_PENALTY,
            )
            for index, one in zip(stuck, freed, strict=True):
                found[index] = one
        if options.fallback is not None:
            found = self._fallen_back(mels, found, prompt, limits, options.fallback)
        texts = [self._text_tokens(one, limit) for one, limit in zip(found, limits, strict=True)]
        aligned: list[Aligned | None] = [None] * len(clips)
        if options.word_times or any(one.logprobs is None for one in found):
            aligned = self._aligned(encoded, clips, texts, options.language)
        return [
            self._transcript(clip, ids, one, alignment, options)
            for clip, ids, one, alignment in zip(clips, texts, found, aligned, strict=True)
        ]

    def _text_tokens(self, generated: Generated, limit: int) -> list[int]:
        return [token for token in generated.tokens[:limit] if token < self.tokens.end]

    def _fallen_back(
        self,
        mels: Mels,
        found: Sequence[Generated],
        prompt: Sequence[int],
        limits: Sequence[int],
        rules: Fallback,
    ) -> list[Generated]:
        """What the rules make of greedy texts; those that are doubted are tried again together."""
        tries = [[(one, self._tried(one, limits[clip]))] for clip, one in enumerate(found)]
        for number, temperature in enumerate(rules.temperatures):
            doubted = [clip for clip, of in enumerate(tries) if is_doubted(of[-1][1], rules)]
            if not doubted:
                break
            others = self.generate(
                self.encode(mels[doubted]),
                prompt,
                max(limits[clip] for clip in doubted),
                beam_size=1,
                penalty=1.0,
                sampling=Sampling(temperature, rules.seed + number),
            )
            for clip, one in zip(doubted, others, strict=True):
                tries[clip].append((one, self._tried(one, limits[clip])))
        best = [of[kept([tried for _, tried in of], rules)] for of in tries]
        return [
            replace(one, tokens=(), logprobs=()) if is_silence(tried, rules) else one
            for one, tried in best
        ]

    def _tried(self, generated: Generated, limit: int) -> Tried:
        return Tried(
            text=self.tokens.text(self._text_tokens(generated, limit)).strip(),
            mean_logprob=generated.total_logprob / (len(generated.tokens) + 1),
            no_speech=generated.no_speech_probability,
        )

    def _aligned(
        self,
        encoded: Any,
        clips: Sequence[Samples],
        texts: Sequence[Sequence[int]],
        language: str,
    ) -> list[Aligned | None]:
        """Align the texts that are not empty; None for the others."""
        if not any(texts):
            return [None] * len(texts)
        start = self.tokens.start(language)
        # An empty text cannot be aligned; a batch must stay whole, so it borrows one token.
        borrowed = [ids or start[:1] for ids in texts]
        positions = [max(2, math.ceil(len(clip) / HOP)) for clip in clips]
        found = self.align(encoded, start, borrowed, positions)
        return [one if ids else None for ids, one in zip(texts, found, strict=True)]

    def _transcript(
        self,
        clip: Samples,
        ids: Sequence[int],
        generated: Generated,
        aligned: Aligned | None,
        options: DecodingOptions,
    ) -> Transcript:
        if generated.logprobs is not None:
            # Of the text tokens alone: special ones among them are not text.
            pairs = zip(generated.tokens, generated.logprobs, strict=True)
            logprobs = tuple(value for token, value in pairs if token < self.tokens.end)
            logprobs = logprobs[: len(ids)]
        else:
            logprobs = tuple(aligned.logprobs or ()) if aligned else ()
        words: tuple[Word, ...] = ()
        if options.word_times and aligned is not None:
            words = place_words(
                split_words(ids, self.tokens.text, options.language),
                aligned.path,
                np.exp(logprobs).tolist(),
                self.tokens.text,
                len(clip) / SAMPLE_RATE,
            )
        return Transcript(
            text=self.tokens.text(ids).strip(),
            language=options.language,
            token_logprobs=logprobs,
            no_speech_probability=min(1.0, max(0.0, generated.no_speech_probability)),
            words=words,
        )


def check_clip(clip: Samples, index: int) -> None:
    """Raise a ValueError that names the clip when an engine cannot hear it."""
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
