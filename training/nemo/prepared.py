"""All that is settled before the first step of a NeMo training: twin of `training.prepared`.

Batches, silence and augmentation are planned as for Whisper, so that a killed run goes on with the
batches that it would have had. NeMo models mask what is padding; there is no window to fill.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import numpy as np
import torch

from data.audio import SAMPLE_RATE, Samples, read_flac
from data.augmentation.chain import Augmenter
from data.features import mel_frames
from data.utterance import Utterance
from training.clips import Draw, choose_clips, plan_batches
from training.nemo.manifest import is_punctuated
from training.nemo.models import check_model, restore
from training.nemo.refusals import check_params, check_targets
from training.nemo.tasks import Task, Text, collate_texts, pad_token, task_of, tokenize
from training.nemo.texts import check_language, choose_spelling
from training.nemo.trainee import Trainee
from training.prepared import augmenter_of, train_and_dev
from training.recipe import TrainingSpec
from training.scoring import batches_of_like_length
from voiceforge.errors import UsageError


@dataclass(frozen=True)
class Clip:
    """A training clip and what the model is to say of it."""

    row: Utterance
    target: Text
    replayed: bool = False


@dataclass(frozen=True)
class NemoRun:
    """A training ready for its first step; the attributes are those of `PreparedRun`.

    Attributes:
        base: the model as the trainer knows it.
        notes: what was chosen for this model, and why.
    """

    spec: TrainingSpec
    base: Trainee
    clips: list[Clip]
    dev: list[Utterance]
    left_out: int
    plan: list[list[Draw]]
    augmenter: Augmenter | None
    task: Task
    pad: int
    notes: tuple[str, ...]
    long_texts: tuple[str, ...] = ()

    @classmethod
    def of(cls, spec: TrainingSpec) -> NemoRun:
        """Restore the model, choose clips and plan batches; cheap refusals come first.

        Raises:
            UsageError: what is asked cannot be trained: a parameter, the model's class, the
                language, the letters of the transcripts, or no clips.
            IntegrityError: the `.nemo` file is damaged.
        """
        check_params(spec.params)
        check_model(spec.base)
        known, dev = train_and_dev(spec)
        model, name = restore(spec.base), spec.base.name
        check_language(model.tokenizer, spec.language, name)
        check_targets(model, spec.params)
        texts = [row.text for row in known]
        spelling = choose_spelling(
            lambda text: tokenize(model.tokenizer, text, spec.language),
            texts,
            spec.language,
            name,
        )
        punctuated = is_punctuated([spelling.write(text) for text in texts])
        task = task_of(model, language=spec.language, punctuated=punctuated)
        clips = _trainable(spec, known, task, spelling.write)
        durations = [clip.row.duration for clip in clips]
        human = [not clip.row.is_synthetic for clip in clips]
        return cls(
            spec=spec,
            base=Trainee(model, task),
            clips=clips,
            dev=choose_clips(dev, spec.params.dev_utterances, spec.params.seed),
            left_out=len(known) - len(clips),
            plan=plan_batches(durations, human, spec.params),
            augmenter=augmenter_of(spec, [spec.corpus / clip.row.audio for clip in clips]),
            task=task,
            pad=pad_token(model),
            notes=(f"{type(model).__name__}, transcripts {spelling.name}", *task.notes),
        )

    @property
    def durations(self) -> list[float]:
        """Seconds of every clip."""
        return [clip.row.duration for clip in self.clips]

    def hear(self, draw: Draw) -> Samples:
        """The samples of a draw."""
        row = self.clips[draw.clip].row
        samples = read_flac(self.spec.corpus / row.audio)
        if self.augmenter is None:
            return samples
        return self.augmenter.hear(
            draw.clip, samples, self.augmenter.recipe(draw.position, row.duration)
        )

    def collate(self, items: Sequence[tuple[Draw, Samples]]) -> dict[str, torch.Tensor]:
        """The tensors of one batch; each clip has its own silence after it."""
        heard = [_followed(samples, draw.silence) for draw, samples in items]
        mels, lengths = self._mels(heard)
        if self.augmenter is not None:
            for mel, (draw, samples) in zip(mels, items, strict=True):
                recipe = self.augmenter.recipe(draw.position, self.clips[draw.clip].row.duration)
                mel[:] = torch.from_numpy(self.augmenter.see(mel.numpy(), len(samples), recipe))
        texts = collate_texts([self.clips[draw.clip].target for draw, _ in items], self.pad)
        return {"mels": mels, "mel_lengths": lengths, **texts}

    def transcribe(self, rows: Sequence[Utterance]) -> list[str]:
        """Transcripts of clips in order, decoded as the model's own configuration says."""
        hypotheses = [""] * len(rows)
        training = self.base.training
        self.base.eval()
        for chosen in batches_of_like_length([row.duration for row in rows]):
            clips = [rows[index] for index in chosen]
            heard = [
                _followed(read_flac(self.spec.corpus / row.audio), self.spec.dev_silence)
                for row in clips
            ]
            with torch.no_grad():
                mels, lengths = (each.to(self._device) for each in self._mels(heard))
                texts = self.task.transcripts(mels, lengths, clips)
            for index, text in zip(chosen, texts, strict=True):
                hypotheses[index] = text
        self.base.train(training)
        return hypotheses

    @property
    def versions(self) -> dict[str, str]:
        """Versions of packages that this backend alone rests on."""
        return {"nemo_toolkit": version("nemo_toolkit")}

    @property
    def _device(self) -> torch.device:
        return next(self.base.parameters()).device

    def _mels(self, clips: Sequence[Samples]) -> tuple[torch.Tensor, torch.Tensor]:
        """Mels [clips, n_mels, frames] and the frames of each, from the model's preprocessor."""
        lengths = torch.tensor([len(samples) for samples in clips])
        signals = np.zeros((len(clips), int(lengths.max())), dtype=np.float32)
        for row, samples in zip(signals, clips, strict=True):
            row[: len(samples)] = samples
        preprocessor: Any = self.base.model.preprocessor
        with torch.no_grad():
            mels, frames = preprocessor(
                input_signal=torch.from_numpy(signals).to(self._device),
                length=lengths.to(self._device),
            )
        return mels.cpu(), frames.cpu()


def _followed(samples: Samples, silence: float) -> Samples:
    return np.pad(samples, (0, round(silence * SAMPLE_RATE)))


def _trainable(spec: TrainingSpec, rows: Sequence[Utterance], task: Task, write: Any) -> list[Clip]:
    """The clips that the recipe and the model have room for.

    Raises:
        UsageError: there are none; says how many were lost to what.
    """
    clips, long, unwritten = [], 0, 0
    for row in rows:
        if row.duration > spec.params.maximum_seconds:
            long += 1
        elif task.tokens(text := write(row.text)) is None:
            unwritten += 1
        else:
            clips.append(Clip(row, task.target(row, text)))
    fitting = [clip for clip in clips if task.fits(clip.target, mel_frames(clip.row.duration))]
    if not fitting:
        shortest = min(row.duration for row in rows)
        raise UsageError(
            f"None of {len(rows)} train utterances can be trained on: {long} are longer than "
            f"training.maximum_seconds = {spec.params.maximum_seconds:g} (the shortest has "
            f"{shortest:.1f} s), {unwritten} have letters that the model has no token for, and "
            f"{len(clips)} have more tokens than the model can say in their time. Raise "
            "maximum_seconds (at most 30) in params.yaml, or cut the recordings."
        )
    return fitting
