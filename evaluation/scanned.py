"""What a scan over slices finds (`evaluation.scan`)."""

from __future__ import annotations

from dataclasses import dataclass

from evaluation.cuts import Dimension
from evaluation.estimate import Estimate
from evaluation.gaps import Largest
from evaluation.power import Power
from evaluation.verdict import Verdict


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked of every slice.

    Attributes:
        margin: the smallest difference that matters, a fraction of words such as 0.005.
        power: probability with which it shall be found.
        words: a slice with fewer reference words is not judged.
        texts: nor is one with fewer different texts.
        speakers: nor is one with fewer speakers.
    """

    margin: float = 0.005
    power: float = 0.8
    words: int = 300
    texts: int = 20
    speakers: int = 1

    def lacks(self, words: int, texts: int, speakers: int) -> str:
        """Why so little cannot be judged; "" where it can."""
        short = [
            f"{have:,} of {need:,} {what}"
            for have, need, what in (
                (words, self.words, "words"),
                (texts, self.texts, "texts"),
                (speakers, self.speakers, "speakers"),
            )
            if have < need
        ]
        return f"too small to judge: {' and '.join(short)}" if short else ""


@dataclass(frozen=True, slots=True)
class SliceResult:
    """One slice.

    Attributes:
        dimension: along which it was cut; "overall" for everything.
        name: such as "en-gb", "2 to 5 s".
        words: reference words.
        utterances: how many.
        texts: different texts.
        speakers: how many speak.
        candidate: the candidate's word error rate.
        baseline: the baseline's; None where there is none.
        difference: candidate less baseline.
        p_value: two-sided, of "no difference", of this slice alone.
        p_holm: adjusted over all judged slices of the scan; None for a slice that is not judged,
            for everything, and for a slice that is everything.
        verdict: the answer, at this slice's own level; None without a baseline or not judged.
        power: what the comparison could have found; None as for `verdict`.
        claim: what the intervals hold for.
        too_small: why the slice is not judged; "" where it is.
    """

    dimension: str
    name: str
    words: int
    utterances: int
    texts: int
    speakers: int
    candidate: Estimate | None
    baseline: Estimate | None
    difference: Estimate | None
    p_value: float | None
    p_holm: float | None
    verdict: Verdict | None
    power: Power | None
    claim: str
    too_small: str

    @property
    def stands(self) -> bool | None:
        """Whether "better" or "worse" stands after Holm's correction; None where not tested.

        A verdict is of its slice alone; among many slices some look different by chance.
        """
        if self.p_holm is None or self.difference is None:
            return None
        return self.p_holm <= 1.0 - self.difference.confidence


@dataclass(frozen=True, slots=True)
class DimensionResult:
    """All slices along one dimension.

    Attributes:
        dimension: which.
        slices: in reading order.
        unknown: utterances whose place is not known.
        gap: worst slice and largest gap of the candidate's word error rates; None where fewer than
            two slices are judged.
        loss: the slice that lost most against the baseline; None without one.
    """

    dimension: Dimension
    slices: tuple[SliceResult, ...]
    unknown: int
    gap: Largest | None
    loss: Largest | None


@dataclass(frozen=True, slots=True)
class Scan:
    """Everything, then every dimension.

    Attributes:
        overall: all utterances together.
        dimensions: in the order asked for.
        tests: p-values that Holm's correction went over.
        remark: what a reader has to know of them; "" for nothing.
    """

    overall: SliceResult
    dimensions: tuple[DimensionResult, ...]
    tests: int
    remark: str
