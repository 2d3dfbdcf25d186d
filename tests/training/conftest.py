"""A handful of telephone prompts as a corpus, and tiny.en to train on them."""

from __future__ import annotations

from pathlib import Path

import pytest

from data import catalogue
from data.audio import SAMPLE_RATE, decode, write_flac
from data.fetch import fetch
from data.sources.base import FileAudio
from data.sources.prompts import plan_prompts
from data.tables import write_utterances
from data.utterance import Utterance
from tests.recorded import utterance
from training.base_models import resolve
from training.recipe import TrainingSpec
from voiceforge.params import ReplayParams, TrainingParams, domain_params

CLIPS = 10
"""Clips of the corpus; all are in train, the first four in dev as well, as copies."""
DEV = 4


def without_replay(params: TrainingParams) -> TrainingParams:
    """The shipped recipe on its own clips alone, and for so few steps that it learns all it can."""
    off = ReplayParams(share=0.0, sources=(), labels="base-model")
    return params.model_copy(update={"replay": off, "adapter_weight": 1.0, "learning_rate": 0.001})


@pytest.fixture(scope="session")
def tiny_en(cache: Path) -> Path:
    """Hugging Face folder of whisper-tiny.en."""
    return resolve("whisper-tiny.en", cache=cache, offline=False, timeout=30.0).path


@pytest.fixture(scope="session")
def prompts_corpus(cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with FLAC files and utterances.parquet: short prompts of one real speaker."""
    folder = tmp_path_factory.mktemp("prompts-corpus")
    rows = write_prompts(folder, cache, clips=CLIPS, seconds=(1.5, 4.0), every=60)
    dev = [in_dev(row) for row in rows[:DEV]]
    write_utterances(folder / "utterances.parquet", [*rows, *dev])
    return folder


def write_prompts(
    folder: Path, cache: Path, *, clips: int, seconds: tuple[float, float], every: int
) -> list[Utterance]:
    """FLAC files of the first `clips` prompts that are so long, of `every` spread over all."""
    source = fetch("prompts-en", cache=cache, offline=False, timeout=30.0)
    plan = plan_prompts(source, "en", catalogue.entry("prompts-en").licence)
    rows: list[Utterance] = []
    for recording in plan.recordings[:: len(plan.recordings) // every]:
        if len(rows) == clips:
            break
        assert isinstance(recording.audio, FileAudio)
        samples = decode(recording.audio.path)
        duration = len(samples) / SAMPLE_RATE
        if not seconds[0] <= duration <= seconds[1]:
            continue
        write_flac(folder / f"{recording.id}.flac", samples)
        rows.append(utterance(recording, samples, "train"))
    return rows


def in_dev(row: Utterance) -> Utterance:
    from dataclasses import replace

    return replace(row, id=f"{row.id}-dev", split="dev")


@pytest.fixture()
def spec(project: Path, tiny_en: Path, prompts_corpus: Path, tmp_path: Path) -> TrainingSpec:
    """A few small steps on those clips, in one thread: so little work gains nothing from more."""
    params = without_replay(domain_params(project / "params.yaml", "telephony-en").training)
    few = {"steps": 6, "batch_size": 4, "evaluate_every": 3, "checkpoint_every": 2}
    return TrainingSpec.from_params(
        params.model_copy(update=few),
        language="en",
        normaliser="whisper-english",
        base=tiny_en,
        corpus=prompts_corpus,
        utterances=prompts_corpus / "utterances.parquet",
        output=tmp_path / "adapter",
        threads=1,
    )
