"""Numbers, dates and names of the reference: which were kept, which were changed, which were lost.

A wrong word may cost nothing or everything; a wrong amount, day or surname costs everything. What
is one, in texts as they were written:

- a number: words with digits, after numbers in words have become digits (`evaluation.numbers`).
  Whole numbers in a row are one, digit by digit, since "9:30", "nine thirty" and "930" sound alike.
  A lone 1 in words cannot be told from a pronoun or article: it counts only where the reference
  has one in digits.
- a date: a day and month, or a month and year (`evaluation.dates`); its numbers count no more.
- a name: words in a row that begin with a capital (`evaluation.names`); or, where a list is given,
  what stands in the list.

The words, each digit a word, are aligned with the fewest errors; of several such alignments the one
that keeps most counts, and of these the one that sets most numbers against numbers (of texts with
more than 500 words: of the alignments that `evaluation.anchors` leaves). What stands opposite to
the same words is kept, to others changed, to nothing lost; a number with a digit put in at its side
is changed. Recall is kept over all.

Source: the slots of Makhoul et al. 1999, "Performance measures for information extraction": slots
that were substituted and deleted, those of the reference alone.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from evaluation.anchors import parts
from evaluation.dates import Dates
from evaluation.names import NOUNS_HAVE_CAPITALS, find_names
from evaluation.numbers import numbers_as_digits
from evaluation.terms import Vocabulary

IntArray = npt.NDArray[np.int64]
Kind = Literal["number", "date", "name"]
Outcome = Literal["kept", "changed", "lost"]

KINDS: tuple[Kind, ...] = get_args(Kind)
OUTCOMES: tuple[Outcome, ...] = get_args(Outcome)

_DIGIT = re.compile(r"\d")
_LONE_ONE = re.compile(r"(?<![\w.,])1(?![.,]?\w)")


@dataclass(frozen=True, slots=True)
class Entity:
    """A number, date or name of a reference, and what became of it.

    Attributes:
        words: as the normaliser leaves them.
        heard: what stands opposite, "" where nothing does.
    """

    kind: Kind
    words: str
    outcome: Outcome
    heard: str


class EntityReader:
    """Compares the numbers, dates and names of texts in a language.

    Args:
        language: ISO 639-1 code.
        names: names to look for; without a list, capitalised words.

    Raises:
        ValueError: a language whose numbers in words are not read (lists those that are), or whose
            names cannot be told by capitals; a name without words, or one that is there twice.
    """

    def __init__(self, language: str, names: Sequence[str] | None = None) -> None:
        self._normalise = numbers_as_digits(language)
        self._dates = Dates(language)
        if names is None and language in NOUNS_HAVE_CAPITALS:
            raise ValueError(
                f"In {language!r} all nouns have capitals, so that names cannot be told by them. "
                "Give a list of names; an empty one looks for none."
            )
        # Words come again and again, and reading one costs as much as reading a short text.
        self._word = lru_cache(1 << 15)(self._name)
        self._listed = None if names is None else Vocabulary([self._name(one) for one in names])

    def compare(self, reference: str, hypothesis: str) -> tuple[Entity, ...]:
        """What became of the reference's entities, in their order.

        Args:
            reference, hypothesis: as they were written, not normalised.
        """
        left, right = self._read(reference), self._read(hypothesis)
        spans = self._spans(reference, left)
        if not spans:
            return ()
        inside = {at for _, start, stop in spans for at in range(start, stop)}
        opposite = _opposite(left, inside, right)
        return tuple(_judged(span, left, right, opposite) for span in spans)

    def _read(self, text: str) -> list[_Word]:
        words = self._normalise(self._dates.spell_out(text)).split()
        found: list[_Word] = []
        at = 0
        while at < len(words):
            if date := self._dates.at(words, at):
                found.append(_Word(date.value, " ".join(words[at : date.stop]), at, "date"))
                at = date.stop
            else:
                found += _parts(words[at], at)
                at += 1
        return found

    def _name(self, text: str) -> str:
        """A name as it stands among the words that are read."""
        words = self._normalise(text).split()
        return " ".join(part.value for word in words for part in _parts(word, 0))

    def _spans(self, text: str, words: Sequence[_Word]) -> list[_Span]:
        """Entities of a reference as runs of its words."""
        spans: list[_Span] = [("name", *span) for span in self._named(text, words)]
        named = {at for _, start, stop in spans for at in range(start, stop)}
        ones = _LONE_ONE.search(text) is not None
        at = 0
        while at < len(words):
            start, at = at, at + 1
            if (kind := words[start].kind) is None or start in named:
                continue
            while words[start].is_digit and _is_digit(words, at) and at not in named:
                at += 1
            if ones or [word.value for word in words[start:at]] != ["1"]:
                spans.append((kind, start, at))
        return sorted(spans, key=lambda span: span[1])

    def _named(self, text: str, words: Sequence[_Word]) -> list[tuple[int, int]]:
        """First word and word behind the last of each name."""
        values = [word.value for word in words]
        if self._listed is not None:
            found = self._listed.find(values)
            return [(one.start, one.start + len(self._listed.terms[one.term])) for one in found]
        return find_names(self._dates.spell_out(text), values, self._word)


_Span = tuple[Kind, int, int]
"""Kind, number of the first word, number of the word behind the last."""


@dataclass(frozen=True, slots=True)
class _Word:
    """A word, a digit of a whole number, or all of a date.

    Attributes:
        value: what is compared.
        said: the words or number that it is or belongs to.
        place: where that stands.
    """

    value: str
    said: str
    place: int
    kind: Kind | None = None
    is_digit: bool = False


def entity_table(compared: Iterable[Sequence[Entity]]) -> IntArray:
    """Counts of each utterance.

    Returns:
        int64 [n, 3 kinds, 3 outcomes], in the order of `KINDS` and `OUTCOMES`. Recall of a kind is
        its column "kept" over the sum of its three; `evaluation.terms.bootstrap_share` gives the
        interval.
    """
    rows = [_row(entities) for entities in compared]
    return np.array(rows, dtype=np.int64).reshape(len(rows), len(KINDS), len(OUTCOMES))


def _row(entities: Sequence[Entity]) -> list[list[int]]:
    pairs = [(one.kind, one.outcome) for one in entities]
    return [[pairs.count((kind, outcome)) for outcome in OUTCOMES] for kind in KINDS]


def _parts(word: str, place: int) -> list[_Word]:
    """A word, or the digits of a whole number, each a word."""
    value = "1" if word == "one" else word  # whisper-english leaves this number alone in words
    if value.isdecimal():
        return [_Word(digit, word, place, "number", is_digit=True) for digit in value]
    return [_Word(value, word, place, "number" if _DIGIT.search(value) else None)]


def _is_digit(words: Sequence[_Word], at: int) -> bool:
    return 0 <= at < len(words) and words[at].is_digit


def _opposite(
    left: Sequence[_Word], entities: Collection[int], right: Sequence[_Word]
) -> list[int | None]:
    """For each word of the reference the place of the hypothesis' word that it is set against."""
    values = [word.value for word in left], [word.value for word in right]
    if values[0] == values[1]:
        return [*range(len(left))]
    found: list[int | None] = []
    for here, there in parts(*values, lambda i, j: not (i - 1 in entities or i in entities)):
        own = {at - here.start for at in entities if here.start <= at < here.stop}
        aligned = _opposite_part(left[here], own, right[there])
        found += [None if at is None else at + there.start for at in aligned]
    return found


