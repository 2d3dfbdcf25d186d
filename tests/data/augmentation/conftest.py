"""Real speech, and the effects' parameters as shipped."""

from __future__ import annotations

from pathlib import Path

import pytest

from data.audio import Samples, decode
from data.fetch import fetch
from voiceforge.params import AugmentationParams, domain_params

NAMES = ("agent-alreadyon", "agent-pass", "agent-user", "agent-loggedoff")


@pytest.fixture(scope="session")
def voices(cache: Path) -> list[Samples]:
    """A few telephone prompts; the first has 5.5 s."""
    folder = fetch("prompts-en", cache=cache, offline=False, timeout=60.0)
    return [decode(next(folder.rglob(f"{name}.g722"))) for name in NAMES]


@pytest.fixture(scope="session")
def speech(voices: list[Samples]) -> Samples:
    """One of them at a level that leaves room for noise."""
    return voices[0] * 0.25


@pytest.fixture(scope="session")
def shipped(project: Path) -> AugmentationParams:
    """The shipped ranges, every effect off."""
    return domain_params(project / "params.yaml", "telephony-en").training.augmentation
