"""transformers' trainer on batches planned before: its arguments, its batches, its loss."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch.utils.data import DataLoader, Dataset
from transformers import Trainer, TrainingArguments

from data.audio import Samples
from training.attempts import History
from training.clips import IGNORED, Draw
from training.distillation import BatchLesson, distillation_loss
from training.failures import NotFiniteError
from training.machine import Device
from training.ranks import Ranks
from training.recipe import TrainingSpec
from training.teacher import Teacher

if TYPE_CHECKING:
    from training.backends import Run

NEWS_EVERY = 5
"""Steps between two pieces of news, each with the mean loss of the steps since the last."""


def trainer_arguments(spec: TrainingSpec, folder: Path, device: Device) -> TrainingArguments:
    """What transformers' trainer is told; checkpoints go to `folder`."""
    params = spec.params
    arguments = TrainingArguments(
        output_dir=str(folder),
        max_steps=params.steps,
        per_device_train_batch_size=params.batch_size,
        learning_rate=params.learning_rate,
        lr_scheduler_type="cosine",
        warmup_steps=round(params.warmup * params.steps),
        weight_decay=0.0,
        max_grad_norm=1.0,
        bf16=device.precision == "bfloat16",
        fp16=device.precision == "float16",
        use_cpu=device.kind == "cpu",
        activation_checkpointing=params.gradient_checkpointing,
        activation_checkpointing_kwargs={"use_reentrant": False},
        seed=params.seed,
        eval_strategy="no",
        save_strategy="steps",
        save_steps=params.checkpoint_every,
        save_total_limit=None,  # Attempts removes old ones, once the new one is whole
        logging_strategy="steps",
        logging_steps=NEWS_EVERY,
        logging_nan_inf_filter=False,
        disable_tqdm=True,
        report_to="none",
        remove_unused_columns=False,
        dataloader_pin_memory=False,
        ddp_find_unused_parameters=False,
    )
    # A process trains on one device; several devices take several processes.
    arguments._n_gpu = min(arguments.n_gpu, 1)
    return arguments


class _Clips(Dataset[tuple[Draw, Samples]]):
    """The audio of draws; the plan itself is the batch sampler."""

    def __init__(self, run: Run) -> None:
        self._run = run

    def __len__(self) -> int:
        return len(self._run.clips)

    def __getitem__(self, draw: Draw) -> tuple[Draw, Samples]:
        return draw, self._run.hear(draw)


class PlannedTrainer(Trainer):  # type: ignore[misc]
    """transformers' trainer on planned batches, which stops at a loss that is not finite."""

    def __init__(
        self,
        *,
        run: Run,
        batches: list[list[Draw]],
        ranks: Ranks,
        teacher: Teacher | None,
        history: History,
        **arguments: Any,
    ) -> None:
        super().__init__(train_dataset=_Clips(run), **arguments)
        self.model_accepts_loss_kwargs = False  # `compute_loss` weighs the processes itself
        self._run, self._batches, self._ranks, self._history = run, batches, ranks, history
        self._teacher = teacher
        self._loss = 0.0

    def get_train_dataloader(self) -> DataLoader[tuple[Draw, Samples]]:
        return DataLoader(_Clips(self._run), batch_sampler=self._batches, collate_fn=self._collate)

    def _collate(self, items: Sequence[tuple[Draw, Samples]]) -> dict[str, torch.Tensor]:
        batch = self._run.collate(items)
        if self._teacher is None:
            return batch
        # Of what is not the clip itself the teacher has heard nothing.
        clips, heard = zip(
            *(
                (draw.clip, len(samples) if draw.sample.kind in ("plain", "prompted") else 0)
                for draw, samples in items
            ),
            strict=True,
        )
        return batch | self._teacher.lessons(clips, heard, batch["labels"]).tensors()

    def compute_loss(
        self, model: Any, inputs: dict[str, Any], return_outputs: bool = False, **named: Any
    ) -> Any:
        """The transcript's cross entropy and what the teacher adds to it, weighed by this process's
        share of the step's tokens."""
        lesson = BatchLesson.taken_from(inputs)
        loss, outputs = super().compute_loss(model, inputs, return_outputs=True, **named)
        if lesson is not None:
            weights = self._run.spec.params.distillation
            loss = loss + distillation_loss(outputs, inputs["labels"], lesson, weights)
        loss = loss * self._weight(inputs)
        return (loss, outputs) if return_outputs else loss

    def _weight(self, inputs: dict[str, Any]) -> float:
        """1 for an equal share of the step's tokens (for NeMo: clips), as one process always has.

        Gradients are averaged over processes: so weighed they are those of one process that had
        the whole batch, however the tokens are spread.
        """
        if self._ranks.size == 1:
            return 1.0
        if "labels" in inputs:
            own = float((inputs["labels"] != IGNORED).sum())
        else:
            own = float(len(inputs["mels"]))  # NeMo's losses are means over clips
        return own * self._ranks.size / self._ranks.total(own)

    def training_step(self, *arguments: Any, **named: Any) -> torch.Tensor:
        loss: torch.Tensor = super().training_step(*arguments, **named)
        self._loss = self._ranks.total(loss.item()) / self._ranks.size
        self._check("loss", self._loss)
        return loss

    def _clip_grad_norm(self, model: Any) -> Any:
        # A gradient that is not finite must not reach the weights: a checkpoint of this very step
        # would keep them. In float16 it is expected, and the scaler skips the step.
        norm = super()._clip_grad_norm(model)
        if self.accelerator.scaler is None:
            self._check("gradient norm", float(norm))
        if math.isfinite(norm):
            self._history.step_done(self._loss, float(norm))
        return norm

    def _check(self, name: str, value: float) -> None:
        if not math.isfinite(value):
            rate = self.optimizer.param_groups[0]["lr"]
            raise NotFiniteError(name, value, self.state.global_step + 1, rate)

    def save_model(self, output_dir: str | None = None, _internal_call: bool = False) -> None:
        """The adapter alone: transformers would add its arguments, pickled, and a README."""
        if self.args.should_save and output_dir is not None:
            self.model.save_pretrained(output_dir, save_embedding_layers=False)
            (Path(output_dir) / "README.md").unlink(missing_ok=True)
