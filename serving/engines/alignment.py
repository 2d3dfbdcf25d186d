"""Where tokens lie in the audio, from the decoder's attention: dynamic time warping.

Source: OpenAI's whisper/timing.py (`find_alignment`, `dtw`, `median_filter`).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.floating]

_MEDIAN = 7
"""Encoder positions that the attention is smoothed over."""


def align_attention(attention: Floats, positions: int) -> list[tuple[int, int]]:
    """The path of the tokens through the audio.

    Args:
        attention: of the model's alignment heads, after softmax, shape [heads, rows, positions];
            row i is the attention with which token i was written, the last row that of the end.
        positions: encoder positions that hold audio, 1 at least; the rest is left out.

    Returns:
        Pairs (row, position), both never falling, from (0, 0) to the last of both.
    """
    from scipy.ndimage import median_filter

    weights = np.asarray(attention, np.float64)[:, :, :positions]
    weights = weights / np.maximum(weights.sum(axis=-1, keepdims=True), 1e-30)
    mean, spread = weights.mean(axis=1, keepdims=True), weights.std(axis=1, keepdims=True)
    weights = (weights - mean) / np.maximum(spread, 1e-12)
    if positions > _MEDIAN // 2:  # OpenAI's filter leaves shorter audio alone
        weights = median_filter(weights, size=(1, 1, _MEDIAN), mode="mirror")
    return shortest_path(-weights.mean(axis=0))


def shortest_path(cost: Floats) -> list[tuple[int, int]]:
    """Dynamic time warping: the cheapest path from the first to the last cell, in unit steps.

    Args:
        cost: shape [rows, columns], at least one of each.

    Returns:
        Cells (row, column); each step goes down, right or both.
    """
    rows, columns = cost.shape
    total = np.full((rows + 1, columns + 1), np.inf)
    total[0, 0] = 0.0
    step = np.zeros((rows + 1, columns + 1), np.int8)
    # Cells of one anti-diagonal depend on the two before it alone, so that each is one operation.
    for diagonal in range(2, rows + columns + 1):
        row = np.arange(max(1, diagonal - columns), min(rows, diagonal - 1) + 1)
        column = diagonal - row
        before = np.stack(
            [total[row - 1, column - 1], total[row - 1, column], total[row, column - 1]]
        )
        best = _first_least(before)
        step[row, column] = best
        total[row, column] = cost[row - 1, column - 1] + before[best, np.arange(len(row))]
    return _trace(step)


def _first_least(before: Floats) -> npt.NDArray[np.int8]:
    """Which of (both, down, right); of equals OpenAI's dtw takes right, then down."""
    both, down, right = before
    return np.where(
        (both < down) & (both < right), 0, np.where((down < both) & (down < right), 1, 2)
    ).astype(np.int8)


def _trace(step: npt.NDArray[np.int8]) -> list[tuple[int, int]]:
    row, column = step.shape[0] - 1, step.shape[1] - 1
    path: list[tuple[int, int]] = []
    while row > 0 and column > 0:
        path.append((row - 1, column - 1))
        how = step[row, column]
        row, column = row - (how != 2), column - (how != 1)
    return path[::-1]
