"""Silero VAD through ONNX Runtime hears what its authors' PyTorch model hears."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from data.audio import SAMPLE_RATE
from data.fetch import fetch
from data.speech_activity import WINDOW, speech_probabilities, speech_seconds
from tests.data.recordings import prompts


@pytest.fixture(scope="module")
def folder(cache: Path) -> Path:
    return fetch("prompts-en", cache=cache, offline=False, timeout=10)


def test_probabilities_are_those_of_the_reference(folder: Path) -> None:
    import torch
    from silero_vad import load_silero_vad

    reference = load_silero_vad()
    spoken = list(prompts(folder, 40))
    for name, samples in spoken:
        with torch.no_grad():
            expected = reference.audio_forward(torch.from_numpy(samples), SAMPLE_RATE)[0].numpy()
        heard = speech_probabilities(samples)
        assert heard.shape == expected.shape, name
        assert np.abs(heard - expected).max() < 2e-3, name
        seconds = min((expected >= 0.5).sum() * WINDOW, samples.size) / SAMPLE_RATE
        assert speech_seconds(samples) == pytest.approx(seconds, abs=WINDOW / SAMPLE_RATE)


def test_people_are_heard_and_tones_are_not(folder: Path) -> None:
    heard = {name: speech_seconds(samples) for name, samples in prompts(folder, 600)}
    assert heard["vm-login"] > 1.0
    for tone in ("beep", "beeperr", "ascending-2tone", "confbridge-join", "tt-monkeys"):
        assert heard[tone] < 0.1
    rng = np.random.default_rng(1)
    assert speech_seconds(rng.normal(0, 0.05, 48_000).astype(np.float32)) < 0.2
    assert speech_seconds(np.zeros(1, np.float32)) == 0.0


def test_measuring_needs_no_torch() -> None:
    script = (
        "import sys, numpy as np\n"
        "from data.speech_activity import speech_seconds\n"
        "speech_seconds(np.zeros(600, np.float32))\n"
        "assert 'torch' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
