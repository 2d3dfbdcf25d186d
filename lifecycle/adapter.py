"""Stage adapter: LoRA fine-tuning of the base model on the corpus's training split."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lifecycle import splits
from lifecycle.artifacts import Artifact
from lifecycle.base_model import base_model
from lifecycle.workspace import Workspace

STAGE = "adapter"
VERSION = 1


def make_adapter(workspace: Workspace) -> Artifact:
    """Train in a process of its own; a killed training goes on from its last checkpoint."""
    from training.launch import run_training
    from training.recipe import TrainingSpec

    settings, domain = workspace.settings, workspace.domain
    base = base_model(workspace)
    utterances = workspace.current(splits.STAGE)

    def build(folder: Path, checkpoints: Path) -> Mapping[str, Any]:
        spec = TrainingSpec.from_params(
            domain.training,
            language=domain.language,
            normaliser=domain.evaluation.normaliser,
            base=base.path,
            corpus=workspace.corpus,
            utterances=utterances.path / splits.TABLE,
            output=folder,
            threads=settings.threads,
        )
        report = run_training(
            spec,
            checkpoints,
            lambda now: workspace.report(
                STAGE, now.step, now.steps, now.message, **now.values()
            ),
        )
        return report.summary()

    return workspace.make(
        STAGE,
        VERSION,
        {"base_model": base.sha256, splits.STAGE: utterances.sha256},
        {
            "language": domain.language,
            "normaliser": domain.evaluation.normaliser,
            **domain.training.model_dump(mode="json"),
        },
        build,
    )
