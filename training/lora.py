"""LoRA fine-tuning of Whisper on length-matched mels, with transformers' trainer and peft.

Source: Hu et al. 2021, "LoRA: Low-Rank Adaptation of Large Language Models". The base stays
frozen; only the adapter learns. Runs in the worker process alone (`training.worker`).
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from peft import PeftModel, get_peft_model
from torch.utils.data import DataLoader, Dataset
from transformers import Trainer, TrainerCallback, TrainingArguments, set_seed
from transformers.trainer_callback import PrinterCallback

from data.audio import Samples
from training.adapters import lora_config, quantization
from training.attempts import REPORT, Attempts, History
from training.backends import prepare
from training.clips import IGNORED, Draw, batch_frames
from training.distillation import BatchLesson, distillation_loss
from training.failures import NotFiniteError, note_failure, refuse_to_repeat
from training.machine import Device, choose_device, peak_memory, versions
from training.prepared import PreparedRun
from training.ranks import Ranks, deal
from training.recipe import TrainingProgress, TrainingReport, TrainingSpec, best_step, has_words
from training.scoring import score
from training.targets import special_kinds
from training.teacher import LESSONS, Teacher
from voiceforge.errors import StageError
from voiceforge.files import new_folder, write_json

if TYPE_CHECKING:
    from training.backends import Run

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
        UsageError: nothing to train or evaluate on, an unknown target module, a rank larger than
            its layer, a language that the base model does not know, a base without safetensors,
            or a device that is not there.
        StageError: the loss or its gradient is not finite any more, now or when the same run was
            tried before on the same machine.
    """
    report = take_part(spec, workspace, on_progress)
    if report is None:
        raise StageError("This is not the first of several processes; call `take_part` in those.")
    return report


