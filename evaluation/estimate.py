"""A figure that a person will read, with its interval and what it rests on."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class Estimate:
    """An estimate with its confidence interval.

    Attributes:
        value: the point estimate. Word error rates are fractions (0.05 is 5%), printed in percent.
        low: lower end of the interval; equal to `value` where no interval can be given.
        high: upper end.
        confidence: coverage of the interval, such as 0.95.
        words: reference words that it rests on.
        utterances: utterances that it rests on.
        speakers: speakers that it rests on.
        method: how the interval was made, such as "bootstrap over 212 texts".
    """

    value: float
    low: float
    high: float
    confidence: float
    words: int
    utterances: int
    speakers: int
    method: str

    @property
    def has_no_interval(self) -> bool:
        """Whether it rests on a single text or speaker, which says nothing of others."""
        return self.method.startswith("no interval: a single")

    def percent(self, digits: int = 1) -> str:
        """For example "4.6% [3.2, 6.1]", or "4.6% (no interval)" of a single text or speaker."""
        if self.has_no_interval:
            return f"{100 * self.value:.{digits}f}% (no interval)"
        return (
            f"{100 * self.value:.{digits}f}% "
            f"[{100 * self.low:.{digits}f}, {100 * self.high:.{digits}f}]"
        )

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> Estimate:
        return cls(**fields)


class Difference(Protocol):
    """A difference of two fractions with its interval: an `Estimate`, or an `Interval`."""

    @property
    def value(self) -> float: ...

    @property
    def low(self) -> float: ...

    @property
    def high(self) -> float: ...


def signed_points(difference: Difference, digits: int = 1) -> str:
    """For example "-1.7 [-2.4, -1.0]", in points (hundredths), for tables of plain text."""
    value, low, high = (
        f"{100 * end:+.{digits}f}" for end in (difference.value, difference.low, difference.high)
    )
    return f"{value} [{low}, {high}]"
