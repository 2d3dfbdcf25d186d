"""Pairs of texts to count errors of: what people wrote, and what a recogniser might make of it.

References are texts of the project: the telephone prompts in five languages and everyday
sentences. A hypothesis is its reference with errors of the usual kinds, drawn by seed: a word
swapped for another of the same language, left out, put in, cut in two, joined to the next, or said
twice. How words are drawn says nothing of any recogniser; what is counted is the counting.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path

from data.sources.base import Reach
from data.sources.prompts import Prompts
from evaluation.text import normalise

LANGUAGES = ("en", "es", "fr", "it", "ru")
_TIMEOUT = 30.0  # seconds


def prompt_texts(cache: Path, language: str) -> list[str]:
    """Texts of the telephone prompts as they were written, those with a word."""
    plan = Prompts(language).plan(Reach(cache, offline=False, timeout=_TIMEOUT))
    return [one.text for one in plan.recordings if normalised(one.text, language)]


def normalised(text: str, language: str) -> str:
    """As word error rates of the language are counted."""
    return normalise(text, "whisper-english" if language == "en" else "whisper-basic", language)


def pairs(cache: Path, *, rate: float, seed: int) -> tuple[list[str], list[str]]:
    """Every prompt of every language, normalised, and the same with errors.

    Args:
        cache: where the prompts lie or are fetched to.
        rate: share of words at which something goes wrong, 0..1.
        seed: of the errors.
    """
    chance = random.Random(seed)
    references: list[str] = []
    hypotheses: list[str] = []
    for language in LANGUAGES:
        texts = [normalised(text, language) for text in prompt_texts(cache, language)]
        words = [word for text in texts for word in text.split()]
        references += texts
        hypotheses += [misheard(text, words, rate, chance) for text in texts]
    return references, hypotheses


def misheard(text: str, words: Sequence[str], rate: float, chance: random.Random) -> str:
    """A text with errors at that share of its words, other words taken from `words`."""
    heard: list[str] = []
    for word in text.split():
        if chance.random() >= rate:
            heard.append(word)
            continue
        error = chance.choice(("swap", "swap", "swap", "drop", "add", "cut", "join", "twice"))
        if error == "swap":
            heard.append(chance.choice(words))
        elif error == "add":
            heard += [word, chance.choice(words)]
        elif error == "cut" and len(word) > 1:
            at = chance.randrange(1, len(word))
            heard += [word[:at], word[at:]]
        elif error == "join" and heard:
            heard[-1] += word
        elif error == "twice":
            heard += [word, word]
    return " ".join(heard)
