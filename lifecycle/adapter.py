"""Stage adapter: LoRA fine-tuning of the base model on the corpus's training split."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lifecycle import replay, splits
from lifecycle.artifacts import Artifact, Question
from lifecycle.base_model import base_model
from lifecycle.evaluated_texts import domain_texts
from lifecycle.model_registry import open_registry
from lifecycle.nemo import is_nemo
from lifecycle.plots import write_loss_curve
from lifecycle.workspace import Workspace
from voiceforge.errors import StageError

if TYPE_CHECKING:
    from serving.registry import TrainingRun
    from training.recipe import TrainingProgress, TrainingReport, TrainingSpec

STAGE = "adapter"
VERSION = 2
"""2: of steps that dev cannot tell apart the latest is kept."""
PLOT = "loss.png"


def make_adapter(workspace: Workspace) -> Artifact:
    """Train in a process of its own; a killed training goes on from its last checkpoint.

    Raises:
        UsageError: what reports count with cannot be meant (`domain_texts`); else as
            `training.launch.run_training`.
    """
    from training.launch import run_training

    settings, domain = workspace.settings, workspace.domain
    if not is_nemo(workspace):  # which nothing is counted of yet
        domain_texts(workspace)  # reports count with them: refused now, not behind the training
    general = replay.make_replay(workspace)
    asked = question(workspace)

    def build(folder: Path, checkpoints: Path) -> Mapping[str, Any]:
        spec = training_spec(workspace, general, folder)
        tags = {f"{name}_sha256": sha256 for name, sha256 in asked.inputs.items()}
        registry = open_registry(settings)
        with registry.training(domain.name, asked.key, asked.parameters, tags) as record:
            report = run_training(spec, checkpoints, _Reporter(workspace, record))
        summary = _summary(report)
        write_loss_curve(folder / PLOT, summary["loss_curve"], summary["dev_curve"])
        return summary

    return workspace.make(STAGE, VERSION, asked.inputs, asked.parameters, build)


def training_spec(
    workspace: Workspace,
    general: Artifact | None,
    output: Path,
    *,
    base: Path | None = None,
    utterances: Path | None = None,
) -> TrainingSpec:
    """What trains the domain's adapter.

    Args:
        general: of `replay.make_replay`.
        output: folder that the training makes.
        base: another base model than the domain's.
        utterances: another table of utterances of its corpus than the domain's splits.
    """
    from training.recipe import TrainingSpec

    settings, domain = workspace.settings, workspace.domain
    return TrainingSpec.from_params(
        domain.training,
        language=domain.language,
        normaliser=domain.evaluation.normaliser,
        base=base or base_model(workspace).path,
        corpus=workspace.corpus,
        utterances=utterances or workspace.current(splits.STAGE).path / splits.TABLE,
        output=output,
        threads=settings.threads,
        device=settings.device,
        processes=settings.processes,
        replay=general.path if general else None,
        terms=terms_of(workspace),
    )


def question(workspace: Workspace) -> Question:
    """What `make_adapter` asks the store; its key is the adapter's."""
    inputs = {
        "base_model": base_model(workspace).sha256,
        splits.STAGE: workspace.current(splits.STAGE).sha256,
    }
    if workspace.domain.training.replay.share:
        inputs[replay.STAGE] = workspace.current(replay.STAGE).sha256
    return workspace.question(STAGE, VERSION, inputs, parameters(workspace))


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
        **hyperparameters(workspace),
    }


def hyperparameters(workspace: Workspace) -> dict[str, Any]:
    """What decides the outcome of a training: its parameters, and the terms where they count."""
    training = workspace.domain.training
    terms = terms_of(workspace) if training.term_factor > 1 else ()
    return {**training.outcome(), **({"terms": list(terms)} if terms else {})}


def terms_of(workspace: Workspace) -> tuple[str, ...]:
    """The domain's vocabulary as it is written.

    Raises:
        UsageError: its file is missing, or a line of it is no term.
    """
    from data.vocabulary import read_terms

    vocabulary = workspace.domain.vocabulary
    return tuple(term.text for term in read_terms(vocabulary, workspace.settings.project))


class _Reporter:
    """Passes news of a training on: to whoever shows progress, and to its run in MLflow."""

    def __init__(self, workspace: Workspace, record: TrainingRun) -> None:
        self._workspace, self._record = workspace, record

    def __call__(self, news: TrainingProgress) -> None:
        figures = news.values()
        before = self._record.trouble
        self._record.log(news.step, figures)
        note = news.note
        if self._record.trouble and not before:
            note = f"MLflow does not take figures now and gets them later ({self._record.trouble})"
        self._workspace.report(STAGE, news.step, news.steps, note, **figures)


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
