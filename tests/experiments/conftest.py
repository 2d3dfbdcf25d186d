"""Comparisons with intervals of one's choice."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import settings

from evaluation.comparison import Comparison, Slice
from evaluation.estimate import Estimate

settings.register_profile("patient")
settings.load_profile("patient")

Compared = Callable[..., Comparison]


def estimate(value: float, low: float, high: float, words: int = 1000) -> Estimate:
    return Estimate(value, low, high, 0.95, words, words // 8, 3, "test")


@pytest.fixture(scope="session")
def compared() -> Compared:
    """Makes a comparison from the interval of its difference, in points."""

    def make(
        part: Slice, low: float, high: float, *, words: int = 1000, texts: int = 90
    ) -> Comparison:
        low, high = low / 100, high / 100
        middle = (low + high) / 2
        return Comparison(
            slice=part,
            candidate=estimate(0.3 + middle, 0.2, 0.4, words),
            baseline=estimate(0.3, 0.2, 0.4, words),
            difference=estimate(middle, low, high, words),
            reduction=None,
            p_value=0.5,
            texts=texts,
        )

    return make
