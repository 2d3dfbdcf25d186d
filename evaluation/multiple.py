"""Many questions at once: p-values that stay honest when the smallest is looked at."""

from __future__ import annotations

import math
from collections.abc import Sequence


def holm(p_values: Sequence[float]) -> tuple[float, ...]:
    """Holm's adjusted p-values, in the order given.

    Judging each against one level keeps the chance of any false finding below that level, however
    the questions hang together (Holm 1979, "A simple sequentially rejective multiple test
    procedure").

    Raises:
        ValueError: a p-value is not in 0..1.
    """
    for p_value in p_values:
        if not 0.0 <= p_value <= 1.0 or math.isnan(p_value):
            raise ValueError(f"{p_value} is no p-value; it must be between 0 and 1.")
    adjusted = [0.0] * len(p_values)
    highest = 0.0
    order = sorted(range(len(p_values)), key=lambda index: p_values[index])
    for rank, index in enumerate(order):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = highest
    return tuple(adjusted)
