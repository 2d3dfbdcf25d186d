"""Stage predictions: each engine hears the test split once; every report derives from that."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from data.utterance import Utterance
from lifecycle import engine as engines
from lifecycle import splits
from lifecycle.artifacts import Artifact, Question
from lifecycle.workspace import Workspace

if TYPE_CHECKING:
    from evaluation.prediction import Prediction

STAGE = "predictions"
BASE = "base_predictions"
CHAMPION = "champion_predictions"
FIRST_CHAMPION = "first_champion_predictions"
DEV = "dev_predictions"
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


def make_dev_predictions(workspace: Workspace) -> Artifact:
    """The fine-tuned engine on the dev split: what its calibrator is fitted on."""
    folder = engines.engine_folder(workspace.current(engines.STAGE))
    return _predict(workspace, folder, DEV, None, split="dev")


def leave_dev_predictions(workspace: Workspace, engine: Path, said: Sequence[Prediction]) -> None:
    """Leave what an engine said of dev where `make_dev_predictions` looks for it.

    They are parts, as of a run that was killed when it had heard everything. Should they be lost,
    the engine hears dev again.

    Args:
        engine: its folder, wherever it lies now.
        said: of the dev split, heard as every prediction is.
    """
    from evaluation.runners import write_predictions

    asked = _question(workspace, engine, None, "dev")
    if not workspace.store.holds(asked):
        write_predictions(workspace.store.workspace(asked) / TABLE, said)


def read(artifact: Artifact) -> list[Prediction]:
    from evaluation.runners import read_predictions

    return read_predictions(artifact.path / TABLE)


def test_utterances(workspace: Workspace) -> list[Utterance]:
    """The held-out utterances: texts, and voices where they can be kept apart, not trained on."""
    return utterances_of(workspace, "test")


def utterances_of(workspace: Workspace, split: str) -> list[Utterance]:
    return [row for row in splits.read_splits(workspace) if row.split == split]


def _predict(
    workspace: Workspace,
    engine: Path,
    pointer: str,
    sample: Mapping[str, int] | None,
    *,
    split: str = "test",
) -> Artifact:
    params = workspace.domain.evaluation
    asked = _question(workspace, engine, sample, split)

    def build(folder: Path, scratch: Path) -> Mapping[str, Any]:
        from evaluation.runners import predict, write_predictions
        from serving.engines.loading import OnDemand

        clips = _sample(utterances_of(workspace, split), sample)
        rows = predict(
            OnDemand(engine, workspace.settings.threads),
            clips,
            workspace.corpus,
            batch_size=params.batch_size,
            progress=lambda done, total: workspace.report(pointer, done, total, "clips"),
            parts=scratch,
        )
        write_predictions(folder / TABLE, rows)
        return {
            "engine_sha256": asked.inputs["engine"],
            "utterances": len(rows),
            "audio_seconds": round(sum(row.audio_seconds for row in rows), 1),
            "compute_seconds": round(sum(row.compute_seconds for row in rows), 1),
        }

    return workspace.make(
        asked.stage, asked.version, asked.inputs, asked.parameters, build, pointer=pointer
    )


def _question(
    workspace: Workspace, engine: Path, sample: Mapping[str, int] | None, split: str
) -> Question:
    """What predictions are asked for."""
    from serving.engines import engine_sha256
    from serving.engines.contracts import DECODING_VERSION

    params = workspace.domain.evaluation
    return workspace.question(
        STAGE,
        VERSION,
        {
            "engine": engine_sha256(engine),
            splits.STAGE: workspace.current(splits.STAGE).sha256,
        },
        {
            "batch_size": params.batch_size,
            "decoding": DECODING_VERSION,
            **(sample or {}),
            # Artifacts of the test split are older than the others, and do not name it.
            **({} if split == "test" else {"split": split}),
        },
    )


def _sample(clips: Sequence[Utterance], sample: Mapping[str, int] | None) -> Sequence[Utterance]:
    if sample is None:
        return clips
    from evaluation.runners import stratified_sample

    return stratified_sample(clips, **sample)
