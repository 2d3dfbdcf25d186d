"""A loss or gradient that is not finite: said once and clearly, and what was good is kept."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.training.test_interruption import WEIGHTS, check_same
from training import trainer
from training.base_models import tensor_digest
from training.lora import train
from training.merging import merge
from training.recipe import TrainingProgress, TrainingReport, TrainingSpec
from voiceforge.errors import StageError
from voiceforge.files import read_json


def small(spec: TrainingSpec, **params: Any) -> TrainingSpec:
    """Two clips a step and one dev clip: what a failure is said of matters little."""
    few = {"batch_size": 2, "dev_utterances": 1}
    return dataclasses.replace(spec, params=spec.params.model_copy(update=few | params))


def spoil(monkeypatch: pytest.MonkeyPatch, step: int, what: str) -> None:
    """Make the loss, or its gradient alone, NaN in that step."""
    compute = trainer.PlannedTrainer.compute_loss

    def spoilt(trainer: Any, *arguments: Any, **named: Any) -> torch.Tensor:
        loss: torch.Tensor = compute(trainer, *arguments, **named)
        if trainer.state.global_step + 1 != step:
            return loss
        if what == "gradient":
            loss.register_hook(lambda gradient: gradient * math.nan)
            return loss
        return loss * math.nan

    monkeypatch.setattr(trainer.PlannedTrainer, "compute_loss", spoilt)


def test_a_loss_that_is_not_finite_names_step_rate_and_what_is_kept(
    spec: TrainingSpec, tiny_en: Path, tmp_path: Path
) -> None:
    workspace, spec = tmp_path / "w", small(spec)
    expected = train(dataclasses.replace(spec, output=tmp_path / "x"), tmp_path / "v", print)
    with pytest.MonkeyPatch.context() as patch:
        spoil(patch, 5, "loss")
        with pytest.raises(StageError) as caught:
            train(spec, workspace, lambda _: None)
    message = str(caught.value)
    assert "loss of step 5 is nan, at a learning rate of 0.000" in message
    assert "gradient norm before it was up to " in message
    assert "Lower training.learning_rate (now 0.001) in params.yaml" in message
    kept = workspace / "best"
    assert f"adapter so far (step 3, dev word error rate {expected.dev[0].rate:.1%}" in message
    assert f"is kept in {kept}. The last checkpoint before it is {workspace}" in message
    assert message.endswith("checkpoint-4.")
    report = TrainingReport.from_dict(read_json(kept / "training_report.json"))
    assert (report.steps, report.best_step) == (4, 3)
    assert report.dev == tuple(score for score in expected.dev if score.step == 3)
    merge(tiny_en, kept, tmp_path / "merged")
    assert tensor_digest(tmp_path / "merged") != tensor_digest(tiny_en)

    news: list[TrainingProgress] = []
    with pytest.raises(StageError, match=r"step 5 is nan.*It was not tried again"):
        train(spec, workspace, news.append)
    assert not news
    (workspace / "failure.json").unlink()
    check_same(train(spec, workspace, news.append), expected)
    assert "continues after step 4" in news[0].message
    assert (spec.output / WEIGHTS).read_bytes() == (tmp_path / "x" / WEIGHTS).read_bytes()


def test_a_gradient_that_is_not_finite_does_not_reach_the_checkpoint_of_its_step(
    spec: TrainingSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spoil(monkeypatch, 4, "gradient")
    spec = small(spec)
    with pytest.raises(StageError, match=r"the gradient norm of step 4 is nan.*checkpoint-2"):
        train(spec, tmp_path / "w", lambda _: None)
    names = [path.name for path in (tmp_path / "w" / "trainer").iterdir()]
    assert names == ["checkpoint-2"]


def test_after_a_failure_another_recipe_trains(spec: TrainingSpec, tmp_path: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        spoil(patch, 1, "loss")
        with pytest.raises(StageError, match="step 1 is nan"):
            train(small(spec), tmp_path / "w", lambda _: None)
    report = train(small(spec, learning_rate=1e-4, steps=2), tmp_path / "w", lambda _: None)
    assert report.steps == 2


def test_a_gradient_that_explodes_is_reported(spec: TrainingSpec, tmp_path: Path) -> None:
    """Hundred times the loss has hundred times the gradient, and clipping hides it."""
    norms = []
    compute = trainer.PlannedTrainer.compute_loss
    for factor in (1.0, 100.0):

        def larger(*arguments: Any, factor: float = factor, **named: Any) -> Any:
            return factor * compute(*arguments, **named)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(trainer.PlannedTrainer, "compute_loss", larger)
            news: list[TrainingProgress] = []
            report = train(small(spec, steps=5), tmp_path / f"{factor}", news.append)
        norms.append(report.losses[0].gradient_norm)
        told = [progress.gradient_norm for progress in news if progress.loss is not None]
        assert told == [norms[-1]]
    assert norms[0] is not None
    assert norms[1] is not None
    assert norms[1] > 20 * norms[0] > 0
