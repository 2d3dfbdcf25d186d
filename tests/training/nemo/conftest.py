"""Prompts as a corpus, and tiny `.nemo` models; NeMo is imported once, in this process."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from data.tables import write_utterances
from tests.training.conftest import in_dev, without_replay, write_prompts
from tests.training.nemo import tiny
from training.recipe import TrainingSpec
from voiceforge.params import domain_params

CLIPS = 24
DEV = 6

TARGETS = {
    "canary": ("linear_q", "linear_v", "query_net", "value_net"),
    "rnnt": ("linear_q", "linear_v", "enc"),
}
FEW = {
    "backend": "nemo",
    "steps": 6,
    "batch_size": 4,
    "evaluate_every": 3,
    "checkpoint_every": 3,
    "rank": 4,
    "alpha": 8,
    "learning_rate": 0.01,
    "warmup": 0.0,
    "trailing_silence": (0.0, 0.0),
}


@pytest.fixture(scope="session")
def corpus(cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with FLAC files and utterances.parquet: short prompts of one real speaker."""
    folder = tmp_path_factory.mktemp("nemo-corpus")
    rows = write_prompts(folder, cache, clips=CLIPS, seconds=(0.5, 3.0), every=200)
    dev = [in_dev(row) for row in rows[:DEV]]
    write_utterances(folder / "utterances.parquet", [*rows, *dev])
    (folder / "texts.txt").write_text("\n".join(row.text for row in rows))
    return folder


@pytest.fixture(scope="session")
def model(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The `.nemo` file of a tiny model of that kind."""
    folder = tmp_path_factory.mktemp("models")
    made: dict[str, Path] = {}

    def get(kind: str) -> Path:
        if kind not in made:
            texts = (corpus / "texts.txt").read_text().splitlines()
            made[kind] = tiny.build(kind, texts, folder / kind)
        return made[kind]

    return get


@pytest.fixture()
def spec_of(
    project: Path, corpus: Path, model: Callable[[str], Path], tmp_path: Path
) -> Callable[..., TrainingSpec]:
    """A few steps on a tiny model of that kind; further keys are those of the training block."""
    params = without_replay(domain_params(project / "params.yaml", "telephony-en").training)

    def make(kind: str, **keys: object) -> TrainingSpec:
        targets = {"targets": TARGETS.get(kind, ("linear_q", "linear_v"))}
        return TrainingSpec.from_params(
            params.model_copy(update={**FEW, **targets, **keys}),
            language="en",
            normaliser="whisper-english",
            base=model(kind),
            corpus=corpus,
            utterances=corpus / "utterances.parquet",
            output=tmp_path / f"adapter-{kind}",
            threads=1,
        )

    return make
