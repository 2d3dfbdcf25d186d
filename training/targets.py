"""What the decoder is given and has to say for a draw, and the audio that goes with it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from data.audio import SAMPLE_RATE, Samples
from data.augmentation.no_speech import no_speech
from data.augmentation.samples import generator, of_length
from training.alignment import SpokenWord, speech_span
from training.clips import Draw, First
from training.samples import (
    LeadingSilence,
    NoSpeech,
    Prefix,
    Prompted,
    Timestamps,
    cut_at,
    prompt_text,
)

_TIMES_PER_SECOND = 50
"""Whisper's time tokens are 20 ms apart, the step of its encoder."""


@dataclass(frozen=True, slots=True)
class Target:
    """What the decoder is given for one draw, and what it has to say.

    Attributes:
        prompt: tokens before the text.
        text: the text's tokens, times among them.
        first: what has to be said after `<|startoftranscript|>`; None to take no loss there.
    """

    prompt: list[int]
    text: list[int]
    first: First | None


@dataclass(frozen=True)
class Spoken:
    """What a draw needs to know of a training clip.

    Attributes:
        tokens: of its text.
        prompt: tokens before a transcript without times, in the clip's language.
        words: when they are spoken; empty where no draw asks for it.
    """

    tokens: list[int]
    prompt: list[int]
    words: Sequence[SpokenWord] = ()


@dataclass(frozen=True)
class SpecialTokens:
    """Ids of the tokens that tell the kinds apart, and how many the decoder holds.

    Attributes:
        previous: `<|startofprev|>`.
        no_speech: `<|nospeech|>`, called `<|nocaptions|>` in some vocabularies.
        first_time: `<|0.00|>`; the last is `<|30.00|>`.
        positions: of the decoder.
    """

    previous: int
    no_speech: int
    first_time: int
    positions: int

    @classmethod
    def of(cls, model: Any) -> SpecialTokens:
        """Those of a Whisper model, from its generation configuration."""
        own = model.generation_config
        without_times = int(own.no_timestamps_token_id)
        # As OpenAI numbers them, in every vocabulary: startoflm, startofprev, nospeech,
        # notimestamps, 0.00.
        return cls(
            without_times - 2,
            without_times - 1,
            without_times + 1,
            int(model.config.max_target_positions),
        )

    @property
    def longest_prompt(self) -> int:
        """Text tokens before a transcript at most: half of the decoder, as Whisper has it."""
        return self.positions // 2 - 1

    def time(self, seconds: float) -> int:
        """The token of a time, rounded to 20 ms.

        Raises:
            ValueError: it is not within the 30 s window.
        """
        step = round(seconds * _TIMES_PER_SECOND)
        if not 0 <= step <= 30 * _TIMES_PER_SECOND:
            raise ValueError(f"{seconds:.2f} s is not within Whisper's window of 30 s")
        return self.first_time + step

    def seconds(self, token: int) -> float | None:
        """The time that a token stands for; None where it is no time."""
        step = token - self.first_time
        return step / _TIMES_PER_SECOND if 0 <= step <= 30 * _TIMES_PER_SECOND else None


