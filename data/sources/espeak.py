"""Synthetic accents: eSpeak NG speaks the texts of the telephone prompts, or everyday sentences.

A speaker is a voice variant in an accent, such as "en-gb-scotland+f2"; params.yaml gives every
variant to one split, and it speaks only texts of that split, so that neither a voice nor a text
is heard on two sides.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any, TypeVar

from data.sources.base import Plan, Reach, Recording, Speech
from data.sources.espeak_library import accents, voices
from data.sources.spoken_texts import (
    SpokenText,
    short_id,
    shuffled,
    speakable,
    texts_fingerprint,
    texts_of,
)
from data.splits import hash_split
from data.utterance import Split
from voiceforge.errors import UsageError
from voiceforge.params import EspeakSource, SplitParams, TermsSource

Text = TypeVar("Text")
Voice = TypeVar("Voice")

_SENTENCE = 3
"""Words from which on a text counts as a sentence; shorter ones are letters, digits and such."""


def speaker_id(accent: str, voice: str) -> str:
    """The speaker that a voice variant is in an accent."""
    return f"espeak:{accent}+{voice}"


@dataclass(frozen=True, slots=True)
class Espeak:
    """eSpeak NG as a source; `splits` decides which texts each voice may speak."""

    params: EspeakSource
    splits: SplitParams

    def plan(self, reach: Reach) -> Plan:
        """Choose the pairs of text and voice.

        Raises:
            UsageError: an accent or a voice that this eSpeak NG does not have.
            SourceError, IntegrityError: the texts cannot be had.
        """
        check_voices(self.params)
        texts = texts_of(self.params.texts, self.params.language, reach)
        return plan_speech(self.params, self.splits, texts)

    def fingerprint(self) -> Any:
        return {
            "espeak": self.params.model_dump(mode="json"),
            "splits": self.splits.model_dump(mode="json"),
            "library": version("espeakng-loader"),
            "texts": texts_fingerprint(self.params.texts, self.params.language),
        }


def plan_speech(params: EspeakSource, splits: SplitParams, texts: Sequence[SpokenText]) -> Plan:
    """Pair texts with voices, deterministically and evenly.

    Train and dev: `clips_per_accent` clips. Test: the held-out texts rotate over the test voices
    until `words_per_accent` words are reached or every pair is used, sentences first, since short
    texts need many clips for few words.
    """
    texts_by_key, skipped = speakable(texts)
    by_split: dict[Split, list[tuple[str, SpokenText]]] = {"train": [], "dev": [], "test": []}
    for key, text in texts_by_key.items():
        by_split[hash_split(key, splits)].append((key, text))
    recordings = [
        _spoken(text, accent, voice)
        for accent in params.accents
        for split, pool in by_split.items()
        for text, voice in _pairs(params, split, shuffled(pool, f"{splits.seed}:{accent}"))
    ]
    return Plan(tuple(recordings), skipped=skipped)


def _pairs(
    params: EspeakSource, split: Split, texts: Sequence[SpokenText]
) -> Iterator[tuple[SpokenText, str]]:
    if split == "test":
        sentences = [text for text in texts if len(text.text.split()) >= _SENTENCE]
        short = [text for text in texts if len(text.text.split()) < _SENTENCE]
        words = 0
        for pool in (sentences, short):
            for text, voice in rotation(pool, params.voices.test):
                if words >= params.words_per_accent:
                    return
                words += len(text.text.split())
                yield text, voice
    else:
        voices = params.voices.train if split == "train" else params.voices.dev
        clips = params.clips_per_accent.train if split == "train" else params.clips_per_accent.dev
        for _, pair in zip(range(clips), rotation(texts, voices), strict=False):
            yield pair


def rotation(texts: Sequence[Text], voices: Sequence[Voice]) -> Iterator[tuple[Text, Voice]]:
    """Every pair once; each pass takes every text once, and voices in turn."""
    for turn in range(len(voices)):
        for at, text in enumerate(texts):
            yield text, voices[(at + turn) % len(voices)]


def _spoken(text: SpokenText, accent: str, voice: str) -> Recording:
    return Recording(
        id=f"espeak-{accent}-{voice.lower()}-{short_id(text)}",
        text=text.text,
        language=text.language,
        accent=accent,
        speaker=speaker_id(accent, voice),
        source="espeak",
        licence=text.licence,
        consent=text.consent,
        is_synthetic=True,
        where=f"{accent}+{voice}",
        audio=Speech("espeak", f"{accent}+{voice}"),
    )


def check_voices(params: EspeakSource | TermsSource) -> None:
    """Raise a UsageError that names what there is when an accent or a voice is not known.

    eSpeak itself speaks on with its default voice and says nothing.
    """
    known = accents(params.language)
    for accent in params.accents:
        if accent not in known:
            raise UsageError(
                f"eSpeak NG has no accent {accent!r} of the language {params.language!r}. It has: "
                f"{', '.join(known)}."
            )
    variants = voices()
    for voice in (*params.voices.train, *params.voices.dev, *params.voices.test):
        if voice not in variants:
            raise UsageError(
                f"eSpeak NG has no voice {voice!r}. It has: {', '.join(variants)}. Those named "
                "like m1 and f1 sound most like people."
            )
