"""The matched pairs sentence-segment word error test (MAPSSWE).

Two alignments of the same references are cut into segments: stretches in which a system errs, from
two words that both systems have right to the next two. What a system gets wrong in one segment says
nothing of the next (its language model has heard right words in between), so the segments' error
counts are independent pairs, and their differences are tested for a mean of zero.

Sources: Gillick and Cox 1989, "Some statistical issues in the comparison of speech recognition
algorithms"; Pallett, Fisher and Fiscus 1990, "Tools for the analysis of benchmark speech
recognition tests". The figures are those of `sc_stats` of NIST's SCTK for the alignments that
`sclite` writes (docs/significance.md): two correct words between segments, variance over n - 1,
both tails of the normal distribution.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from evaluation.metrics import Chunk

IntArray = npt.NDArray[np.int64]

_ENOUGH_SEGMENTS = 50


@dataclass(frozen=True, slots=True)
class Errors:
    """Where one hypothesis errs.

    Attributes:
        words: words of the reference.
        wrong: places of reference words, from 0, that are substituted or missing.
        inserted: for each inserted word, how many reference words stand before it.
    """

    words: int
    wrong: tuple[int, ...]
    inserted: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Mapsswe:
    """Result of the test.

    Attributes:
        segments: segments in which either system errs; 0 where neither errs at all.
        errors_a: errors of system a in all segments.
        errors_b: errors of system b.
        mean: errors of a minus errors of b, a segment.
        deviation: standard deviation of that difference over segments; 0 for fewer than two.
        z: mean over its standard error; negative where a is better. 0 where all differences are
            the same, as in sc_stats.
        p_value: two-sided, of the normal distribution. Where all differences are the same and not
            zero there is no variance to judge by, and it is the sign test's, 2 / 2^segments.
    """

    segments: int
    errors_a: int
    errors_b: int
    mean: float
    deviation: float
    z: float
    p_value: float

    @property
    def remark(self) -> str:
        """What a reader has to know of how far the normal distribution carries; "" for nothing."""
        if self.segments >= _ENOUGH_SEGMENTS:
            return ""
        return (
            f"{self.segments} segments are few: with less than {_ENOUGH_SEGMENTS} the normal "
            "distribution is a poor guide."
        )


def errors_of(chunks: Sequence[Chunk]) -> Errors:
    """The errors of an alignment, such as `evaluation.metrics.align` gives."""
    place, wrong, inserted = 0, list[int](), list[int]()
    for chunk in chunks:
        length = len(chunk.reference)
        if chunk.operation in ("substitute", "delete"):
            wrong += range(place, place + length)
        extra = len(chunk.hypothesis) - length if chunk.operation != "delete" else 0
        place += length
        inserted += [place] * max(0, extra)
    return Errors(place, tuple(wrong), tuple(inserted))


def mapsswe(a: Sequence[Errors], b: Sequence[Errors], *, between: int = 2) -> Mapsswe:
    """Test whether two systems make equally many errors.

    Args:
        a: of system a, an utterance each.
        b: of system b, the same utterances in the same order.
        between: words that both must have right, without insertions between them, from one segment
            to the next.

    Raises:
        ValueError: not the same references, or `between` is not positive.
    """
    if between < 1:
        raise ValueError(f"between is {between}; it must be at least 1.")
    if len(a) != len(b) or any(x.words != y.words for x, y in zip(a, b, strict=True)):
        raise ValueError("The two systems were given different references.")
    offsets = _offsets([one.words for one in a], between)
    events_a, events_b = _events(a, offsets), _events(b, offsets)
    return _tested(*_segments(events_a, events_b, between))


def _offsets(words: Sequence[int], between: int) -> IntArray:
    """Where each utterance begins on one long line, so far apart that no segment spans two."""
    lengths = np.asarray(words, dtype=np.int64) + between
    return np.cumsum(lengths) - lengths


def _events(errors: Sequence[Errors], offsets: IntArray) -> IntArray:
    """Beginning and end of each error, [m, 2]; an insertion ends where it begins."""
    rows = [
        (offset + place, offset + place + length)
        for one, offset in zip(errors, offsets.tolist(), strict=True)
        for places, length in ((one.wrong, 1), (one.inserted, 0))
        for place in places
    ]
    return np.asarray(rows, dtype=np.int64).reshape(-1, 2)


def _segments(a: IntArray, b: IntArray, between: int) -> tuple[IntArray, IntArray]:
    """Errors of each system in each segment.

    Two errors belong to one segment where fewer than `between` right words stand between them.
    """
    events = np.concatenate([a, b])
    order = np.lexsort((events[:, 1], events[:, 0]))
    starts, ends = events[order, 0], np.maximum.accumulate(events[order, 1])
    opens = np.ones(len(events), dtype=np.bool_)
    opens[1:] = starts[1:] - ends[:-1] >= between
    segment = np.cumsum(opens) - 1
    count = int(segment[-1]) + 1 if len(segment) else 0
    of_a = np.bincount(segment[order < len(a)], minlength=count)
    of_b = np.bincount(segment[order >= len(a)], minlength=count)
    return of_a.astype(np.int64), of_b.astype(np.int64)


def _tested(of_a: IntArray, of_b: IntArray) -> Mapsswe:
    differences, count = of_a - of_b, len(of_a)
    mean = float(differences.mean()) if count else 0.0
    deviation = float(differences.std(ddof=1)) if count > 1 else 0.0
    if deviation > 0.0:
        z = mean / (deviation / math.sqrt(count))
        p_value = math.erfc(abs(z) / math.sqrt(2.0))
    else:
        z = 0.0
        p_value = min(1.0, 2.0 * 0.5**count) if mean else 1.0
    return Mapsswe(count, int(of_a.sum()), int(of_b.sum()), mean, deviation, z, p_value)