@dataclass(frozen=True)
class Composer:
    """Makes the audio and the target of every draw of a training.

    Attributes:
        clips: the training clips.
        durations: seconds of each.
        texts: their transcripts.
        rare: of each, its words, the rarest first (`training.samples.rare_words`).
        special: ids of special tokens.
        encode: tokens of a text that starts with a space.
        read: the samples of a clip.
        decides: whether a loss is taken where the model decides if somebody speaks: it must be on
            speech too once there are draws without, or everything comes to be silence.
    """

    clips: Sequence[Spoken]
    durations: Sequence[float]
    texts: Sequence[str]
    rare: Sequence[list[str]]
    special: SpecialTokens
    encode: Callable[[str], list[int]]
    read: Callable[[int], Samples]
    decides: bool
    _spans: dict[int, tuple[float, float]] = field(default_factory=dict)

    def audio(self, draw: Draw) -> Samples:
        """The samples of a draw, before its speed is changed."""
        sample, clip = draw.sample, self.read(draw.clip)
        if isinstance(sample, LeadingSilence):
            return np.concatenate([_silence(sample.lead), clip])
        if isinstance(sample, Timestamps):
            parts = [_silence(sample.lead), clip]
            if sample.second is not None:
                parts += [_silence(sample.gap), self.read(sample.second)]
            return np.concatenate(parts)
        if isinstance(sample, NoSpeech):
            rng = generator(*sample.key, "no speech")
            return no_speech(sample.sound, len(clip), sample.level, clip, rng)
        if isinstance(sample, Prefix):
            # The plan's width holds, whatever the cut is moved by.
            whole = round(sample.share * len(clip))
            return of_length(clip[: round(self._cut(draw)[0] * SAMPLE_RATE)], whole)
        return clip

    def target(self, draw: Draw) -> Target:
        """What the decoder is given and has to say for a draw."""
        sample, clip = draw.sample, self.clips[draw.clip]
        prompt, text = clip.prompt, clip.tokens
        if isinstance(sample, NoSpeech):
            return Target(prompt, [], First(0, self.special.no_speech))
        if isinstance(sample, Timestamps):
            # Without <|notimestamps|>, the last of the prompt.
            return self._decided(prompt[:-1], self._timed(draw, sample))
        if isinstance(sample, Prefix):
            heard = self._cut(draw)[1]
            return self._decided(prompt, text[: clip.words[heard - 1].tokens] if heard else [])
        if isinstance(sample, Prompted):
            before = self._before(draw.clip, sample)
            return self._decided([*before, *prompt], text, len(before))
        return self._decided(prompt, text)

    def _decided(self, prompt: list[int], text: list[int], start: int = 0) -> Target:
        after = prompt[start + 1 :] or text
        first = First(start, after[0]) if self.decides and after else None
        return Target(prompt, text, first)

    def _cut(self, draw: Draw) -> tuple[float, int]:
        words = self.clips[draw.clip].words
        wanted = draw.unchanged_seconds(self.durations)
        return cut_at(wanted, [(word.start, word.end) for word in words])

    def _timed(self, draw: Draw, sample: Timestamps) -> list[int]:
        low, high = self._span(draw.clip)
        tokens = self._segment(draw, sample.lead, low, high, draw.clip)
        if sample.second is not None:
            offset = sample.lead + self.durations[draw.clip] + sample.gap
            tokens += self._segment(draw, offset, *self._span(sample.second), sample.second)
        return tokens

    def _segment(self, draw: Draw, offset: float, low: float, high: float, clip: int) -> list[int]:
        start, end = (self.special.time((offset + at) / draw.speed) for at in (low, high))
        return [start, *self.clips[clip].tokens, end]

    def _span(self, clip: int) -> tuple[float, float]:
        if clip not in self._spans:
            samples = self.read(clip)
            self._spans[clip] = speech_span(samples) or (0.0, len(samples) / SAMPLE_RATE)
        return self._spans[clip]

    def _before(self, clip: int, sample: Prompted) -> list[int]:
        text = prompt_text(sample, clip, self.texts, self.rare)
        if not text:
            return []
        spoken = self.clips[clip]
        room = self.special.positions - len(spoken.prompt) - len(spoken.tokens) - 2
        most = min(self.special.longest_prompt, room)
        # What is nearest to the transcript is kept, as Whisper does.
        return [self.special.previous, *self.encode(text)[-most:]] if most > 0 else []


def special_kinds(plan: Sequence[Sequence[Draw]]) -> Mapping[str, int]:
    """How many draws of a plan are of each kind that is not plain."""
    kinds = (draw.sample.kind for batch in plan for draw in batch)
    return Counter(kind for kind in kinds if kind != "plain")


def _silence(seconds: float) -> Samples:
    return np.zeros(round(seconds * SAMPLE_RATE), dtype=np.float32)
