"""Word and character error rates of texts that are already normalised.

Words are what `str.split` gives. Errors are the fewest substitutions, deletions and insertions
that turn the reference into the hypothesis (Levenshtein 1966); rates are pooled: errors of all
utterances over reference words of all utterances, never a mean of utterances' rates.

An empty reference has no words and counts its hypothesis' words as insertions: what a model says
into silence is an error, and its utterance adds nothing to the words that errors are divided by.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

IntArray = npt.NDArray[np.int64]
Operation = Literal["equal", "substitute", "delete", "insert"]


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


@dataclass(frozen=True, slots=True)
class Chunk:
    """A run of words of an alignment: `reference` against `hypothesis`, either may be empty."""

    operation: Operation
    reference: tuple[str, ...]
    hypothesis: tuple[str, ...]


def word_errors(references: Sequence[str], hypotheses: Sequence[str]) -> WordErrors:
    """Count the errors of all hypotheses against their references, pooled.

    Raises:
        ValueError: not as many hypotheses as references.
    """
    _check_lengths(references, hypotheses)
    return _counts(
        (reference.split(), hypothesis.split())
        for reference, hypothesis in zip(references, hypotheses, strict=True)
    )


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
    _check_lengths(references, hypotheses)
    return _counts(
        (" ".join(reference.split()), " ".join(hypothesis.split()))
        for reference, hypothesis in zip(references, hypotheses, strict=True)
    ).rate


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


def _counts(pairs: Iterable[tuple[Sequence[str], Sequence[str]]]) -> WordErrors:
    from rapidfuzz.distance import Levenshtein

    totals = dict.fromkeys(_OPERATIONS, 0)
    for reference, hypothesis in pairs:
        for code in Levenshtein.opcodes(reference, hypothesis):
            totals[code.tag] += max(code.src_end - code.src_start, code.dest_end - code.dest_start)
    return WordErrors(
        substitutions=totals["replace"],
        deletions=totals["delete"],
        insertions=totals["insert"],
        hits=totals["equal"],
    )


def _check_lengths(references: Sequence[str], hypotheses: Sequence[str]) -> None:
    if len(references) != len(hypotheses):
        raise ValueError(
            f"There are {len(references)} references and {len(hypotheses)} hypotheses; "
            "each reference needs one hypothesis."
        )
