"""A small corpus of real prompts, an engine of the real base model, and made-up predictions."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import settings

from data.audio import SAMPLE_RATE, decode, write_flac
from data.sources.base import FileAudio, Reach
from data.sources.prompts import Prompts
from data.utterance import Utterance
from evaluation.prediction import Prediction
from serving.engines import ctranslate2, load_engine
from serving.engines.contracts import Engine, EngineSpec
from tests.recorded import utterance
from training.base_models import resolve

# First examples load libraries, and the machine may be busy: time is no property under test.
settings.register_profile("patient")
settings.load_profile("patient")

VOCABULARY = (
    "please enter your mailbox number followed by the pound key to leave a message press one for "
    "sales or hear more options you have three new messages in this folder goodbye thank you"
)


@dataclass(frozen=True)
class Prompted:
    """Real prompts: the folder with their audio, and their rows."""

    folder: Path
    utterances: list[Utterance]


@pytest.fixture(scope="session")
def prompted(cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Prompted:
    """12 English prompts of one to eight seconds, spread over the alphabet."""
    folder = tmp_path_factory.mktemp("prompted")
    plan = Prompts("en").plan(Reach(cache, offline=False, timeout=10.0))
    rows: list[Utterance] = []
    for recording in plan.recordings[::20]:
        assert isinstance(recording.audio, FileAudio)
        samples = decode(recording.audio.path)
        if SAMPLE_RATE <= len(samples) <= 8 * SAMPLE_RATE and len(rows) < 12:
            write_flac(folder / f"{recording.id}.flac", samples)
            rows.append(utterance(recording, samples, "test"))
    assert len(rows) == 12
    return Prompted(folder, rows)


@pytest.fixture(scope="session")
def base_engine(cache: Path, threads: int, tmp_path_factory: pytest.TempPathFactory) -> Engine:
    """whisper-tiny.en as it is served: int8, padded to its 30 s window."""
    folder = tmp_path_factory.mktemp("engine")
    model = resolve("whisper-tiny.en", cache=cache, offline=False, timeout=10.0)
    spec = EngineSpec("ctranslate2", "int8", minimum_mel_frames=3000, language="en")
    ctranslate2.build(model.path, folder, spec, source_sha256=model.sha256, trailing_silence=0.0)
    return load_engine(folder, threads=threads)


@pytest.fixture(scope="session")
def many() -> list[Utterance]:
    """Made-up rows: one person in en-us, and en-us and en-gb by three synthetic voices each."""
    chance = random.Random(1)
    texts = [
        " ".join(chance.choices(VOCABULARY.split(), k=chance.randint(3, 14))) for _ in range(120)
    ]
    rows = [row(f"human-{number}", text, "en-us", "kim") for number, text in enumerate(texts[:70])]
    for accent in ("en-us", "en-gb"):
        for voice in ("m7", "m8", "f5"):
            rows += [
                row(f"{accent}-{voice}-{number}", text, accent, f"{accent}+{voice}", synthetic=True)
                for number, text in enumerate(texts)
            ]
    return rows


@pytest.fixture(scope="session")
def hear() -> Callable[[Sequence[Utterance], float], list[Prediction]]:
    """Makes predictions that get each word wrong with the given probability."""

    def heard(rows: Sequence[Utterance], wrong: float) -> list[Prediction]:
        chance = random.Random(f"{wrong} {len(rows)}")
        return [
            Prediction(
                utterance_id=utterance.id,
                reference=utterance.text,
                hypothesis=" ".join(
                    "wrong" if chance.random() < wrong else word for word in utterance.text.split()
                ),
                token_logprobs=(-0.1,),
                audio_seconds=utterance.duration,
                compute_seconds=0.1,
            )
            for utterance in rows
        ]

    return heard


def row(name: str, text: str, accent: str, speaker: str, *, synthetic: bool = False) -> Utterance:
    return Utterance(
        id=name,
        audio=f"{name}.flac",
        duration=1.0 + len(text) / 15,
        text=text,
        language="en",
        accent=accent,
        speaker=speaker,
        domain="telephony-en",
        source="test",
        licence="CC0-1.0",
        consent="granted",
        split="test",
        is_synthetic=synthetic,
        audio_sha256="",
    )
