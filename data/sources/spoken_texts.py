"""Texts for machines to speak: each once, none endless, in an order that additions keep."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any, Protocol, TypeVar

from data.sources.base import Reach
from data.sources.prompts import Prompts
from data.sources.sentences import Sentences
from data.splits import text_key
from voiceforge.params import Consent
from voiceforge.params.sources import Texts

LONGEST_TEXT = 60
"""Words: at eSpeak's pace about 25 s, so that every clip fits Whisper's window."""


class SpokenText(Protocol):
    """What a machine can be given to speak; see `data.sources.base.Recording`."""

    @property
    def id(self) -> str: ...
    @property
    def text(self) -> str: ...
    @property
    def language(self) -> str: ...
    @property
    def licence(self) -> str: ...
    @property
    def consent(self) -> Consent: ...


TextT = TypeVar("TextT", bound=SpokenText)


def texts_of(kind: Texts, language: str, reach: Reach) -> Sequence[SpokenText]:
    """The texts that a source's `texts` names.

    Raises:
        SourceError, IntegrityError: they cannot be had.
    """
    if kind == "sentences":
        return Sentences(language).texts(reach)
    return Prompts(language).plan(reach).recordings


def texts_fingerprint(kind: Texts, language: str) -> Any:
    """What decides which texts those are."""
    return (Sentences if kind == "sentences" else Prompts)(language).fingerprint()


def short_id(text: SpokenText) -> str:
    """A text's id for a recording's: without what says that it is a prompt."""
    return text.id.removeprefix(f"prompts-{text.language}-")


def speakable(texts: Sequence[TextT]) -> tuple[dict[str, TextT], dict[str, int]]:
    """The first of every text by its key, in the keys' order, and what was skipped."""
    by_key = {text_key(one.text): one for one in reversed(texts)}
    kept = {k: one for k, one in sorted(by_key.items()) if len(one.text.split()) <= LONGEST_TEXT}
    too_long = len(by_key) - len(kept)
    return kept, {f"texts over {LONGEST_TEXT} words": too_long} if too_long else {}


def shuffled(texts: Sequence[tuple[str, TextT]], salt: str) -> list[TextT]:
    """In the order of a hash, so that a text that is added or removed moves no other."""

    def order(pair: tuple[str, TextT]) -> str:
        return hashlib.sha256(f"{salt}:{pair[0]}".encode()).hexdigest()

    return [one for _, one in sorted(texts, key=order)]
