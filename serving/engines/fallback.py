"""Whisper's rules against texts that nobody said: which text is doubted, and which is kept.

Source: OpenAI's whisper/transcribe.py (`decode_with_fallback`, and the no-speech threshold), after
Radford et al. 2022, arXiv:2212.04356, section 4.5. Where every try is doubted OpenAI keeps the
last; here, as in faster-whisper 1.2, the likeliest of those that do not repeat themselves.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from evaluation.whisper_bounds import compression_ratio
from serving.engines.contracts import Fallback


@dataclass(frozen=True, slots=True)
class Tried:
    """A text by the figures that it is judged by.

    Attributes:
        mean_logprob: of its tokens and of its end, natural logarithm.
        no_speech: the model's own probability that nobody speaks.
    """

    text: str
    mean_logprob: float
    no_speech: float


def is_silence(tried: Tried, rules: Fallback) -> bool:
    """Whether a clip holds no speech: it says so, and the model does not believe its text."""
    return tried.no_speech > rules.no_speech and tried.mean_logprob < rules.mean_logprob


def repeats_itself(tried: Tried, rules: Fallback) -> bool:
    return compression_ratio(tried.text) > rules.compression_ratio


def is_doubted(tried: Tried, rules: Fallback) -> bool:
    """Whether another text is to be tried; for silence there is none."""
    if is_silence(tried, rules):
        return False
    return repeats_itself(tried, rules) or tried.mean_logprob < rules.mean_logprob


def kept(tries: Sequence[Tried], rules: Fallback) -> int:
    """Index of the try to keep: the last if it is not doubted, else the likeliest (see above)."""
    if not is_doubted(tries[-1], rules):
        return len(tries) - 1
    every = range(len(tries))
    clean = [index for index in every if not repeats_itself(tries[index], rules)]
    return max(clean or every, key=lambda index: tries[index].mean_logprob)
