"""Moments as records hold them."""

from __future__ import annotations

import datetime


def moment(at: datetime.datetime | None = None) -> str:
    """A time in ISO 8601 with its offset from UTC, to the second; now by default."""
    return (at or datetime.datetime.now(datetime.UTC)).isoformat(timespec="seconds")
