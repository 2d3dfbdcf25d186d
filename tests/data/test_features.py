"""The log-mel against transformers' own feature extractor."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.features import SAMPLE_RATE, WINDOW_FRAMES, log_mel, mel_frames


def chirp(seconds: float, seed: int) -> np.ndarray:
    time = np.arange(int(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    noise = np.random.default_rng(seed).normal(0.0, 0.01, len(time))
    return (0.3 * np.sin(2 * np.pi * (200 + 900 * time) * time) + noise).astype(np.float32)


@pytest.mark.parametrize("n_mels", [80, 128])
def test_padded_window_equals_transformers(n_mels: int) -> None:
    from transformers import WhisperFeatureExtractor

    clip = chirp(3.7, seed=1)
    extractor = WhisperFeatureExtractor(feature_size=n_mels)
    theirs = extractor(clip, sampling_rate=SAMPLE_RATE, return_tensors="np").input_features[0]
    ours = log_mel(clip, n_mels, WINDOW_FRAMES)
    assert ours.shape == theirs.shape
    np.testing.assert_allclose(ours, theirs, atol=2e-4)


@given(st.integers(0, 40_000))
def test_any_length_gives_an_even_number_of_finite_frames(samples: int) -> None:
    mel = log_mel(chirp(3.0, seed=2)[:samples])
    assert mel.shape[1] % 2 == 0
    assert np.isfinite(mel).all()


def test_length_matched_mel_is_the_start_of_the_padded_one() -> None:
    clip = chirp(2.0, seed=3)
    short, full = log_mel(clip, frames=mel_frames(2.0)), log_mel(clip, frames=WINDOW_FRAMES)
    np.testing.assert_allclose(short[:, :195], full[:, :195], atol=1e-5)


def test_silence_is_flat() -> None:
    assert np.ptp(log_mel(np.zeros(1600, dtype=np.float32))) == 0.0
