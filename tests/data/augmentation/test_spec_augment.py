"""SpecAugment: where masks may lie, how wide they are, and what is under them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.augmentation.spec_augment import mask
from voiceforge.params import SpecAugmentParams


def params(**changes: float) -> SpecAugmentParams:
    off = {"time_masks": 0, "time_share": 0.1, "frequency_masks": 0, "frequency_share": 0.2}
    return SpecAugmentParams.model_validate({"probability": 1.0, **off, **changes})


def mel(frames: int, width: int, bands: int = 80) -> np.ndarray:
    rng = np.random.default_rng(frames)
    whole = np.full((bands, width), -1.0, dtype=np.float32)
    whole[:, :frames] = rng.uniform(-0.5, 1.5, (bands, frames))
    return whole


@given(
    st.integers(0, 300), st.integers(0, 100), st.integers(0, 4), st.integers(0, 4), st.integers(0)
)
def test_masks_are_narrow_enough_and_never_on_padding(
    frames: int, padding: int, in_time: int, in_frequency: int, seed: int
) -> None:
    before = mel(frames, frames + padding)
    kept = before.copy()
    asked = params(time_masks=in_time, frequency_masks=in_frequency)
    after = mask(before, frames, asked, np.random.default_rng(seed))
    np.testing.assert_array_equal(before, kept)
    assert (after.shape, after.dtype) == (before.shape, before.dtype)
    np.testing.assert_array_equal(after[:, frames:], before[:, frames:])
    changed = after[:, :frames] != before[:, :frames]
    columns, rows = changed.all(axis=0), changed.all(axis=1)
    assert columns.sum() <= in_time * round(0.1 * frames) or rows.all()
    assert rows.sum() <= in_frequency * 16 or columns.all()
    outside = changed & ~columns[None, :] & ~rows[:, None]
    assert not outside.any()
    if changed.any():
        np.testing.assert_allclose(after[:, :frames][changed], before[:, :frames].mean(), rtol=1e-5)


def test_widths_are_even_from_none_to_the_widest_and_go_with_the_clip() -> None:
    for frames in (100, 600):
        before = mel(frames, frames)
        widths = []
        for seed in range(2000):
            after = mask(before, frames, params(time_masks=1), np.random.default_rng(seed))
            widths.append(int((after != before).all(axis=0).sum()))
        counts = np.bincount(widths)
        assert len(counts) == round(0.1 * frames) + 1
        assert counts.min() > 0.3 * counts.mean()
        assert np.mean(widths) == pytest.approx(0.05 * frames, rel=0.1)


def test_every_place_of_the_clip_is_masked_about_as_often() -> None:
    before = mel(60, 90)
    hits = sum(
        (mask(before, 60, params(time_masks=1), np.random.default_rng(seed)) != before).all(axis=0)
        for seed in range(3000)
    )
    assert hits[60:].sum() == 0
    assert hits[8:52].min() > 0.7 * hits[8:52].mean()
