"""Everyday sentences for machines to speak: conversations that a Python package ships as text.

The package (chatterbot-corpus) was written by many hands for chatbots, so that only what reads the
same aloud by whoever speaks it is taken: whole sentences with their capital and their full stop,
without digits, symbols and abbreviations.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from data import catalogue
from data.fetch import fetch
from data.sources.base import Reach, clean_text
from data.split_hash import text_key
from voiceforge.errors import IntegrityError
from voiceforge.files import sha256_json
from voiceforge.params import Consent

_WORDS = range(3, 21)
_WHOLE = re.compile(r"[¿¡]?(?P<first>[^\W\d_])(?:[^\W\d_]|[ ,;:'’-])*[.?!]")
_END = re.compile(r"(?<=[.?!])\s+")


@dataclass(frozen=True, slots=True)
class Sentence:
    """A text without a recording; the attributes are those of a `data.sources.base.Recording`."""

    id: str
    text: str
    language: str
    licence: str
    consent: Consent = "granted"


@dataclass(frozen=True, slots=True)
class Sentences:
    """One language's sentences, fetched by their name in the catalogue."""

    language: str

    @property
    def name(self) -> str:
        return f"sentences-{self.language}"

    def texts(self, reach: Reach) -> list[Sentence]:
        """The sentences; see `data.fetch.fetch` for what it raises."""
        folder = fetch(self.name, cache=reach.cache, offline=reach.offline, timeout=reach.timeout)
        licence = catalogue.entry(self.name).licence
        return [
            Sentence(f"{self.name}-{sha256_json(text)[:10]}", text, self.language, licence)
            for text in read_sentences(folder)
        ]

    def fingerprint(self) -> Any:
        entry = catalogue.entry(self.name)
        return {"sentences": entry.name, "content": entry.pin, "licence": entry.licence}


def read_sentences(folder: Path) -> list[str]:
    """The usable sentences in the `.yml` files of a folder, each once, in the order of their keys.

    Raises:
        IntegrityError: a file is no list of conversations.
    """
    found: dict[str, str] = {}
    for path in sorted(folder.glob("*.yml")):
        try:
            content = yaml.safe_load(path.read_bytes())["conversations"]
        except (yaml.YAMLError, TypeError, KeyError) as error:
            raise IntegrityError(
                f"{path} holds no conversations ({error}). Delete {folder} and run again."
            ) from error
        for line in _lines(content):
            for sentence in _END.split(clean_text(line)):
                if is_usable(sentence):
                    found.setdefault(text_key(sentence), sentence)
    return [sentence for _, sentence in sorted(found.items())]


def is_usable(sentence: str) -> bool:
    """Whether everybody would read the sentence aloud alike, and one would write it so."""
    whole = _WHOLE.fullmatch(sentence)
    words = sentence.split()
    return (
        whole is not None
        and whole["first"].isupper()
        and len(words) in _WORDS
        and not any(len(word) > 1 and word.strip(",;:.?!'’-").isupper() for word in words[1:])
    )


def _lines(content: Any) -> Iterator[str]:
    """The strings of a conversation; some are lists in lists, some no text at all."""
    if isinstance(content, str):
        yield content
    elif isinstance(content, Iterable) and not isinstance(content, dict):
        for one in content:
            yield from _lines(one)
