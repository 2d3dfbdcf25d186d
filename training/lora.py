"""LoRA fine-tuning of Whisper on length-matched mels, with transformers' trainer and peft.

Source: Hu et al. 2021, "LoRA: Low-Rank Adaptation of Large Language Models". The base stays
frozen; only the adapter learns. Runs in the worker process alone (`training.worker`).
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from torch.utils.data import DataLoader, Dataset
from transformers import Trainer, TrainerCallback, TrainingArguments, set_seed
from transformers.trainer_callback import PrinterCallback

from data.audio import Samples
from training.attempts import Attempts, History
from training.clips import Draw, batch_frames
from training.distillation import BatchLesson, distillation_loss
from training.machine import peak_memory, training_precision, versions
from training.prepared import PreparedRun
from training.recipe import LossPoint, TrainingProgress, TrainingReport, TrainingSpec, best_step
from training.scoring import score, transcribe
from training.targets import special_kinds
from training.teacher import LESSONS, Teacher
from voiceforge.errors import StageError, UsageError
from voiceforge.files import new_folder, write_json

OnProgress = Callable[[TrainingProgress], None]

_NEWS_EVERY = 5
"""Steps between two pieces of news, each with the mean loss of the steps since the last."""


def train(spec: TrainingSpec, workspace: Path, on_progress: OnProgress) -> TrainingReport:
    """Fine-tune, or continue the run that `workspace` holds, and write `spec.output`.

    Args:
        spec: what to train on and how.
        workspace: folder of checkpoints; a run of the same spec, corpus and base that was killed
            continues from its last whole checkpoint, anything else in there is discarded.
        on_progress: called every few steps and after every dev evaluation.

    Raises:
        UsageError: nothing to train or evaluate on, an unknown target module, or a language that
            the base model does not know.
        StageError: the loss is not finite any more.
    """
    torch.set_num_threads(spec.threads)
    set_seed(spec.params.seed)
    run = PreparedRun.of(spec, workspace)
    bf16, why = training_precision()
    attempts = Attempts(workspace, spec)
    checkpoint = attempts.last_checkpoint()
    history = attempts.history(checkpoint) if checkpoint else History()
    replayed = sum(clip.replayed for clip in run.clips)
    note = f"{len(run.clips) - replayed} clips, "
    note += f"{replayed} of general audio, " if replayed else ""
    note += f"{len(run.dev)} dev clips, {why}"
    kinds = special_kinds(run.plan)
    note += "".join(f", {count} draws {kind.replace('_', ' ')}" for kind, count in kinds.items())
    note += f", continues after step {history.step}" if checkpoint else ""
    steps = spec.params.steps

    def tell(note: str) -> None:
        on_progress(TrainingProgress(history.step, steps, seconds=history.seconds, note=note))

    tell(note)
    teacher = (
        Teacher(run, workspace / LESSONS, bf16=bf16) if spec.params.distillation.is_on else None
    )
    if teacher and history.step < steps:
        teacher.prepare(tell)
    model = get_peft_model(run.base, _lora(spec, run.base))

    trainer = _LoraTrainer(
        run=run,
        teacher=teacher,
        model=model,
        args=_arguments(spec, attempts.trainer, bf16=bf16),
        callbacks=[_News(run, model, history, attempts, on_progress)],
    )
    trainer.remove_callback(PrinterCallback)
    trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)

    report = _report(run, model, history, precision="bfloat16" if bf16 else "float32")
    with new_folder(spec.output) as folder:
        attempts.copy_adapter(report.best_step, folder)
        write_json(folder / "training_report.json", report.as_dict())
    if teacher:
        teacher.discard()
    return report


def _lora(spec: TrainingSpec, base: Any) -> LoraConfig:
    """The adapter's shape.

    Raises:
        UsageError: a target is not the name of a linear module of the base model.
    """
    names = {
        name.rpartition(".")[2]
        for name, module in base.model.named_modules()
        if isinstance(module, torch.nn.Linear)
    }
    unknown = [target for target in spec.params.targets if target not in names]
    if unknown:
        raise UsageError(
            f"training.targets names {unknown[0]!r}, which is no linear module of the base model. "
            f"It has: {', '.join(sorted(names))}."
        )
    return LoraConfig(
        r=spec.params.rank,
        lora_alpha=spec.params.alpha,
        lora_dropout=spec.params.dropout,
        target_modules=sorted(spec.params.targets),
        bias="none",
    )


def _arguments(spec: TrainingSpec, folder: Path, *, bf16: bool) -> TrainingArguments:
    params = spec.params
    return TrainingArguments(
        output_dir=str(folder),
        max_steps=params.steps,
        per_device_train_batch_size=params.batch_size,
        learning_rate=params.learning_rate,
        lr_scheduler_type="cosine",
        warmup_steps=round(params.warmup * params.steps),
        weight_decay=0.0,
        max_grad_norm=1.0,
        bf16=bf16,
        use_cpu=True,
        seed=params.seed,
        eval_strategy="no",
        save_strategy="steps",
        save_steps=params.checkpoint_every,
        save_total_limit=2,
        logging_strategy="steps",
        logging_steps=_NEWS_EVERY,
        logging_nan_inf_filter=False,
        disable_tqdm=True,
        report_to="none",
        remove_unused_columns=False,
        dataloader_pin_memory=False,
    )


class _Clips(Dataset[tuple[Draw, Samples]]):
    """The audio of draws; the plan itself is the batch sampler."""

    def __init__(self, run: PreparedRun) -> None:
        self._run = run

    def __len__(self) -> int:
        return len(self._run.clips)

    def __getitem__(self, draw: Draw) -> tuple[Draw, Samples]:
        return draw, self._run.hear(draw)


class _LoraTrainer(Trainer):  # type: ignore[misc]
    """transformers' trainer on planned batches, which stops at a loss that is not finite."""

    def __init__(self, *, run: PreparedRun, teacher: Teacher | None, **arguments: Any) -> None:
        super().__init__(train_dataset=_Clips(run), **arguments)
        self._run, self._teacher = run, teacher

    def get_train_dataloader(self) -> DataLoader[tuple[Draw, Samples]]:
        return DataLoader(_Clips(self._run), batch_sampler=self._run.plan, collate_fn=self._collate)

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
        """The transcript's cross entropy, and what the teacher adds to it."""
        lesson = BatchLesson.taken_from(inputs)
        loss, outputs = super().compute_loss(model, inputs, return_outputs=True, **named)
        if lesson is not None:
            weights = self._run.spec.params.distillation
            loss = loss + distillation_loss(outputs, inputs["labels"], lesson, weights)
        return (loss, outputs) if return_outputs else loss

    def training_step(self, *arguments: Any, **named: Any) -> torch.Tensor:
        loss: torch.Tensor = super().training_step(*arguments, **named)
        if not math.isfinite(loss.item()):
            rate = self._run.spec.params.learning_rate
            raise StageError(
                f"Training went astray: the loss of step {self.state.global_step + 1} is "
                f"{loss.item()}. Lower training.learning_rate (now {rate:g}) in params.yaml and "
                "run again; it starts from the first step then."
            )
        return loss


