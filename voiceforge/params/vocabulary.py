"""The terms that a domain's model has to know: names, products, words of a trade."""

from __future__ import annotations

import re
from dataclasses import dataclass

from pydantic import Field, field_validator

from voiceforge.params.base import Strict

LONGEST_TERM = 6
"""Words. What is longer is a sentence."""


@dataclass(frozen=True, slots=True)
class Term:
    """A term as it is written, and how a synthetic voice says it (the same by default)."""

    text: str
    spoken: str


def parse_term(entry: str) -> Term:
    """A term from "term" or "term | how it is spoken".

    Raises:
        ValueError: it has no letters or digits, too many words, or a second bar.
    """
    parts = [" ".join(part.split()) for part in entry.split("|")]
    if len(parts) > 2:
        raise ValueError(f"{entry!r} has more than one bar; write 'term | how it is spoken'")
    for part in parts:
        if not re.search(r"\w", part):
            raise ValueError(f"{entry!r} needs letters or digits on both sides of its bar, if any")
    if len(parts[0].split()) > LONGEST_TERM:
        raise ValueError(f"{entry!r} has more than {LONGEST_TERM} words, and is no term")
    return Term(parts[0], parts[-1])


def check_once(terms: tuple[Term, ...]) -> None:
    """Raise a ValueError that names a term which is there twice, letters of any case."""
    seen: set[str] = set()
    for term in terms:
        key = term.text.casefold()
        if key in seen:
            raise ValueError(f"the term {term.text!r} is named twice")
        seen.add(key)


class VocabularyParams(Strict):
    """Terms of a domain; `terms` and those of `file` together."""

    terms: tuple[str, ...] = Field(
        default=(),
        description="Terms that must be heard right, such as `Zelvora` or `Zelvora | zel vora`: "
        "behind the bar how synthetic voices say it ([vocabulary.md](vocabulary.md)).",
    )
    file: str | None = Field(
        default=None,
        description="Text file with such a term a line, absolute or relative to params.yaml; "
        "lines that begin with `#` are comments.",
    )

    @field_validator("terms")
    @classmethod
    def _readable(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        check_once(tuple(map(parse_term, value)))
        return value