def _opposite_part(
    left: Sequence[_Word], entities: Collection[int], right: Sequence[_Word]
) -> list[int | None]:
    """The same of a part.

    Fewest errors go before most words of entities kept, these before most set against their like,
    and these before most set against any word: each wins less than one of the former costs.
    """
    alike = len(left) + 1
    kept, error = alike**2, alike**3

    def cost(i: int, j: int) -> int:
        same = left[i].value == right[j].value
        if i not in entities:
            return 0 if same else error
        if same:
            return -kept
        return error - (alike if left[i].kind == right[j].kind else 1)

    table = [[j * error for j in range(len(right) + 1)]]
    for i in range(len(left)):
        above, row = table[-1], [(i + 1) * error]
        for j in range(len(right)):
            row.append(min(above[j] + cost(i, j), above[j + 1] + error, row[j] + error))
        table.append(row)
    found: list[int | None] = [None] * len(left)
    i, j = len(left), len(right)
    while i and j:
        if table[i][j] == table[i - 1][j - 1] + cost(i - 1, j - 1):
            i, j = i - 1, j - 1
            found[i] = j
        elif table[i][j] == table[i - 1][j] + error:
            i -= 1
        else:
            j -= 1
    return found


def _judged(
    span: _Span,
    left: Sequence[_Word],
    right: Sequence[_Word],
    opposite: Sequence[int | None],
) -> Entity:
    kind, start, stop = span
    words = left[start:stop]
    places = [at for at in opposite[start:stop] if at is not None]
    if not places:
        return Entity(kind, _said(words), "lost", "")
    first, last = places[0], places[-1] + 1
    if words[0].is_digit:
        # A digit at its side that stands against no digit makes it another number.
        others = {at for at, word in zip(opposite, left, strict=True) if word.is_digit}
        while _is_digit(right, first - 1) and first - 1 not in others:
            first -= 1
        while _is_digit(right, last) and last not in others:
            last += 1
    heard = right[first:last]
    kept = [word.value for word in heard] == [word.value for word in words]
    return Entity(kind, _said(words), "kept" if kept else "changed", _said(heard))


def _said(words: Sequence[_Word]) -> str:
    """What words were read from, numbers whole."""
    return " ".join({word.place: word.said for word in words}.values())
