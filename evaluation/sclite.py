"""Word counts as NIST's sclite makes them: a substitution costs 4, a deletion or insertion 3.

With N words of the reference, M of the hypothesis, H hits and S substitutions there are
N + M - 2H - S errors, and they cost 3 (N + M) - 6H - 2S. So the fewest errors are where 2H + S is
greatest, and sclite's are where 3H + S is: it takes one hit more for two substitutions less (three
cost the same), and may so count more errors than there need be. Where paths cost the same, looking
back from the last word, a pair of words goes before an insertion and an insertion before a
deletion.

Source: SCTK 2.4, `net_dp.c` (calculate_internal_cells) and `word.c` (wwd_WORD), NIST; tests hold
these counts to Debian's sctk. sclite lowers ASCII letters unless it is told otherwise, and reads
some characters as marks of its own; here words are compared as they are: normalise first.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

IntArray = npt.NDArray[np.int64]

_COST = 40  # bits: the cost of a path stands above its substitutions, and those above its hits
_SUBSTITUTED = 20
_HIT = 1
_SUBSTITUTION = (4 << _COST) + (1 << _SUBSTITUTED)
_ONE_SIDED = 3 << _COST
"""A deletion or an insertion."""
_MASK = (1 << _SUBSTITUTED) - 1
_BATCH = 1024
"""Pairs that are aligned at once: enough that numpy's own time is lost in the work."""


def sclite_counts(
    references: Iterable[Sequence[str]], hypotheses: Iterable[Sequence[str]]
) -> IntArray:
    """Counts of each pair of word lists, at most a million words each.

    Returns:
        int64 [n, 4]: substitutions, deletions, insertions, hits.

    Raises:
        ValueError: not as many hypotheses as references.
    """
    number: dict[str, int] = {}
    pairs = [
        (_numbered(reference, number), _numbered(hypothesis, number))
        for reference, hypothesis in zip(references, hypotheses, strict=True)
    ]
    table = np.zeros((len(pairs), 4), dtype=np.int64)
    # Pairs of like length share a batch, which is as long as its longest.
    order = sorted(range(len(pairs)), key=lambda row: [len(side) for side in pairs[row]])
    for start in range(0, len(order), _BATCH):
        rows = order[start : start + _BATCH]
        table[rows] = _aligned([pairs[row] for row in rows])
    return table


def _numbered(words: Sequence[str], number: dict[str, int]) -> list[int]:
    return [number.setdefault(word, len(number)) for word in words]


def _aligned(pairs: Sequence[tuple[list[int], list[int]]]) -> IntArray:
    """The cheapest path of every pair: one row of the table of costs after the other.

    A path is one number, its cost above its counts, so that the counts go where the cost goes and
    no path has to be traced back.
    """
    left, lengths = _padded([reference for reference, _ in pairs], filler=-1)
    right, others = _padded([hypothesis for _, hypothesis in pairs], filler=-2)
    row = np.arange(len(right) + 1)[:, None] * np.full((1, len(pairs)), _ONE_SIDED)
    ends = np.where(lengths == 0, row[others, np.arange(len(pairs))], 0)
    for length, words in enumerate(left, start=1):
        above, row = row, np.empty_like(row)
        row[0] = above[0] + _ONE_SIDED
        paired = above[:-1] + np.where(right == words, _HIT, _SUBSTITUTION)
        deleted = above[1:] + _ONE_SIDED
        for at in range(1, len(row)):
            inserted = row[at - 1] + _ONE_SIDED
            one_sided = np.where(
                deleted[at - 1] >> _COST < inserted >> _COST, deleted[at - 1], inserted
            )
            row[at] = np.where(
                paired[at - 1] >> _COST <= one_sided >> _COST, paired[at - 1], one_sided
            )
        ended = np.flatnonzero(lengths == length)
        ends[ended] = row[others[ended], ended]
    hits, substitutions = ends & _MASK, ends >> _SUBSTITUTED & _MASK
    deletions = lengths - hits - substitutions
    return np.stack([substitutions, deletions, others - hits - substitutions, hits], axis=1)


def _padded(lists: Sequence[Sequence[int]], *, filler: int) -> tuple[IntArray, IntArray]:
    """Lists side by side, [longest, n], and their lengths [n]."""
    lengths = np.array([len(one) for one in lists], dtype=np.int64)
    table = np.full((int(lengths.max(initial=0)), len(lists)), filler, dtype=np.int64)
    for column, one in enumerate(lists):
        table[: len(one), column] = one
    return table, lengths
