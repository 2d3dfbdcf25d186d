"""Shares of things in texts that came through (terms, numbers, names), with intervals or without.

A recall is found over all there are. What is drawn are the speakers or texts that hold one
(`evaluation.units`), and the interval is that of a rate of misses over them (`evaluation.blocks`),
so that over texts it is the one of `evaluation.terms.bootstrap_share`. Few things in few texts say
nothing about others: then there are counts and no interval.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np

from evaluation import blocks
from evaluation.slices import Resampling, Scored
from evaluation.units import Units, choose_units

FEWEST, FEWEST_TEXTS = 30, 20
"""With fewer things, or fewer different texts that hold one, there is no interval."""


@dataclass(frozen=True, slots=True)
class Share:
    """How much came through, or how much more than before.

    Attributes:
        value: a fraction, or a difference of two.
        low: lower end of the interval; None, as `high`, where there is too little for one.
        found: how many; of a difference how many more.
        of: of how many.
        utterances: that hold one.
        speakers: theirs.
        confidence: of the interval.
        method: how the interval was made; "" for none.
        claim: what the interval holds for; "" for none.
        too_few: why there is no interval; "" where there is.
    """

    value: float
    low: float | None
    high: float | None
    found: int
    of: int
    utterances: int
    speakers: int
    confidence: float
    method: str
    claim: str
    too_few: str

    def percent(self) -> str:
        """For example "91.2% [86.0, 95.1] of 96", or "3 of 12" where that is all."""
        if self.low is None or self.high is None:
            return f"{self.found:,} of {self.of:,}"
        return (
            f"{100 * self.value:.1f}% [{100 * self.low:.1f}, {100 * self.high:.1f}] of {self.of:,}"
        )

    @property
    def points(self) -> str:
        """Of a difference, for example "+1.7 [+0.4, +3.0]", in points."""
        if self.low is None or self.high is None:
            return f"{self.found:+,} of {self.of:,}".replace("-", "−")
        text = f"{100 * self.value:+.1f} [{100 * self.low:+.1f}, {100 * self.high:+.1f}]"
        return text.replace("-", "−")

    @property
    def surely(self) -> int:
        """Of a difference: 1 where all of the interval lies above zero, -1 below, else 0."""
        if self.low is None or self.high is None:
            return 0
        return int(self.low > 0.0) - int(self.high < 0.0)


def share(
    rows: Sequence[Scored], found: Sequence[int], of: Sequence[int], resampling: Resampling
) -> Share | None:
    """A share over utterances; None where there is nothing to find.

    Args:
        rows: [n].
        found: [n] each at most `of`.
        of: [n] things in each.

    Raises:
        ValueError: lengths differ, or more were found than there are.
    """
    held = _held(rows, of, found)
    if held is None:
        return None
    units, kept, (total, came) = held
    if (came > total).any():
        raise ValueError("More was found than there is.")
    if too_few := _too_few(int(total.sum()), units):
        return _plain(kept, int(came.sum()), int(total.sum()), resampling, too_few)
    # Where nothing at all came through, the bound is for what was not seen: what was found.
    none = not came.any()
    measured = blocks.rate(came if none else total - came, total, units, **asdict(resampling))
    ends = measured.interval.low, measured.interval.high
    low, high = ends if none else (1.0 - ends[1], 1.0 - ends[0])
    return _measured(
        kept, int(came.sum()), int(total.sum()), max(0.0, low), min(1.0, high), resampling,
        measured.method, units,
    )  # fmt: skip


def gain(
    rows: Sequence[Scored],
    found: Sequence[int],
    before: Sequence[int],
    of: Sequence[int],
    resampling: Resampling,
) -> Share | None:
    """How much more came through than before, on the same utterances; above 0 is better.

    Raises:
        ValueError: lengths differ, or more were found than there are.
    """
    held = _held(rows, of, found, before)
    if held is None:
        return None
    units, kept, (total, now, then) = held
    if (now > total).any() or (then > total).any():
        raise ValueError("More was found than there is.")
    more = int(now.sum() - then.sum())
    if too_few := _too_few(int(total.sum()), units):
        return _plain(kept, more, int(total.sum()), resampling, too_few)
    both = blocks.paired(total - now, total - then, total, units, **asdict(resampling))
    difference = both.difference
    return _measured(
        kept, more, int(total.sum()), -difference.interval.high, -difference.interval.low,
        resampling, difference.method, units,
    )  # fmt: skip


def _held(
    rows: Sequence[Scored], of: Sequence[int], *columns: Sequence[int]
) -> tuple[Units, list[Scored], list[np.ndarray[tuple[int], np.dtype[np.int64]]]] | None:
    """What is drawn, and the utterances and counts of those that hold something."""
    if not all(len(column) == len(rows) for column in (of, *columns)):
        raise ValueError("Counts and utterances must be of the same length.")
    inside = [index for index, count in enumerate(of) if count]
    if not inside:
        return None
    kept = [rows[index] for index in inside]
    counts = [
        np.asarray([column[index] for index in inside], np.int64) for column in (of, *columns)
    ]
    units = choose_units(
        [row.utterance.speaker for row in kept], [row.reference for row in kept], counts[0]
    )
    return units, kept, counts


def _too_few(total: int, units: Units) -> str:
    short = [
        f"{have} of {need} {what}"
        for have, need, what in ((total, FEWEST, "to find"), (units.texts, FEWEST_TEXTS, "texts"))
        if have < need
    ]
    return f"too few to judge: {' and '.join(short)}" if short else ""


def _plain(
    kept: Sequence[Scored], found: int, of: int, resampling: Resampling, too_few: str
) -> Share:
    return Share(
        found / of, None, None, found, of, len(kept), _speakers(kept), resampling.confidence,
        "", "", too_few,
    )  # fmt: skip


def _measured(
    kept: Sequence[Scored], found: int, of: int, low: float, high: float, resampling: Resampling,
    method: str, units: Units,
) -> Share:  # fmt: skip
    return Share(
        found / of, low, high, found, of, len(kept), _speakers(kept), resampling.confidence,
        method, units.claim, "",
    )  # fmt: skip


def _speakers(rows: Sequence[Scored]) -> int:
    return len({row.utterance.speaker for row in rows})