class _News(TrainerCallback):  # type: ignore[misc]
    """Keeps the history, evaluates on dev, tells progress, and declares checkpoints whole."""

    def __init__(
        self,
        run: PreparedRun,
        model: PeftModel,
        history: History,
        attempts: Attempts,
        on_progress: OnProgress,
    ) -> None:
        self._run, self._model, self._history = run, model, history
        self._attempts, self._on_progress = attempts, on_progress
        self._seconds_before, self._steps_before = history.seconds, history.step
        self._heard_before = self._heard(history.step)
        self._started = time.monotonic()

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self._started = time.monotonic()

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self._history.step = state.global_step
        params = self._run.spec.params
        if state.global_step % params.evaluate_every == 0 or state.global_step == params.steps:
            self._evaluate()

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, float], **_: Any) -> None:
        if "loss" in logs:
            point = LossPoint(state.global_step, logs["loss"], logs["learning_rate"])
            self._history.losses.append(point)
            self._tell(loss=point.loss, learning_rate=point.learning_rate)

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self._clock()
        self._attempts.finish_checkpoint(self._history)

    def on_train_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self._clock()

    def _evaluate(self) -> None:
        run, step = self._run, self._history.step
        hypotheses = transcribe(
            run.base,
            run.tokenizer,
            run.prompt,
            run.dev,
            run.spec.corpus,
            silence=run.spec.dev_silence,
        )
        scores = score(step, run.dev, hypotheses, run.spec)
        self._history.dev.extend(scores)
        self._attempts.save_adapter(step, self._model, run.spec.base.name)
        self._tell(dev=tuple(scores))

    def _clock(self) -> float:
        """Seconds of this attempt; brings the history's clock up to date."""
        seconds = time.monotonic() - self._started
        self._history.seconds = self._seconds_before + seconds
        return seconds

    def _heard(self, steps: int) -> float:
        durations = self._run.durations
        return sum(draw.seconds(durations) for batch in self._run.plan[:steps] for draw in batch)

    def _tell(self, **news: Any) -> None:
        step, steps = self._history.step, self._run.spec.params.steps
        seconds = self._clock()
        self._on_progress(
            TrainingProgress(
                step=step,
                steps=steps,
                seconds=self._history.seconds,
                seconds_left=seconds / (step - self._steps_before) * (steps - step),
                audio_seconds_per_second=(self._heard(step) - self._heard_before) / seconds,
                **news,
            )
        )


def _report(
    run: PreparedRun, model: PeftModel, history: History, *, precision: str
) -> TrainingReport:
    durations = run.durations
    own = [clip.row.duration for clip in run.clips if not clip.replayed]
    return TrainingReport(
        steps=run.spec.params.steps,
        best_step=best_step(history.dev),
        losses=tuple(history.losses),
        dev=tuple(history.dev),
        seconds=history.seconds,
        audio_seconds=sum(draw.seconds(durations) for batch in run.plan for draw in batch),
        train_utterances=len(own),
        train_seconds=sum(own),
        left_out=run.left_out,
        trained_parameters=sum(p.numel() for p in model.parameters() if p.requires_grad),
        minimum_mel_frames=min(batch_frames(batch, durations) for batch in run.plan),
        trailing_silence=run.spec.params.trailing_silence,
        peak_memory_bytes=peak_memory(),
        precision=precision,
        threads=run.spec.threads,
        seed=run.spec.params.seed,
        language=run.spec.language,
        hyperparameters=run.spec.params.model_dump(mode="json"),
        versions=versions(),
        replayed_utterances=len(durations) - len(own),
    )
