"""Better, worse, no difference, or cannot tell: four answers with the figures that prove them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from evaluation.power import Power, in_points
from evaluation.resampling import Interval

Answer = Literal["better", "worse", "no difference", "cannot tell"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a comparison answers.

    Attributes:
        answer: "better" or "worse": the interval of the difference excludes zero. "no difference":
            it holds zero and lies within the margin on both sides, so that a difference that
            matters is excluded (equivalence; Schuirmann 1987, at the level of the interval).
            "cannot tell": neither.
        matters: of "better" and "worse", whether the difference may reach the margin; else False.
        text: the answer in words, with its figures.
    """

    answer: Answer
    matters: bool
    text: str


def judge(difference: Interval, power: Power) -> Verdict:
    """Answer from the interval of a difference, negative where the candidate is better.

    Args:
        difference: candidate minus baseline, a fraction of words.
        power: of the same comparison; its margin is the smallest difference that matters.
    """
    low, high, margin = difference.low, difference.high, power.margin
    held = f"[{100 * low:+.2f}, {100 * high:+.2f}]"
    rests = f"{power.words:,} words"
    if difference.clusters < 2:
        return Verdict(
            "cannot tell", False, f"Cannot tell: {rests} of a single {power.kind} have no interval."
        )
    if low > 0.0 or high < 0.0:
        answer: Answer = "worse" if low > 0.0 else "better"
        matters = max(abs(low), abs(high)) >= margin
        size = "" if matters else f", by less than the {in_points(margin)} that matter"
        return Verdict(
            answer,
            matters,
            f"{answer.capitalize()}{size}: {100 * difference.value:+.2f} points {held}, {rests}.",
        )
    if -margin < low and high < margin:
        return Verdict(
            "no difference",
            False,
            f"No difference that matters: {held} points lie within {in_points(margin)} on either "
            f"side, {rests}.",
        )
    return Verdict("cannot tell", False, f"Cannot tell: {held} points, {rests}. {power.lack}")
