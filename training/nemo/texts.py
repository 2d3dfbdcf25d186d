"""Which languages and letters a NeMo tokenizer can write, and what transcripts become for it."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from voiceforge.errors import UsageError

_LANGUAGE_TOKEN = re.compile(r"<\|([a-z]{2})\|>")
_NOT_WRITTEN = re.compile(r"[^\w\s']|_")
_MOST = 0.5
"""Share of texts that a tokenizer must be able to write to be one for this language."""


@dataclass(frozen=True)
class Spelling:
    """How transcripts are written for a tokenizer.

    Attributes:
        name: for the log.
        write: of a transcript.
    """

    name: str
    write: Callable[[str], str]


SPELLINGS = (
    Spelling("as written", lambda text: " ".join(text.split())),
    Spelling(
        "in lower case without punctuation",
        lambda text: " ".join(_NOT_WRITTEN.sub(" ", text.lower().replace("’", "'")).split()),
    ),
)


def languages(tokenizer: Any) -> list[str]:
    """ISO codes that a tokenizer has a token or a part for; empty for one that knows of none."""
    parts = getattr(tokenizer, "langs", None) or []
    known = {str(part).partition("-")[0] for part in parts if part != "spl_tokens"}
    tokens = {found[1] for word in tokenizer.vocab if (found := _LANGUAGE_TOKEN.fullmatch(word))}
    # Of an aggregate tokenizer both have to be there: the token and the part that writes it.
    return sorted(known & tokens if known and tokens else known | tokens)


def check_language(tokenizer: Any, language: str, base: str) -> None:
    """Refuse a language that the model's tokenizer does not know.

    Raises:
        UsageError: it names the languages it does know.
    """
    known = languages(tokenizer)
    if known and language not in known:
        raise UsageError(
            f"The language {language!r} is not in the tokenizer of {base}. It has: "
            f"{', '.join(known)}."
        )


def choose_spelling(
    tokens: Callable[[str], list[int] | None], texts: Sequence[str], language: str, base: str
) -> Spelling:
    """The spelling that loses the fewest texts; as written, where that loses no more.

    Args:
        tokens: of a text; None where the tokenizer cannot write it.
        texts: transcripts of the training clips.
        language: ISO code, for the error.
        base: name of the model, for the error.

    Raises:
        UsageError: the tokenizer cannot write most texts in either; names the characters.
    """
    written = [sum(tokens(one.write(text)) is not None for text in texts) for one in SPELLINGS]
    best = max(written)
    spelling = SPELLINGS[written.index(best)]
    if best < _MOST * len(texts):
        strange = sorted({letter for text in texts for letter in spelling.write(text)
                          if not letter.isspace() and tokens(letter) is None})  # fmt: skip
        raise UsageError(
            f"The tokenizer of {base} can write {best} of {len(texts)} train transcripts in "
            f"{language!r}; it has no token for {' '.join(strange[:20])}. Choose a base model "
            "that was trained on this language."
        )
    return spelling
