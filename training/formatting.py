"""Whether recognised words have the punctuation and the casing of their reference."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass

from evaluation.metrics import align


@dataclass(frozen=True, slots=True)
class JudgedWord:
    """A word of a reference that was recognised.

    Attributes:
        place: of the word in the reference.
        keeps_case: whether its letters have the reference's case.
        keeps_marks: whether the punctuation around it is the reference's.
    """

    place: int
    keeps_case: bool
    keeps_marks: bool

    @property
    def is_kept(self) -> bool:
        return self.keeps_case and self.keeps_marks


def judged_words(reference: str, hypothesis: str) -> list[JudgedWord]:
    """The words of a reference that the hypothesis has too, but for case and punctuation."""
    left = [(word, _bare(word)) for word in reference.split() if _bare(word)]
    right = [(word, _bare(word)) for word in hypothesis.split() if _bare(word)]
    chunks = align(
        " ".join(bare.casefold() for _, bare in left),
        " ".join(bare.casefold() for _, bare in right),
    )
    judged, at, other = [], 0, 0
    for chunk in chunks:
        if chunk.operation == "equal":
            for step in range(len(chunk.reference)):
                (word, bare), (said, said_bare) = left[at + step], right[other + step]
                marks = _marks(word) == _marks(said)
                judged.append(JudgedWord(at + step, bare == said_bare, marks))
        at += len(chunk.reference)
        other += len(chunk.hypothesis)
    return judged


def _bare(word: str) -> str:
    return "".join(one for one in word if not _is_mark(one))


def _marks(word: str) -> str:
    return "".join(one for one in word if _is_mark(one))


def _is_mark(character: str) -> bool:
    return unicodedata.category(character).startswith("P")
