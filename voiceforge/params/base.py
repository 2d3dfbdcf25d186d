"""What every block of params.yaml shares: strictness, and the types of common values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field

Share = Annotated[float, Field(ge=0.0, le=1.0)]
Positive = Annotated[int, Field(ge=1)]
LanguageCode = Annotated[str, Field(pattern=r"^[a-z]{2,3}$")]
Consent = Literal["granted", "unknown", "refused"]
DOMAIN_NAME = r"^[a-z0-9][a-z0-9-]{0,62}$"

Number = TypeVar("Number", int, float)


class Strict(BaseModel):
    """A block: unknown keys are errors, values do not change. Descriptions of its fields are what
    docs/parameters.md says about them."""

    model_config = ConfigDict(extra="forbid", frozen=True)


@dataclass(frozen=True)
class Between:
    """Validator of a range [least, most]; stands in an `AfterValidator`, where docs find it."""

    low: float
    high: float
    unit: str = ""

    @property
    def allowed(self) -> str:
        return f"[least, most]{self.unit and ' ' + self.unit}, {self.low:g} to {self.high:g}"

    def __call__(self, value: tuple[Number, Number]) -> tuple[Number, Number]:
        """The value; raises ValueError when it is no range within the bounds (NaN is none)."""
        if not self.low <= value[0] <= value[1] <= self.high:
            raise ValueError(
                f"must be [least, most]{self.unit and ' ' + self.unit}, "
                f"{self.low:g} <= least <= most <= {self.high:g}"
            )
        return value
