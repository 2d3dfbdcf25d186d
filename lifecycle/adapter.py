"""Stage adapter: LoRA fine-tuning of the base model on the corpus's training split."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lifecycle import replay, splits
from lifecycle.artifacts import Artifact
from lifecycle.base_model import base_model
from lifecycle.plots import write_loss_curve
from lifecycle.workspace import Workspace
from voiceforge.errors import StageError

if TYPE_CHECKING:
    from training.recipe import TrainingProgress, TrainingReport

STAGE = "adapter"
VERSION = 1
PLOT = "loss.png"


def make_adapter(workspace: Workspace) -> Artifact:
    """Train in a process of its own; a killed training goes on from its last checkpoint."""
    from training.launch import run_training
    from training.recipe import TrainingSpec

    settings, domain = workspace.settings, workspace.domain
    base = base_model(workspace)
    utterances = workspace.current(splits.STAGE)
    general = replay.make_replay(workspace)
    inputs = {"base_model": base.sha256, splits.STAGE: utterances.sha256}
    if general is not None:
        inputs[replay.STAGE] = general.sha256

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
            replay=general.path if general else None,
        )
        report = run_training(spec, checkpoints, lambda news: _report(workspace, news))
        summary = _summary(report)
        write_loss_curve(folder / PLOT, summary["loss_curve"], summary["dev_curve"])
        return summary

    return workspace.make(
        STAGE,
        VERSION,
        inputs,
        parameters(workspace),
        build,
    )


def check_parameters(workspace: Workspace) -> None:
    """Refuse to speak of an adapter as made from parameters that it was not made from.

    Raises:
        StageError: params.yaml has changed since the adapter was trained.
    """
    trained, asked = workspace.current(STAGE).parameters, parameters(workspace)
    changed = sorted(key for key in {*trained, *asked} if trained.get(key) != asked.get(key))
    if changed:
        raise StageError(
            f"params.yaml was changed while {workspace.domain.name} ran: the adapter was trained "
            f"with another {', '.join(changed)}. Run the domain again; what still holds is kept."
        )


def parameters(workspace: Workspace) -> dict[str, Any]:
    """What an adapter is trained with; part of its key."""
    domain = workspace.domain
    return {
        "language": domain.language,
        "normaliser": domain.evaluation.normaliser,
        **domain.training.outcome(),
    }


def _report(workspace: Workspace, news: TrainingProgress) -> None:
    figures = {
        "loss": news.loss,
        "learning rate": news.learning_rate,
        "seconds left": news.seconds_left,
        "audio seconds per second": news.audio_seconds_per_second,
        "dev word error rate": next((s.rate for s in news.dev if s.slice == "all"), None),
    }
    known = {name: value for name, value in figures.items() if value is not None}
    workspace.report(STAGE, news.step, news.steps, news.note, **known)


def _summary(report: TrainingReport) -> dict[str, Any]:
    best = next(score for score in report.dev_scores() if score.slice == "all")
    return {
        "steps": report.steps,
        "best_step": report.best_step,
        "seconds": round(report.seconds, 1),
        "audio_seconds": round(report.audio_seconds, 1),
        "train_utterances": report.train_utterances,
        "trained_parameters": report.trained_parameters,
        "peak_memory_bytes": report.peak_memory_bytes,
        "precision": report.precision,
        "dev_word_error_rate": best.rate,
        "dev_words": best.words,
        "loss_curve": [
            {"step": p.step, "loss": p.loss, "learning_rate": p.learning_rate}
            for p in report.losses
        ],
        "dev_curve": [
            {"step": score.step, "word_error_rate": score.rate, "words": score.words}
            for score in report.dev
            if score.slice == "all"
        ],
    }
