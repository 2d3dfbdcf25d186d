"""What the base model says of a clip in its whole window, and the losses of a student beside it.

The student hears mels cut to the clip's length, which the base model cannot transcribe from. It is
told what the base hears in its whole window besides: the encoder's states on the clip's own frames,
and the distribution of the next token.

The teacher is wrong exactly where a domain's terms and accents are. So its tokens count only where
the one it finds most likely is the reference's, and the reference alone teaches where it errs (Meng
et al. 2019, "Conditional Teacher-Student Learning"; unlike there, the cross entropy against the
reference is taken everywhere). Distil-Whisper (Gandhi et al. 2023) drops whole clips with over 10%
of word errors instead; token by token less is lost.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from training.clips import IGNORED
from voiceforge.params import DistillationParams

STATES_PER_SECOND = 50
"""The encoder halves the mel's 100 frames."""

CHOICES = 64
"""Tokens of which the teacher's log-probability is kept; all others count as one together."""

_FEWEST_STATES = 2
"""Fewer vary too little to be compared."""


@dataclass(frozen=True)
class Lesson:
    """What the teacher says of one clip.

    Attributes:
        states: float16 [frames, d_model], the encoder's output on the clip's own frames; no frames
            where they are not taught.
        labels: int32 [labels], the tokens to be predicted: text and end.
        tokens: int32 [labels, choices], the most likely next tokens, the likeliest first; no
            choices where tokens are not taught.
        log_probs: float16 [labels, choices], their log-probabilities at the temperature.
    """

    states: torch.Tensor
    labels: torch.Tensor
    tokens: torch.Tensor
    log_probs: torch.Tensor


@dataclass(frozen=True)
class BatchLesson:
    """The lessons of a batch, padded.

    Attributes:
        states: float16 [clips, frames, d_model].
        frames: int64 [clips], how many of them are a clip's own; 0 for a clip without a lesson.
        tokens: int32 [clips, labels, choices], at the positions of the batch's labels.
        log_probs: float16, of the same shape.
        taught: bool [clips, labels]: where the teacher's likeliest token is the label.
    """

    states: torch.Tensor
    frames: torch.Tensor
    tokens: torch.Tensor
    log_probs: torch.Tensor
    taught: torch.Tensor

    PREFIX = "lesson_"

    def tensors(self) -> dict[str, torch.Tensor]:
        """As entries of a batch, beside the model's own."""
        return {f"{self.PREFIX}{name}": getattr(self, name) for name in self.__dataclass_fields__}

    @classmethod
    def taken_from(cls, batch: dict[str, Any]) -> BatchLesson | None:
        """The lessons of a batch, which loses them; None where it has none."""
        names = cls.__dataclass_fields__
        if f"{cls.PREFIX}taught" not in batch:
            return None
        return cls(**{name: batch.pop(f"{cls.PREFIX}{name}") for name in names})


def lesson_of(
    states: torch.Tensor,
    logits: torch.Tensor | None,
    labels: Sequence[int],
    *,
    frames: int,
    temperature: float,
) -> Lesson:
    """Keep of the teacher's outputs what teaches.

    Args:
        states: float [frames of the window, d_model].
        logits: float [labels, vocabulary]; None where tokens are not taught.
        labels: the tokens to be predicted.
        frames: encoder frames of the clip itself; 0 where states are not taught.
        temperature: divides the logits.

    Raises:
        ValueError: the vocabulary is no larger than `CHOICES`.
    """
    wanted = torch.tensor(list(labels), dtype=torch.int32)
    if logits is None:
        tokens, log_probs = torch.zeros(2, len(labels), 0)
    else:
        if logits.shape[-1] <= CHOICES:
            raise ValueError(f"a vocabulary of {logits.shape[-1]} leaves nothing beside {CHOICES}")
        log_probs, tokens = (logits.float() / temperature).log_softmax(-1).topk(CHOICES)
    return Lesson(
        states[:frames].to(torch.float16).clone(),
        wanted,
        tokens.to(torch.int32),
        log_probs.to(torch.float16),
    )


