"""Dynamic time warping beside that of transformers."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from serving.engines.alignment import align_attention, shortest_path


@given(st.integers(1, 12), st.integers(1, 40), st.integers(0, 10**6))
@settings(deadline=None, max_examples=100)
def test_the_path_is_that_of_transformers(rows: int, columns: int, seed: int) -> None:
    from transformers.models.whisper.generation_whisper import _dynamic_time_warping

    cost = np.random.default_rng(seed).normal(size=(rows, columns))
    text, time = _dynamic_time_warping(cost)
    assert shortest_path(cost) == list(zip(text.tolist(), time.tolist(), strict=True))


def test_attention_that_walks_through_the_audio_is_followed() -> None:
    attention = np.full((2, 4, 60), 1e-3)
    for row in range(4):
        attention[:, row, 15 * row : 15 * row + 15] = 1.0
    path = align_attention(attention, positions=60)
    starts = [min(column for at, column in path if at == row) for row in range(4)]
    assert np.abs(np.array(starts) - [0, 15, 30, 45]).max() <= 2


def test_what_lies_behind_the_audio_is_not_looked_at() -> None:
    attention = np.random.default_rng(1).random((3, 5, 80))
    louder = attention.copy()
    louder[:, :, 50:] = 100.0
    assert align_attention(attention, 50) == align_attention(louder, 50)
    assert align_attention(attention, 50)[-1] == (4, 49)


def test_a_clip_of_one_position_has_a_path() -> None:
    assert align_attention(np.ones((1, 3, 1)), 1) == [(0, 0), (1, 0), (2, 0)]
