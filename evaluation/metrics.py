"""Word and character error rates of texts that are already normalised.

Words are what `str.split` gives. Errors are the fewest substitutions, deletions and insertions
that turn the reference into the hypothesis (Levenshtein 1966); rates are pooled: errors of all
utterances over reference words of all utterances, never a mean of utterances' rates.

An empty reference has no words and counts its hypothesis' words as insertions: what a model says
into silence is an error, and its utterance adds nothing to the words that errors are divided by.

Where several alignments have the fewest errors, the one that rapidfuzz takes is counted, so that
substitutions, deletions, insertions and hits are jiwer's, utterance by utterance. NIST's sclite
weighs errors otherwise; its counts are to be had by name (`Convention`, `evaluation.sclite`).
Nothing here needs more than numpy and rapidfuzz.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

IntArray = npt.NDArray[np.int64]
Operation = Literal["equal", "substitute", "delete", "insert"]
Convention = Literal["fewest", "sclite"]
"""How errors are counted: the fewest there can be, or as NIST's sclite weighs them."""

COUNTS = ("substitutions", "deletions", "insertions", "hits")
"""What the columns of a table of counts hold."""


@dataclass(frozen=True, slots=True)
class WordErrors:
    """Pooled counts of words (or of characters, in `character_error_rate`)."""

    substitutions: int
    deletions: int
    insertions: int
    hits: int

    @property
    def words(self) -> int:
        """Words of the references."""
        return self.hits + self.substitutions + self.deletions

    @property
    def hypothesis_words(self) -> int:
        """Words of the hypotheses."""
        return self.hits + self.substitutions + self.insertions

    @property
    def errors(self) -> int:
        return self.substitutions + self.deletions + self.insertions

    @property
    def rate(self) -> float:
        """Errors over words, a fraction that may pass 1.

        Without a single reference word it is 0.0 when nothing was inserted, else infinite.
        """
        if self.words == 0:
            return math.inf if self.errors else 0.0
        return self.errors / self.words

    @property
    def match_error_rate(self) -> float:
        """Errors over all of the alignment, MER: the share of it that is wrong, 0..1.

        Without a word on either side it is 0.0. Source of this and the next two: Morris, Maier and
        Green 2004, "From WER and RIL to MER and WIL: improved evaluation measures for connected
        speech recognition".
        """
        return self.errors / (self.hits + self.errors) if self.errors else 0.0

    @property
    def information_preserved(self) -> float:
        """WIP, 0..1: share of the reference's words that are hits, times the hypothesis' share.

        1.0 where neither has a word, 0.0 where only one has.
        """
        if self.hits:
            return self.hits / self.words * (self.hits / self.hypothesis_words)
        return 0.0 if self.errors else 1.0

    @property
    def information_lost(self) -> float:
        """WIL, 0..1: what of the words' information is not preserved."""
        return 1.0 - self.information_preserved


@dataclass(frozen=True, slots=True)
class Chunk:
    """A run of words of an alignment: `reference` against `hypothesis`, either may be empty."""

    operation: Operation
    reference: tuple[str, ...]
    hypothesis: tuple[str, ...]


def word_errors(
    references: Sequence[str], hypotheses: Sequence[str], convention: Convention = "fewest"
) -> WordErrors:
    """Count the errors of all hypotheses against their references, pooled.

    Raises:
        ValueError: as `utterance_counts`.
    """
    return pooled(utterance_counts(references, hypotheses, convention))


def utterance_counts(
    references: Sequence[str], hypotheses: Sequence[str], convention: Convention = "fewest"
) -> IntArray:
    """Counts of words of each utterance.

    Returns:
        int64 [n, 4]: substitutions, deletions, insertions, hits (`COUNTS`).

    Raises:
        ValueError: not as many hypotheses as references, or an unknown convention.
    """
    _check_lengths(references, hypotheses)
    if convention == "sclite":
        from evaluation.sclite import sclite_counts

        return sclite_counts(_words(references), _words(hypotheses))
    if convention != "fewest":
        raise ValueError(f"There is no convention {convention!r} of counting: fewest, sclite.")
    return _table(zip(_words(references), _words(hypotheses), strict=True), len(references))


def character_counts(references: Sequence[str], hypotheses: Sequence[str]) -> IntArray:
    """Counts of characters of each utterance, spaces between words counted as characters.

    Returns:
        int64 [n, 4] as `utterance_counts`.

    Raises:
        ValueError: not as many hypotheses as references.
    """
    _check_lengths(references, hypotheses)
    return _table(zip(_spaced(references), _spaced(hypotheses), strict=True), len(references))


def pooled(counts: IntArray) -> WordErrors:
    """A table of counts [n, 4] summed over its utterances."""
    return WordErrors(*(int(total) for total in counts.sum(axis=0)))


def per_utterance_errors(references: Sequence[str], hypotheses: Sequence[str]) -> IntArray:
    """Errors and reference words of each utterance.

    Returns:
        int64 [n, 2]: column 0 errors, column 1 reference words.

    Raises:
        ValueError: not as many hypotheses as references.
    """
    from rapidfuzz.distance import Levenshtein

    _check_lengths(references, hypotheses)
    table = np.zeros((len(references), 2), dtype=np.int64)
    for row, (reference, hypothesis) in enumerate(zip(references, hypotheses, strict=True)):
        words = reference.split()
        table[row] = Levenshtein.distance(words, hypothesis.split()), len(words)
    return table


def character_error_rate(references: Sequence[str], hypotheses: Sequence[str]) -> float:
    """Pooled character error rate, spaces between words counted as characters.

    Raises:
        ValueError: not as many hypotheses as references.
    """
    return pooled(character_counts(references, hypotheses)).rate


def align(reference: str, hypothesis: str) -> tuple[Chunk, ...]:
    """One alignment with the fewest errors, as runs of equal, changed, missing or added words."""
    from rapidfuzz.distance import Levenshtein

    left, right = reference.split(), hypothesis.split()
    return tuple(
        Chunk(
            _OPERATIONS[code.tag],
            tuple(left[code.src_start : code.src_end]),
            tuple(right[code.dest_start : code.dest_end]),
        )
        for code in Levenshtein.opcodes(left, right)
    )


_OPERATIONS: dict[str, Operation] = {
    "equal": "equal",
    "replace": "substitute",
    "delete": "delete",
    "insert": "insert",
}


def _words(texts: Iterable[str]) -> Iterator[list[str]]:
    return (text.split() for text in texts)


def _spaced(texts: Iterable[str]) -> Iterator[str]:
    return (" ".join(text.split()) for text in texts)


def _table(pairs: Iterable[tuple[Sequence[str], Sequence[str]]], count: int) -> IntArray:
    from rapidfuzz.distance import Levenshtein

    table = np.zeros((count, len(COUNTS)), dtype=np.int64)
    for row, (reference, hypothesis) in enumerate(pairs):
        if reference == hypothesis:
            table[row, 3] = len(reference)
            continue
        changed = missing = added = 0
        for tag, _, _ in Levenshtein.editops(reference, hypothesis).as_list():
            if tag == "replace":
                changed += 1
            elif tag == "delete":
                missing += 1
            else:
                added += 1
        table[row] = changed, missing, added, len(reference) - changed - missing
    return table


def _check_lengths(references: Sequence[str], hypotheses: Sequence[str]) -> None:
    if len(references) != len(hypotheses):
        raise ValueError(
            f"There are {len(references)} references and {len(hypotheses)} hypotheses; "
            "each reference needs one hypothesis."
        )