def batch_lesson(
    lessons: Sequence[Lesson], labels: torch.Tensor, whole: Sequence[bool]
) -> BatchLesson:
    """Put the lessons of a batch's clips where its labels are.

    Args:
        lessons: one for each clip.
        labels: int64 [clips, labels], `IGNORED` where no loss is taken. A clip whose labels do not
            end with those that its lesson is about is not taught tokens; others before them are no
            part of it.
        whole: whether each clip's frames are those that the teacher heard; not so where it was cut
            or its speed was changed. Otherwise it is not taught states.
    """
    clips, width = labels.shape
    kept = [
        len(one.states) if is_whole else 0 for one, is_whole in zip(lessons, whole, strict=True)
    ]
    states = lessons[0].states.new_zeros(clips, max(kept), lessons[0].states.shape[-1])
    choices = lessons[0].tokens.shape[-1]
    tokens = torch.zeros(clips, width, choices, dtype=torch.int32)
    log_probs = torch.zeros(clips, width, choices, dtype=torch.float16)
    taught = torch.zeros(clips, width, dtype=torch.bool)
    for row, (one, frames) in enumerate(zip(lessons, kept, strict=True)):
        states[row, :frames] = one.states[:frames]
        # What is said before the text (`training.clips.First`) is no part of a lesson.
        places = (labels[row] != IGNORED).nonzero().flatten()[-len(one.labels) :]
        if choices and torch.equal(labels[row, places], one.labels.long()):
            tokens[row, places], log_probs[row, places] = one.tokens, one.log_probs
            taught[row, places] = one.tokens[:, 0] == one.labels
    return BatchLesson(states, torch.tensor(kept), tokens, log_probs, taught)


def distillation_loss(
    outputs: Any, labels: torch.Tensor, lesson: BatchLesson, params: DistillationParams
) -> torch.Tensor:
    """What is added to the transcript's cross entropy.

    Args:
        outputs: of a Whisper model of transformers, the student's.
        labels: [clips, labels], `IGNORED` where no loss is taken.
        lesson: of the batch.
        params: the weights and the temperature.
    """
    loss: torch.Tensor = outputs.logits.new_zeros(())
    if params.logits:
        loss = loss + params.logits * token_loss(outputs.logits, labels, lesson, params.temperature)
    if params.encoder:
        loss = loss + params.encoder * state_loss(outputs.encoder_last_hidden_state, lesson)
    return loss


def token_loss(
    logits: torch.Tensor, labels: torch.Tensor, lesson: BatchLesson, temperature: float
) -> torch.Tensor:
    """Divergence of the student's next tokens from the teacher's, in nats per label.

    Kullback-Leibler, teacher first, over the teacher's likeliest tokens and all others as one: at
    most what it is over the whole vocabulary. Times the squared temperature, so that its gradients
    keep their size (Hinton et al. 2015, "Distilling the Knowledge in a Neural Network").

    Args:
        logits: [clips, labels, vocabulary], the student's.
        labels: [clips, labels], `IGNORED` where no loss is taken.
        lesson: what the teacher says; positions where it is not taught count 0.
        temperature: that of the lesson.

    Returns:
        A scalar, the mean over all labels; 0 where none is taught.
    """
    # Gathered first: most of a batch is prompt, padding, or where the teacher is wrong.
    chosen = logits[lesson.taught].float() / temperature
    if not len(chosen):
        return logits.new_zeros(())
    tokens, expected = lesson.tokens[lesson.taught].long(), lesson.log_probs[lesson.taught].float()
    total = chosen.logsumexp(-1, keepdim=True)
    others = chosen.scatter(-1, tokens, -torch.inf).logsumexp(-1, keepdim=True)
    said = torch.cat([chosen.gather(-1, tokens), others], -1) - total
    probs = expected.exp()
    rest = (1.0 - probs.sum(-1, keepdim=True)).clamp_min(torch.finfo(torch.float16).tiny)
    probs, expected = torch.cat([probs, rest], -1), torch.cat([expected, rest.log()], -1)
    divergence: torch.Tensor = (probs * (expected - said)).sum() * temperature**2
    return divergence / (labels != IGNORED).sum()


def state_loss(states: torch.Tensor, lesson: BatchLesson) -> torch.Tensor:
    """Share of the variance of the teacher's states that the student's miss.

    For each clip the squared error over the teacher's own variance about its mean state: 0 for
    equal states, 1 for a student that gives the mean; the same for quiet and loud dimensions of
    any model.

    Args:
        states: [clips, frames, d_model], the student's encoder output, at least as many frames as
            the lesson has.
        lesson: what the teacher says; clips without states count 0.

    Returns:
        A scalar, the mean over all clips of the batch.
    """
    wanted = lesson.states.float()
    own = states[:, : wanted.shape[1]].float()
    at = torch.arange(wanted.shape[1], device=states.device)
    inside = (at < lesson.frames[:, None])[..., None]
    count = lesson.frames.clamp_min(1)[:, None, None]
    mean = (wanted * inside).sum(1, keepdim=True) / count
    missed = ((own - wanted).square() * inside).sum((1, 2))
    spread = ((wanted - mean).square() * inside).sum((1, 2))
    usable = lesson.frames >= _FEWEST_STATES
    return torch.where(usable, missed / torch.where(usable, spread, 1.0), 0.0).mean()
