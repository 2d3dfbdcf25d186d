"""Where two long texts may be cut, so that what is aligned stays short.

An alignment that weighs more than errors (`evaluation.terms`, `evaluation.entities`) fills a table
of one text's words times the other's: an hour of speech has nine thousand. Cut in the middle of
words that an alignment with the fewest errors finds equal in both, the parts have together as many
errors as the whole; only among alignments with equally few is the choice smaller.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence

Part = tuple[slice, slice]
"""A stretch of the one text and what it is aligned with in the other."""

LARGEST = 250_000
"""Cells of a table that are filled without a cut: texts of 500 words."""

_RUN, _PIECE = 8, 64
"""Equal words in a row that are certain enough to cut between, and how many have one place."""


def parts(
    left: Sequence[Hashable],
    right: Sequence[Hashable],
    may_cut: Callable[[int, int], bool],
    largest: int = LARGEST,
) -> list[Part]:
    """Cut two texts into parts to align one by one; the whole where it is short enough.

    Args:
        left: words of the one.
        right: of the other.
        may_cut: whether a cut before word i of `left` and word j of `right` splits nothing.
        largest: cells that need no cut.

    Returns:
        In order, without gaps. A part may be larger than asked for where there is no place to cut.
    """
    whole = slice(0, len(left)), slice(0, len(right))
    if len(left) * len(right) <= largest:
        return [whole]
    cuts = _thinned(
        [place for run in _equal_runs(left, right) if (place := _cut_in(run, may_cut)) is not None],
        (len(left), len(right)),
        largest,
    )
    ends = [*cuts, (len(left), len(right))]
    return [
        (slice(i, next_i), slice(j, next_j))
        for (i, j), (next_i, next_j) in zip([(0, 0), *cuts], ends, strict=True)
    ]


def _equal_runs(left: Sequence[Hashable], right: Sequence[Hashable]) -> list[tuple[int, int, int]]:
    """First word in either text and length of each run of equal words, long ones in pieces."""
    from rapidfuzz.distance import Levenshtein

    return [
        (code.src_start + at, code.dest_start + at, length)
        for code in Levenshtein.opcodes(left, right)
        if code.tag == "equal"
        for at in range(0, code.src_end - code.src_start, _PIECE)
        if (length := min(_PIECE, code.src_end - code.src_start - at)) >= _RUN
    ]


def _cut_in(
    run: tuple[int, int, int], may_cut: Callable[[int, int], bool]
) -> tuple[int, int] | None:
    """The place nearest to the middle of a run where nothing is split."""
    i, j, length = run
    places = sorted(range(1, length), key=lambda at: abs(2 * at - length))
    return next(((i + at, j + at) for at in places if may_cut(i + at, j + at)), None)


def _thinned(
    cuts: Sequence[tuple[int, int]], end: tuple[int, int], largest: int
) -> list[tuple[int, int]]:
    """As few of the cuts, in order, as keep the parts between them small enough."""
    kept: list[tuple[int, int]] = []
    start = (0, 0)
    for place, following in zip(cuts, [*cuts, end][1:], strict=True):
        if (following[0] - start[0]) * (following[1] - start[1]) > largest:
            kept.append(place)
            start = place
    return kept
