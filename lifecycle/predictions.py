"""Stage predictions: each engine hears the test split once; every report derives from that."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from data.utterance import Utterance
from lifecycle import engine as engines
from lifecycle import splits
from lifecycle.artifacts import Artifact
from lifecycle.workspace import Workspace

if TYPE_CHECKING:
    from evaluation.prediction import Prediction

STAGE = "predictions"
BASE = "base_predictions"
CHAMPION = "champion_predictions"
FIRST_CHAMPION = "first_champion_predictions"
VERSION = 1
TABLE = "predictions.parquet"


def make_predictions(workspace: Workspace) -> Artifact:
    """The fine-tuned engine on the whole test split."""
    return _predict(workspace, engines.engine_folder(workspace.current(engines.STAGE)), STAGE, None)


def make_base_predictions(workspace: Workspace) -> Artifact:
    """The padded base model, ten times slower, on a stratified sample of the test split."""
    params = workspace.domain.evaluation
    sample = {
        "words_per_accent": params.base_words_per_accent,
        "human_words": params.base_human_words,
        "seed": params.seed,
    }
    return _predict(workspace, engines.engine_folder(workspace.current(engines.BASE)), BASE, sample)


def make_champion_predictions(workspace: Workspace, engine: Path) -> Artifact:
    """The current champion's engine on the whole test split."""
    return _predict(workspace, engine, CHAMPION, None)


def make_first_champion_predictions(workspace: Workspace, engine: Path) -> Artifact:
    """The engine that was promoted first on the whole test split: what gates are anchored to."""
    return _predict(workspace, engine, FIRST_CHAMPION, None)


def read(artifact: Artifact) -> list[Prediction]:
    from evaluation.runners import read_predictions

    return read_predictions(artifact.path / TABLE)


def test_utterances(workspace: Workspace) -> list[Utterance]:
    """The held-out utterances: texts, and voices where they can be kept apart, not trained on."""
    return [row for row in splits.read_splits(workspace) if row.split == "test"]


def _predict(
    workspace: Workspace, engine: Path, pointer: str, sample: Mapping[str, int] | None
) -> Artifact:
    from serving.engines import engine_sha256
    from serving.engines.contracts import DECODING_VERSION

    params = workspace.domain.evaluation
    identity = engine_sha256(engine)
    table = workspace.current(splits.STAGE)

    def build(folder: Path, scratch: Path) -> Mapping[str, Any]:
        from evaluation.runners import predict, write_predictions
        from serving.engines import load_engine

        clips = _sample(workspace, sample)
        rows = predict(
            load_engine(engine, threads=workspace.settings.threads),
            clips,
            workspace.corpus,
            batch_size=params.batch_size,
            progress=lambda done, total: workspace.report(pointer, done, total, "clips"),
            parts=scratch,
        )
        write_predictions(folder / TABLE, rows)
        return {
            "engine_sha256": identity,
            "utterances": len(rows),
            "audio_seconds": round(sum(row.audio_seconds for row in rows), 1),
            "compute_seconds": round(sum(row.compute_seconds for row in rows), 1),
        }

    return workspace.make(
        STAGE,
        VERSION,
        {"engine": identity, splits.STAGE: table.sha256},
        {"batch_size": params.batch_size, "decoding": DECODING_VERSION, **(sample or {})},
        build,
        pointer=pointer,
    )


def _sample(workspace: Workspace, sample: Mapping[str, int] | None) -> Sequence[Utterance]:
    clips = test_utterances(workspace)
    if sample is None:
        return clips
    from evaluation.runners import stratified_sample

    return stratified_sample(clips, **sample)
