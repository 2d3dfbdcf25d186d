"""What an interval draws: speakers where there are enough of them, else texts or utterances.

Errors of one speaker go together, and so do errors in one text. An interval claims no more than
what it draws: drawn speakers stand for other speakers, drawn texts for other texts read by the same
speakers. With few speakers the first claim cannot be made by any method, so it is not made.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from evaluation.resampling import Integers

IntArray = npt.NDArray[np.int64]
UnitKind = Literal["speaker", "text", "utterance"]

ENOUGH_SPEAKERS = 30
"""From so many on, intervals over speakers hold what they claim (docs/significance.md)."""

FEWEST_SPEAKERS = 10
"""With fewer, speakers are not drawn: their intervals miss too often to be of use."""

FEWEST_EQUAL_SPEAKERS = 7.0
"""Nor where they are worth fewer equally talkative ones: one of them then decides everything."""


@dataclass(frozen=True, slots=True, eq=False)
class Units:
    """What is drawn, for n utterances.

    Attributes:
        kind: whose utterances are drawn together; "utterance" where no text is spoken twice.
        labels: [n] number of each utterance's unit, from 0.
        count: units.
        crossed: [n] number of each utterance's text, where speakers are drawn and share texts: the
            interval is then widened for the texts; else None.
        speakers: how many speak.
        effective_speakers: how many equally talkative ones would be as sure, (sum w)^2 / sum w^2
            over the words w of each (Kish 1965).
        texts: how many texts there are.
        why: why speakers are not drawn; "" where they are.
    """

    kind: UnitKind
    labels: IntArray
    count: int
    crossed: IntArray | None
    speakers: int
    effective_speakers: float
    texts: int
    why: str

    @property
    def claim(self) -> str:
        """What an interval over these units can and cannot claim, in words."""
        if self.kind == "speaker":
            return self._claim_of_speakers()
        what = f"Drawn by {self.kind} ({self.count:,})"
        if self.speakers == 1:
            return f"{what}: holds for this one speaker and says nothing of others."
        return (
            f"{what}, as {self.why}: holds for these speakers and says nothing of other speakers."
        )

    def _claim_of_speakers(self) -> str:
        texts = " and, as speakers share texts, widened for other texts" if self.is_crossed else ""
        what = f"Drawn by speaker ({self.count:,}){texts}: holds for other speakers like these"
        if self.count >= ENOUGH_SPEAKERS:
            return f"{what}."
        return (
            f"{what}, but fewer than {ENOUGH_SPEAKERS} speakers make an interval that misses "
            "somewhat more often than it says (docs/significance.md tells how often)."
        )

    @property
    def is_crossed(self) -> bool:
        return self.crossed is not None


def choose_units(speakers: Sequence[Hashable], texts: Sequence[Hashable], words: Integers) -> Units:
    """Speakers where at least 10 speak (30 for an interval that needs no warning), else texts.

    They must be worth at least 7 equally talkative ones, besides.

    Args:
        speakers: [n] who speaks.
        texts: [n] what is read, such as the normalised reference.
        words: [n] reference words.

    Raises:
        ValueError: lengths differ, or there is no utterance.
    """
    if not len(speakers) == len(texts) == len(words):
        raise ValueError("speakers, texts and words must be of the same length.")
    if not len(speakers):
        raise ValueError("There are no utterances to draw from.")
    who, what = numbered(speakers), numbered(texts)
    count, different = int(who.max()) + 1, int(what.max()) + 1
    effective = _effective(who, words)
    if count < FEWEST_SPEAKERS:
        return text_units(who, what, words, f"{count} speakers are too few to stand for others")
    if effective < FEWEST_EQUAL_SPEAKERS:
        why = f"of {count} speakers some say so much that they are worth {effective:.1f} equal ones"
        return text_units(who, what, words, why)
    shared = len(np.unique(who * different + what)) > different >= FEWEST_SPEAKERS
    return Units("speaker", who, count, what if shared else None, count, effective, different, "")


def text_units(who: IntArray, what: IntArray, words: Integers, why: str) -> Units:
    """Texts, or utterances where no text is spoken twice.

    Args:
        who: [n] number of each utterance's speaker, from 0 without gaps.
        what: [n] number of its text, likewise.
        words: [n] reference words.
        why: why speakers are not drawn, such as "4 speakers are too few to stand for others".
    """
    speakers, texts = int(who.max()) + 1, int(what.max()) + 1
    kind: UnitKind = "utterance" if texts == len(what) else "text"
    return Units(kind, what, texts, None, speakers, _effective(who, words), texts, why)


def _effective(who: IntArray, words: Integers) -> float:
    each = np.bincount(who, weights=np.asarray(words, dtype=np.float64))
    squares = float(np.sum(each**2))
    return float(each.sum()) ** 2 / squares if squares else float(len(each))


def numbered(names: Sequence[Hashable]) -> IntArray:
    """A number for each different name, from 0 in the order of appearance, [n]."""
    known: dict[Hashable, int] = {}
    return np.asarray([known.setdefault(name, len(known)) for name in names], dtype=np.int64)
