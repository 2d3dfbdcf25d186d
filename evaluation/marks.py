"""Punctuation and capitals, scored apart from words: precision, recall and F1 of each kind.

Words are compared without case and marks, and aligned with the fewest errors; what a word is set
against, right or wrong, is its pair. Then

- a punctuation mark of the reference is correct where the hypothesis has one of its kind between
  the same two pairs. Marks behind one word count once a kind ("...", "?!"), marks before a word and
  brackets, quotes and hyphens not at all;
- a capitalised word of the reference is correct where its pair begins with a capital too.

    recall    = correct / in the references
    precision = correct / in the hypotheses
    F1        = 2 correct / (in the references + in the hypotheses)

A word that was not heard takes its capital with it, so that recall falls with word errors too.
Source: marks as labels of the slots between words, as in Tilk and Alumäe 2016, "Bidirectional
Recurrent Neural Network with Attention Mechanism for Punctuation Restoration"; carried over to
recognised words by their alignment, as is done for speech translation and in Meister et al. 2023,
"LibriSpeech-PC: Benchmark for Evaluation of Punctuation and Capitalization Capabilities of
end-to-end ASR Models", whose punctuation error rate is another figure.
"""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from evaluation.languages import SPLIT_INTO_LETTERS, check_language

IntArray = npt.NDArray[np.int64]

PUNCTUATION = ("period", "comma", "question mark", "exclamation mark", "colon", "semicolon")
KINDS = (*PUNCTUATION, "capital")

_SIGNS = (".。।۔።", ",،、", "?؟", "!", ":", ";؛")
_KIND = {sign: kind for kind, signs in enumerate(_SIGNS) for sign in signs}
_CAPITAL = KINDS.index("capital")
_HYPHENS = str.maketrans(dict.fromkeys("-‐‑‒–—―", " "))


@dataclass(frozen=True, slots=True)
class MarkScore:
    """Pooled counts of a kind of mark, or of several."""

    expected: int
    said: int
    correct: int

    @property
    def recall(self) -> float | None:
        """0..1; None where the references have none."""
        return self.correct / self.expected if self.expected else None

    @property
    def precision(self) -> float | None:
        """0..1; None where the hypotheses have none."""
        return self.correct / self.said if self.said else None

    @property
    def f1(self) -> float | None:
        """0..1; None where neither has any."""
        of = self.expected + self.said
        return 2 * self.correct / of if of else None


def mark_table(references: Sequence[str], hypotheses: Sequence[str], language: str) -> IntArray:
    """Counts of each utterance.

    Args:
        references, hypotheses: as they were written, not normalised.
        language: ISO 639 code; a language that is written without spaces is split into letters.

    Returns:
        int64 [n, 7, 3]: of each of `KINDS` how many there are in the reference, in the hypothesis,
        and correct. `evaluation.terms.bootstrap_share` gives intervals of recall and precision.

    Raises:
        ValueError: not as many hypotheses as references, or an unknown language.
    """
    check_language(language)
    letters = language in SPLIT_INTO_LETTERS
    table = np.zeros((len(references), len(KINDS), 3), dtype=np.int64)
    for row, (reference, hypothesis) in enumerate(zip(references, hypotheses, strict=True)):
        table[row] = _compared(_words(reference, letters), _words(hypothesis, letters))
    return table


def mark_scores(table: IntArray) -> dict[str, MarkScore]:
    """A table summed over its utterances, by kind, and all "punctuation" together."""
    sums = table.sum(axis=0)
    scores = {kind: MarkScore(*map(int, sums[number])) for number, kind in enumerate(KINDS)}
    return {**scores, "punctuation": MarkScore(*map(int, sums[: len(PUNCTUATION)].sum(axis=0)))}


@dataclass(frozen=True, slots=True)
class _Word:
    """What is compared, whether it begins with a capital, and the kinds of marks behind it."""

    key: str
    is_capitalised: bool
    marks: frozenset[int]


def _words(text: str, letters: bool) -> list[_Word]:
    tokens = unicodedata.normalize("NFKC", text).translate(_HYPHENS).split()
    if letters:
        tokens = [part for token in tokens for part in _graphemes(token)]
    found: list[_Word] = []
    for token in tokens:
        inside = [at for at, sign in enumerate(token) if _is_letter(sign)]
        first, behind = (inside[0], inside[-1] + 1) if inside else (0, 0)
        marks = frozenset(_KIND[sign] for sign in token[behind:] if sign in _KIND)
        if inside:
            key = "".join(filter(_is_letter, token)).casefold()
            found.append(_Word(key, token[first].isupper(), marks))
        elif found:
            last = found[-1]
            found[-1] = _Word(last.key, last.is_capitalised, last.marks | marks)
    return found


def _graphemes(token: str) -> list[str]:
    """Letters with the signs that belong to them, and marks."""
    found: list[str] = []
    for sign in token:
        if found and unicodedata.category(sign)[0] == "M":
            found[-1] += sign
        else:
            found.append(sign)
    return found


def _is_letter(sign: str) -> bool:
    return unicodedata.category(sign)[0] in "LMN"


def _compared(left: Sequence[_Word], right: Sequence[_Word]) -> IntArray:
    """[7, 3] of one utterance."""
    pairs = _pairs(left, right)
    counts = np.zeros((len(KINDS), 3), dtype=np.int64)
    for column, words in enumerate((left, right)):
        counts[_CAPITAL, column] = sum(word.is_capitalised for word in words)
        for kind, count in Counter(kind for word in words for kind in word.marks).items():
            counts[kind, column] = count
    counts[_CAPITAL, 2] = sum(left[i].is_capitalised and right[j].is_capitalised for i, j in pairs)
    gaps = zip([(0, 0), *pairs], [*pairs, (len(left), len(right))], strict=True)
    for (i, j), (next_i, next_j) in gaps:
        expected = Counter(kind for word in left[i:next_i] for kind in word.marks)
        said = Counter(kind for word in right[j:next_j] for kind in word.marks)
        for kind, count in (expected & said).items():
            counts[kind, 2] += count
    return counts


def _pairs(left: Sequence[_Word], right: Sequence[_Word]) -> list[tuple[int, int]]:
    from rapidfuzz.distance import Levenshtein

    codes = Levenshtein.opcodes([word.key for word in left], [word.key for word in right])
    return [
        pair
        for code in codes
        if code.tag in ("equal", "replace")
        for pair in zip(
            range(code.src_start, code.src_end), range(code.dest_start, code.dest_end), strict=True
        )
    ]
