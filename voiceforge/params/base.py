"""What every block of params.yaml shares: strictness, and the types of common values."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Share = Annotated[float, Field(ge=0.0, le=1.0)]
Positive = Annotated[int, Field(ge=1)]
LanguageCode = Annotated[str, Field(pattern=r"^[a-z]{2,3}$")]
Consent = Literal["granted", "unknown", "refused"]
DOMAIN_NAME = r"^[a-z0-9][a-z0-9-]{0,62}$"


class Strict(BaseModel):
    """A block: unknown keys are errors, values do not change. Descriptions of its fields are what
    docs/parameters.md says about them."""

    model_config = ConfigDict(extra="forbid", frozen=True)
