"""Two models on one slice of the test set: the type at which reports and gates meet."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

from evaluation.estimate import Estimate

SliceKind = Literal["overall", "human", "synthetic", "accent"]


@dataclass(frozen=True, slots=True)
class Slice:
    """A part of the test set.

    Attributes:
        kind: everything, people, synthetic speech, or one accent of either.
        accent: the accent's tag; "" for the other kinds.
        is_synthetic: of an accent, whether machines speak it; None for "overall".
    """

    kind: SliceKind
    accent: str = ""
    is_synthetic: bool | None = None

    @property
    def name(self) -> str:
        """Such as "overall", "human speech", "accent en-gb" or "accent en, human speech"."""
        if self.kind == "accent":
            return f"accent {self.accent}" + ("" if self.is_synthetic else ", human speech")
        return {"overall": "overall", "human": "human speech", "synthetic": "synthetic speech"}[
            self.kind
        ]


@dataclass(frozen=True, slots=True)
class Comparison:
    """A candidate and a baseline on the utterances of a slice that both have heard.

    Attributes:
        candidate: its word error rate on those utterances.
        baseline: the baseline's.
        difference: candidate minus baseline, a fraction; negative where the candidate is better.
        reduction: share of the baseline's errors that the candidate avoids; None where the
            baseline makes none.
        p_value: one-sided, of "the candidate is no better".
        texts: independent texts that the intervals rest on.
    """

    slice: Slice
    candidate: Estimate
    baseline: Estimate
    difference: Estimate
    reduction: Estimate | None
    p_value: float
    texts: int

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> Comparison:
        reduction = fields["reduction"]
        return cls(
            slice=Slice(**fields["slice"]),
            candidate=Estimate.from_dict(fields["candidate"]),
            baseline=Estimate.from_dict(fields["baseline"]),
            difference=Estimate.from_dict(fields["difference"]),
            reduction=None if reduction is None else Estimate.from_dict(reduction),
            p_value=fields["p_value"],
            texts=fields["texts"],
        )