def take_part(
    spec: TrainingSpec, workspace: Path, on_progress: OnProgress
) -> TrainingReport | None:
    """`train`, alone or as one of the processes that torchrun has started; None but in the first.

    Only the first process calls `on_progress`, evaluates and writes.
    """
    device = choose_device(spec.device)
    ranks = Ranks.join(device.kind)
    torch.set_num_threads(max(1, spec.threads // ranks.on_machine))
    set_seed(spec.params.seed)
    run = prepare(spec, workspace, quantization(spec.params, device))
    batches = deal(run.plan, run.durations, ranks)
    with ranks.first_alone():
        attempts = Attempts(workspace, spec)
    refuse_to_repeat(attempts, device)
    checkpoint = attempts.last_checkpoint()
    history = attempts.history(checkpoint) if checkpoint else History()
    replayed = sum(clip.replayed for clip in run.clips)
    note = f"{len(run.clips) - replayed} clips, "
    note += f"{replayed} of general audio, " if replayed else ""
    note += f"{len(run.dev)} dev clips, {device.why}"
    note += "".join(f", {chosen}" for chosen in run.notes)
    kinds = special_kinds(run.plan)
    note += "".join(f", {count} draws {kind.replace('_', ' ')}" for kind, count in kinds.items())
    note += f", {ranks.size} processes share each batch" if ranks.size > 1 else ""
    note += f", continues after step {history.step}" if checkpoint else ""
    steps = spec.params.steps

    def tell(note: str) -> None:
        if ranks.is_first:
            on_progress(TrainingProgress(history.step, steps, seconds=history.seconds, note=note))

    tell(note)
    teacher = None
    if isinstance(run, PreparedRun) and spec.params.distillation.is_on:
        teacher = Teacher(run, workspace / LESSONS, bf16=device.precision == "bfloat16")
        if history.step < steps:
            with ranks.first_alone():  # the others find its lessons
                teacher.prepare(tell)
    model = get_peft_model(run.base, lora_config(spec.params, run.base))

    trainer = _LoraTrainer(
        run=run,
        batches=batches,
        ranks=ranks,
        history=history,
        teacher=teacher,
        model=model,
        args=_arguments(spec, attempts.trainer, device),
        callbacks=[_News(run, model, history, attempts, on_progress, ranks)],
    )
    trainer.remove_callback(PrinterCallback)
    if ranks.rank:
        torch.manual_seed(spec.params.seed + ranks.rank)  # dropout of its own
    try:
        trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    except NotFiniteError as error:
        if ranks.is_first:
            report = _report(run, model, history, device, ranks) if has_words(history.dev) else None
            raise note_failure(error, spec, attempts, history, report, device) from error
        raise
    except BaseException:
        if ranks.is_first:
            attempts.remove_halves()  # what a full disk did not take must not keep it full
        raise
    ranks.leave()
    if not ranks.is_first:
        return None
    report = _report(run, model, history, device, ranks)
    with new_folder(spec.output) as folder:
        attempts.copy_adapter(report.best_step, folder)
        write_json(folder / REPORT, report.as_dict())
    if teacher:
        teacher.discard()
    return report


def _arguments(spec: TrainingSpec, folder: Path, device: Device) -> TrainingArguments:
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
        logging_steps=_NEWS_EVERY,
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


class _LoraTrainer(Trainer):  # type: ignore[misc]
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
        loss = loss * self._weight(inputs["labels"])
        return (loss, outputs) if return_outputs else loss

    def _weight(self, labels: torch.Tensor) -> float:
        """1 for an equal share of the step's tokens, as one process always has.

        Gradients are averaged over processes: so weighed they are those of one process that had
        the whole batch, however the tokens are spread.
        """
        if self._ranks.size == 1:
            return 1.0
        tokens = float((labels != IGNORED).sum())
        return tokens * self._ranks.size / self._ranks.total(tokens)

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


class _News(TrainerCallback):  # type: ignore[misc]
    """Keeps the history, evaluates on dev, tells progress, and declares checkpoints whole."""

    def __init__(
        self,
        run: Run,
        model: PeftModel,
        history: History,
        attempts: Attempts,
        on_progress: OnProgress,
        ranks: Ranks,
    ) -> None:
        self._run, self._model, self._history = run, model, history
        self._attempts, self._on_progress, self._ranks = attempts, on_progress, ranks
        self._seconds_before, self._steps_before = history.seconds, history.step
        self._heard_before = self._heard(history.step)
        self._started = time.monotonic()

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self._started = time.monotonic()

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self._history.step = state.global_step
        params = self._run.spec.params
        due = state.global_step % params.evaluate_every == 0 or state.global_step == params.steps
        if due and self._ranks.is_first:
            self._evaluate()

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, float], **_: Any) -> None:
        if "loss" in logs and self._history.recent:
            # The trainer's own mean knows the steps of this attempt only.
            point = self._history.add_point(state.global_step, logs["learning_rate"])
            self._tell(
                loss=point.loss,
                learning_rate=point.learning_rate,
                gradient_norm=point.gradient_norm,
            )

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self._clock()
        self._ranks.wait()  # for the random numbers of the others
        if self._ranks.is_first:
            self._attempts.finish_checkpoint(self._history)

    def on_train_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self._clock()

    def _evaluate(self) -> None:
        run, step = self._run, self._history.step
        hypotheses = run.transcribe(run.dev)
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
        if not self._ranks.is_first:
            return
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
    run: Run, model: PeftModel, history: History, device: Device, ranks: Ranks
) -> TrainingReport:
    """The report of a run, or of what it came to."""
    durations, done = run.durations, run.plan[: history.step]
    own = [clip.row.duration for clip in run.clips if not clip.replayed]
    return TrainingReport(
        steps=history.step,
        best_step=best_step(history.dev),
        losses=tuple(history.losses),
        dev=tuple(history.dev),
        seconds=history.seconds,
        audio_seconds=sum(draw.seconds(durations) for batch in done for draw in batch),
        train_utterances=len(own),
        train_seconds=sum(own),
        left_out=run.left_out,
        left_out_texts=len(run.long_texts),
        left_out_ids=run.long_texts[:100],
        trained_parameters=sum(p.numel() for p in model.parameters() if p.requires_grad),
        minimum_mel_frames=min(batch_frames(batch, durations) for batch in done),
        trailing_silence=run.spec.params.trailing_silence,
        peak_memory_bytes=peak_memory(),
        precision=device.precision,
        device=device.kind,
        processes=ranks.size,
        threads=run.spec.threads,
        seed=run.spec.params.seed,
        language=run.spec.language,
        hyperparameters=run.spec.params.model_dump(mode="json"),
        versions={**versions(), **run.versions},
        replayed_utterances=len(durations) - len(own),
    )
