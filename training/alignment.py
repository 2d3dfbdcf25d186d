"""When each word of a clip is spoken: cross-attention and dynamic time warping, as Whisper does it.

The base model hears the clip with its transcript given; the heads that its generation
configuration names for alignment say where it listened for each token. Several clips share one
30 s window, which is what the model knows, and each is warped within its own part of it, so that
no word strays into a neighbour and an hour of short clips costs minutes.

Source: OpenAI's whisper/timing.py (find_alignment); the ends of speech are Silero VAD's, because
the path of a warping begins with the clip and ends with it, silent or not.
"""

from __future__ import annotations

import string
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from data.audio import SAMPLE_RATE, Samples
from data.features import HOP, WINDOW_FRAMES, Floats, log_mel
from data.speech_activity import SPEECH, WINDOW, speech_probabilities

SECONDS_PER_POSITION = 0.02
"""An encoder position covers two mel frames."""

_LATE = 0.08
"""Seconds by which the path of a warping comes late. Measured with whisper-tiny.en on 76 words that
eSpeak NG spoke and timed itself: starts 0.09 s late in the median, ends 0.09."""
_GAP = 0.5
"""Seconds of silence between two clips of a window."""
_PUNCTUATION = string.punctuation + "。，！？：”、»…¡¿«„“"
_WINDOW_SECONDS = WINDOW_FRAMES * HOP / SAMPLE_RATE


@dataclass(frozen=True, slots=True)
class SpokenWord:
    """A word of a clip.

    Attributes:
        text: the word with its punctuation, as the transcript has it.
        start: seconds from the start of the clip.
        end: seconds, at least `start`; punctuation, to which a pause is aligned, is not part of it.
        tokens: tokens of the transcript up to the end of this word, punctuation included.
    """

    text: str
    start: float
    end: float
    tokens: int


@dataclass(frozen=True, slots=True)
class Transcribed:
    """A clip and its transcript.

    Attributes:
        samples: mono audio at 16 kHz.
        text: its transcript; words are what white space divides.
    """

    samples: Samples
    text: str


def speech_span(samples: Samples) -> tuple[float, float] | None:
    """Seconds at which speech starts and ends; None where nobody speaks.

    Source: Silero VAD's windows of 32 ms at its own threshold, and one more before them, which is
    about the padding (30 ms) that it gives speech by default; behind speech it is late by itself.
    """
    if not samples.size:
        return None
    (heard,) = np.nonzero(speech_probabilities(samples) >= SPEECH)
    if not heard.size:
        return None
    first, last = (int(heard[0]) - 1) * WINDOW, (int(heard[-1]) + 1) * WINDOW
    return max(0, first) / SAMPLE_RATE, min(last, samples.size) / SAMPLE_RATE


def word_tokens(tokenizer: Any, text: str) -> list[tuple[str, list[int], int]]:
    """The words of a text, the tokens of each, and how many of these are spoken.

    Joined, the tokens are those of the text: Whisper's pre-tokenizer never joins across a space.
    """
    words = []
    for word in text.split():
        tokens = tokenizer.encode(f" {word}", add_special_tokens=False)
        bare = word.rstrip(_PUNCTUATION)
        spoken = len(tokenizer.encode(f" {bare}", add_special_tokens=False)) if bare else 0
        words.append((word, list(tokens), min(max(spoken, 1), len(tokens))))
    return words


def align_words(
    model: Any, tokenizer: Any, prompt: Sequence[int], clips: Sequence[Transcribed]
) -> Iterator[list[SpokenWord]]:
    """The words of each clip with their times, in order.

    Args:
        model: a `training.context.LengthMatchedWhisper` without adapters.
        tokenizer: its tokenizer.
        prompt: from `training.context.prompt_tokens`.
        clips: each at most 30 s; a transcript that does not fit the decoder has no words here.
    """
    before = model.config._attn_implementation
    # Others do not return what they attend to.
    model.set_attn_implementation("eager")
    try:
        for window in _windows(tokenizer, clips, model.config.max_target_positions - len(prompt)):
            yield from _align_window(model, tokenizer, prompt, window)
    finally:
        model.set_attn_implementation(before)


@dataclass(frozen=True)
class _Part:
    """A clip in a window."""

    clip: Transcribed
    words: list[tuple[str, list[int], int]]

    @property
    def tokens(self) -> list[int]:
        return [token for _, tokens, _ in self.words for token in tokens]

    @property
    def seconds(self) -> float:
        return len(self.clip.samples) / SAMPLE_RATE


def _windows(tokenizer: Any, clips: Sequence[Transcribed], room: int) -> Iterator[list[_Part]]:
    window: list[_Part] = []
    for clip in clips:
        part = _Part(clip, word_tokens(tokenizer, clip.text))
        if len(part.tokens) > room:
            part = _Part(clip, [])
        seconds = sum(one.seconds + _GAP for one in window) + part.seconds
        tokens = sum(len(one.tokens) for one in window) + len(part.tokens)
        if window and (seconds > _WINDOW_SECONDS or tokens > room):
            yield window
            window = []
        window.append(part)
    if window:
        yield window


def _align_window(
    model: Any, tokenizer: Any, prompt: Sequence[int], window: Sequence[_Part]
) -> Iterator[list[SpokenWord]]:
    gap = np.zeros(round(_GAP * SAMPLE_RATE), dtype=np.float32)
    audio = np.concatenate([piece for part in window for piece in (part.clip.samples, gap)])
    tokens = [token for part in window for token in part.tokens]
    weights = _attention(model, audio, [*prompt, *tokens])
    row, second = len(prompt) - 1, 0.0
    for part in window:
        first = round(second / SECONDS_PER_POSITION)
        last = first + max(1, round(part.seconds / SECONDS_PER_POSITION))
        count = len(part.tokens)
        # The row of a token is that of the token before it, which predicts it.
        yield _placed(part, weights[row : row + count, first:last]) if count else []
        row += count
        second += part.seconds + _GAP


def _attention(model: Any, audio: Samples, tokens: Sequence[int]) -> Floats:
    """What the alignment heads listened to: [tokens, positions], normalised and smoothed."""
    from transformers.models.whisper.generation_whisper import _median_filter

    mel = log_mel(audio, model.config.num_mel_bins, WINDOW_FRAMES)
    with torch.no_grad():
        out = model(
            input_features=torch.from_numpy(mel)[None],
            decoder_input_ids=torch.tensor([list(tokens)]),
            output_attentions=True,
        )
    heads = model.generation_config.alignment_heads
    weights = torch.stack([out.cross_attentions[layer][0, head] for layer, head in heads])
    deviation, mean = torch.std_mean(weights, dim=-2, keepdim=True, unbiased=False)
    smooth = _median_filter((weights - mean) / deviation, model.config.median_filter_width)
    return np.asarray(smooth.mean(dim=0), dtype=np.float32)


def _placed(part: _Part, weights: Floats) -> list[SpokenWord]:
    from transformers.models.whisper.generation_whisper import _dynamic_time_warping

    rows, positions = _dynamic_time_warping(-weights)
    _, firsts = np.unique(rows, return_index=True)
    starts = [*(positions[firsts] * SECONDS_PER_POSITION - _LATE).tolist(), part.seconds]
    low, high = speech_span(part.clip.samples) or (0.0, part.seconds)
    words, at = [], 0
    for text, tokens, spoken in part.words:
        start = min(max(starts[at], low), high)
        end = min(max(starts[at + spoken], start), high)
        at += len(tokens)
        words.append(SpokenWord(text, start, end, at))
    return words
