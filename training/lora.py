"""LoRA fine-tuning of Whisper on length-matched mels, with transformers' trainer and peft.

Source: Hu et al. 2021, "LoRA: Low-Rank Adaptation of Large Language Models". The base stays
frozen; only the adapter learns. Runs in the worker process alone (`training.worker`).
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import torch
from peft import PeftModel, get_peft_model
from transformers import set_seed
from transformers.trainer_callback import PrinterCallback

from training.adapters import lora_config, quantization
from training.attempts import Attempts, History
from training.backends import prepare
from training.clips import batch_frames
from training.failures import NotFiniteError, note_failure, refuse_to_repeat
from training.machine import Device, choose_device, versions
from training.news import News, OnProgress
from training.prepared import PreparedRun
from training.pruning import prune_decoder
from training.ranks import Ranks, deal
from training.recipe import (
    REPORT,
    TrainingProgress,
    TrainingReport,
    TrainingSpec,
    best_step,
    has_words,
)
from training.targets import special_kinds
from training.teacher import LESSONS, Teacher
from training.trainer import PlannedTrainer, trainer_arguments
from voiceforge.errors import StageError
from voiceforge.files import new_folder, write_json
from voiceforge.memory import peak_memory

if TYPE_CHECKING:
    from training.backends import Run


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
    if spec.params.decoder_layers is not None:  # the whole model has timed words and taught by now
        prune_decoder(run.base, spec.params.decoder_layers)
    model = get_peft_model(run.base, lora_config(spec.params, run.base))

    trainer = PlannedTrainer(
        run=run,
        batches=batches,
        ranks=ranks,
        history=history,
        teacher=teacher,
        model=model,
        args=trainer_arguments(spec, attempts.trainer, device),
        callbacks=[News(run, model, history, attempts, on_progress, ranks)],
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
