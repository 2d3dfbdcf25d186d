"""The base model as its own teacher: it hears each clip once, padded to 30 s, and that is kept.

That pass is the dearest of a training on a CPU, so lessons are made once a clip, before the first
step, and lie in the run's workspace until the run has ended well: a killed run finds them. They are
of the clean clip, whatever augmentation does to it later. The base teaches before an adapter is put
into it: some ways to begin an adapter change the base's own weights.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save

from data.features import SAMPLE_RATE, WINDOW_FRAMES
from training.clips import IGNORED, make_batch, make_mels
from training.distillation import (
    CHOICES,
    STATES_PER_SECOND,
    BatchLesson,
    Lesson,
    batch_lesson,
    lesson_of,
)
from training.prepared import PreparedRun
from training.weights import weight_hashes
from voiceforge.errors import StorageError
from voiceforge.files import sha256_file, sha256_json, storage_errors, write_bytes

LESSONS = "lessons"
"""Folder of the lessons in a run's workspace."""

_VERSION = 1
"""Raise it when equal clips come to give other lessons."""

_BATCH = 4
_NEWS_EVERY = 5.0
"""Seconds between two pieces of news."""

Tell = Callable[[str], None]


class Teacher:
    """Lessons of a run's clips, on disk.

    Args:
        run: the run; its base must not hold an adapter yet.
        folder: where lessons lie.
        bf16: hear in bfloat16 where the student does.
    """

    def __init__(self, run: PreparedRun, folder: Path, *, bf16: bool) -> None:
        self._run, self._folder, self._bf16 = run, folder, bf16
        self._params = run.spec.params.distillation
        self._made_by = {
            "version": _VERSION,
            "base": list(weight_hashes(run.spec.base).values()),
            "bfloat16": bf16,
            "states": self._params.encoder > 0,
            "tokens": [CHOICES, self._params.temperature] if self._params.logits else None,
        }
        self._paths: dict[int, Path] = {}

    def prepare(self, tell: Tell) -> None:
        """Make the lessons of the clips that the plan draws, but those that are there.

        Args:
            tell: told in words how far it is.

        Raises:
            AudioError: a recording of the corpus cannot be read.
            StorageError: the disk is full, or would be.
        """
        drawn = sorted({draw.clip for batch in self._run.plan for draw in batch})
        self._paths = {clip: self._path(clip) for clip in drawn}
        # Of equal texts one decoder pass wastes nothing on padding.
        missing = sorted(
            (clip for clip in drawn if not self._paths[clip].is_file()),
            key=lambda clip: len(self._run.clips[clip].tokens),
        )
        if not missing:
            return
        size = self.lesson_bytes(missing)
        self._require(size)
        tell(
            f"the base model hears {len(missing)} training clips, padded to 30 s; what it says "
            f"takes {size / 1e6:.0f} MB until the training ends"
        )
        last = time.monotonic()
        for start in range(0, len(missing), _BATCH):
            chosen = missing[start : start + _BATCH]
            for clip, lesson in zip(chosen, self.teach(chosen), strict=True):
                write_bytes(self._paths[clip], save(vars(lesson)))
            if time.monotonic() - last > _NEWS_EVERY:
                last = time.monotonic()
                tell(f"the base model has heard {start + len(chosen)} of {len(missing)} clips")

    def lesson_bytes(self, clips: Sequence[int]) -> int:
        """About the bytes on disk of the lessons of some clips."""
        rows = [self._run.clips[clip] for clip in clips]
        seconds = sum(one.row.duration for one in rows) if self._params.encoder else 0.0
        labels = sum(len(one.tokens) + 1 for one in rows) if self._params.logits else 0
        wide = int(self._run.base.config.d_model)
        return round(2 * wide * STATES_PER_SECOND * seconds) + 6 * CHOICES * labels

    @torch.no_grad()
    def teach(self, clips: Sequence[int]) -> list[Lesson]:
        """The lessons of some clips, heard anew."""
        run, model = self._run, self._run.base.eval()
        heard = [run.read(clip) for clip in clips]
        mels = make_mels(heard, WINDOW_FRAMES, model.config.num_mel_bins)
        texts = [run.clips[clip].tokens for clip in clips]
        prompts = [run.clips[clip].prompt for clip in clips]
        batch = make_batch(mels, texts, prompts, run.tokenizer.eos_token_id)
        labels, device = torch.from_numpy(batch.labels), model.device
        logits = None
        with torch.autocast(device.type, torch.bfloat16, enabled=self._bf16):
            states = model.model.encoder(torch.from_numpy(mels).to(device)).last_hidden_state
            if self._params.logits:
                said = model.model.decoder(
                    input_ids=torch.from_numpy(batch.decoder_inputs).to(device),
                    encoder_hidden_states=states,
                )
                logits = model.proj_out(said.last_hidden_state).cpu()
        states = states.cpu()
        lessons = []
        for row, samples in enumerate(heard):
            places = labels[row] != IGNORED
            own = len(samples) * STATES_PER_SECOND // SAMPLE_RATE if self._params.encoder else 0
            lessons.append(
                lesson_of(
                    states[row],
                    None if logits is None else logits[row, places],
                    labels[row, places].tolist(),
                    frames=own,
                    temperature=self._params.temperature,
                )
            )
        return lessons

    def lesson(self, clip: int) -> Lesson:
        """The kept lesson of a clip.

        Raises:
            StorageError: it is gone or damaged.
        """
        try:
            return Lesson(**load_file(self._paths[clip]))
        except (OSError, SafetensorError, TypeError) as error:
            raise StorageError(
                f"{self._paths[clip]}, which the training wrote, cannot be read ({error}). "
                "Delete it if it is there, and run again: training continues."
            ) from error

    def lessons(
        self, clips: Sequence[int], samples: Sequence[int], labels: torch.Tensor
    ) -> BatchLesson:
        """The lessons of a batch.

        Args:
            clips: its clips.
            samples: of each clip as the student hears it.
            labels: of the batch.
        """
        lessons = [self.lesson(clip) for clip in clips]
        durations = self._run.durations
        whole = [
            round(durations[clip] * SAMPLE_RATE) == heard
            for clip, heard in zip(clips, samples, strict=True)
        ]
        return batch_lesson(lessons, labels, whole)

    def discard(self) -> None:
        """Remove every lesson: the run has ended well."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def _path(self, clip: int) -> Path:
        one = self._run.clips[clip]
        about = {"audio": sha256_file(one.path), "text": one.tokens, "prompt": one.prompt}
        return self._folder / f"{sha256_json({**self._made_by, **about})}.safetensors"

    def _require(self, size: int) -> None:
        """Refuse before the first step what the disk cannot hold."""
        with storage_errors(self._folder):
            self._folder.mkdir(parents=True, exist_ok=True)
            free = shutil.disk_usage(self._folder).free
        if size > free:
            raise StorageError(
                f"training.distillation needs {size / 1e9:.1f} GB in {self._folder} while it "
                f"trains, and {free / 1e9:.1f} GB are free. Free some space (`voiceforge gc` "
                "removes artifacts that nothing needs), or set training.distillation.encoder to 0 "
                "in params.yaml: tokens alone take little."
            )
