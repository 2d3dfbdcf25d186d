"""Words from tokens: which tokens make a word, and where an alignment puts it in the audio."""

from __future__ import annotations

import string
from collections.abc import Callable, Sequence

import numpy as np

from serving.engines.contracts import Word

Decode = Callable[[Sequence[int]], str]

SECONDS_PER_POSITION = 0.02
"""An encoder position covers two mel frames."""

_WITHOUT_SPACES = frozenset({"zh", "ja", "th", "lo", "my", "yue", "km"})
_OPENING = "\"'“¿([{-«„"
_PUNCTUATION = string.punctuation + "。，！？：”、»…¡¿«„“"


def split_words(tokens: Sequence[int], decode: Decode, language: str) -> list[list[int]]:
    """Group text tokens into words; the groups joined are `tokens` again.

    A word starts at a token with a leading space; in languages written without spaces every
    character that is complete is a word. Punctuation stays with the word before it, opening
    punctuation with the word after it.
    Source: Whisper's timing.py and tokenizer.py (split_to_word_tokens, merge_punctuations).
    """
    words: list[list[int]] = []
    opened = False
    for group in _whole_characters(tokens, decode):
        text = decode(group)
        is_punctuation = _is_punctuation(text)
        opens = is_punctuation and text.strip() in _OPENING and text.startswith(" ")
        starts = (
            not words
            or opens
            or (not opened and not is_punctuation and _starts_word(text, language))
        )
        if starts:
            words.append(list(group))
        else:
            words[-1].extend(group)
        opened = opens
    return words


def _is_punctuation(text: str) -> bool:
    return bool(text.strip()) and all(character in _PUNCTUATION for character in text.strip())


def _starts_word(text: str, language: str) -> bool:
    return language in _WITHOUT_SPACES or text.startswith(" ")


def _whole_characters(tokens: Sequence[int], decode: Decode) -> list[list[int]]:
    """Group tokens so that no group ends inside a character (a token may hold part of one)."""
    groups: list[list[int]] = []
    pending: list[int] = []
    for token in tokens:
        pending.append(token)
        # No character of UTF-8 has more than four bytes: four tokens that end in none are broken.
        if not decode(pending).endswith("�") or len(pending) >= 4:
            groups.append(pending)
            pending = []
    if pending:
        groups.append(pending)
    return groups


def place_words(
    groups: Sequence[Sequence[int]],
    alignment: Sequence[tuple[int, int]],
    probabilities: Sequence[float],
    decode: Decode,
    duration: float,
) -> tuple[Word, ...]:
    """Give words their times.

    Args:
        groups: `split_words`'s result.
        alignment: the path of dynamic time warping, pairs (token index, encoder position), where
            index len(tokens) stands for the end of the text.
        probabilities: of each token; a word's confidence is their mean.
        duration: seconds of audio; no word ends after it.

    Returns:
        The words, starts in order, 0 <= start <= end <= duration.
    """
    indices = np.array([pair[0] for pair in alignment])
    positions = np.array([pair[1] for pair in alignment])
    is_jump = np.diff(indices, prepend=-1).astype(bool)
    begins = np.minimum(positions[is_jump] * SECONDS_PER_POSITION, duration)
    words = []
    first = 0
    for group in groups:
        last = first + len(group)
        text = decode(group).strip()
        if text:
            confidence = float(np.mean(probabilities[first:last]))
            # A pause is aligned to the punctuation before it: the word ends where that begins.
            spoken = last
            while spoken > first + 1 and _is_punctuation(decode([group[spoken - first - 1]])):
                spoken -= 1
            end = float(begins[spoken]) if spoken < len(begins) else duration
            words.append(Word(text, round(float(begins[first]), 2), round(end, 2), confidence))
        first = last
    return tuple(words)
