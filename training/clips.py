"""Which clips are trained on, in which batches, and the arrays that a batch becomes.

The whole run is planned before it starts: every draw names its clip and its trailing silence. The
plan depends on the seed alone, so a killed run that continues sees the batches it would have seen.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from data.augmentation.chain import draw_recipe
from data.features import WINDOW_FRAMES, log_mel, mel_frames
from data.utterance import Utterance
from training.samples import PLAIN, Sample, Transcripts, draw_sample
from voiceforge.params import TrainingParams

Floats = npt.NDArray[np.float32]
Integers = npt.NDArray[np.int64]

IGNORED = -100
"""Label of positions without a loss, as torch's cross entropy has it."""

_WINDOW_BATCHES = 24
"""Batches that are sorted by length together: for little padding, yet mixed."""


class Draw(NamedTuple):
    """One clip of one batch.

    Attributes:
        clip: position in the list of training clips.
        silence: seconds of silence after it, at least.
        least_frames: mel frames, at least.
        position: draws before it in the run; what augmentation does to it depends on this.
        speed: of the clip, 1 for unchanged; it is that much shorter.
        sample: what is made of the clip; by default it is heard as it is.
    """

    clip: int
    silence: float
    least_frames: int
    position: int = 0
    speed: float = 1.0
    sample: Sample = PLAIN

    def unchanged_seconds(self, durations: Sequence[float]) -> float:
        """Seconds of the draw before its speed is changed."""
        return self.sample.seconds(self.clip, durations)

    def seconds(self, durations: Sequence[float]) -> float:
        """Seconds of audio that are heard, the silence behind it not counted."""
        return self.unchanged_seconds(durations) / self.speed


class First(NamedTuple):
    """What is said right after `<|startoftranscript|>`.

    There the model decides whether somebody speaks, in which language, and with times or not.

    Attributes:
        place: of `<|startoftranscript|>` in the prompt.
        token: that has to follow it: the next one of the prompt, or `<|nospeech|>`.
    """

    place: int
    token: int


@dataclass(frozen=True)
class Batch:
    """A batch: mels [clips, n_mels, frames], decoder inputs and labels [clips, tokens]."""

    mels: Floats
    decoder_inputs: Integers
    labels: Integers


def plan_batches(
    durations: Sequence[float],
    human: Sequence[bool],
    params: TrainingParams,
    replayed: Sequence[bool] | None = None,
    transcripts: Transcripts | None = None,
) -> list[list[Draw]]:
    """Every batch of a run, in order.

    Replayed, human and synthetic clips are each drawn in shuffled passes: `replay.share` of all
    draws from the replayed ones when there are any, of the others `human_share` from the human
    ones when there are both. Clips of like length share a batch.

    Args:
        durations: seconds of each training clip.
        human: whether a person speaks it.
        params: steps, batch size, shares, silence and seed are used.
        replayed: whether it is general audio; by default none is.
        transcripts: what decides which clips may stand in a row; without it none do.

    Returns:
        `params.steps` lists of `params.batch_size` draws.
    """
    rng = random.Random(params.seed)
    total = params.steps * params.batch_size
    general = [index for index, is_general in enumerate(replayed or ()) if is_general]
    own = [index for index in range(len(human)) if not (replayed and replayed[index])]
    people = [index for index in own if human[index]]
    machines = [index for index in own if not human[index]]
    share = params.human_share if people and machines else float(bool(people))
    of_general = round(total * params.replay.share) if general else 0
    of_people = round((total - of_general) * share)
    counts = of_people, total - of_general - of_people, of_general
    kinds = zip((people, machines, general), counts, strict=True)
    order = [_passes(kind, count, rng) for kind, count in kinds]
    turns = [turn for turn, count in enumerate(counts) for _ in range(count)]
    rng.shuffle(turns)
    drawn = [
        _Drawn(clip, sample, sample.seconds(clip, durations))
        for clip, sample in (
            (clip, draw_sample(params.samples, params.seed, number, clip, durations, transcripts))
            for number, clip in enumerate(next(order[turn]) for turn in turns)
        )
    ]

    batches: list[list[Draw]] = []
    size = params.batch_size
    for start in range(0, total, _WINDOW_BATCHES * size):
        window = sorted(drawn[start : start + _WINDOW_BATCHES * size], key=lambda one: one.seconds)
        groups = [window[first : first + size] for first in range(0, len(window), size)]
        rng.shuffle(groups)
        for group in groups:
            least = WINDOW_FRAMES if rng.random() < params.full_length_share else 0
            first = len(batches) * size
            batches.append(
                [
                    Draw(
                        one.clip,
                        rng.uniform(*params.trailing_silence),
                        least,
                        position,
                        _speed(params, position, one.seconds),
                        one.sample,
                    )
                    for position, one in enumerate(group, start=first)
                ]
            )
    return batches


class _Drawn(NamedTuple):
    clip: int
    sample: Sample
    seconds: float


def _speed(params: TrainingParams, position: int, seconds: float) -> float:
    effects = params.augmentation
    if not effects.speed.probability:
        return 1.0
    return draw_recipe(effects, params.seed, position, seconds).speed


def _passes(indices: list[int], count: int, rng: random.Random) -> Iterator[int]:
    left = count
    while left > 0:
        shuffled = rng.sample(indices, len(indices))
        yield from shuffled[:left]
        left -= len(shuffled)


def batch_frames(batch: Sequence[Draw], durations: Sequence[float]) -> int:
    """Mel frames of a batch: what its longest draw needs, at most the 30 s window."""
    needed = max(
        max(mel_frames(draw.seconds(durations) + draw.silence), draw.least_frames) for draw in batch
    )
    return min(needed, WINDOW_FRAMES)


def choose_clips(utterances: Sequence[Utterance], count: int, seed: int) -> list[Utterance]:
    """At most `count` varied clips: people and machines in turns, machines by accent in turns."""
    rng = random.Random(seed)
    shuffled = rng.sample(list(utterances), len(utterances))
    people = [row for row in shuffled if not row.is_synthetic]
    accents = sorted({row.accent for row in shuffled if row.is_synthetic})
    machines = _in_turns(
        [[row for row in shuffled if row.is_synthetic and row.accent == name] for name in accents]
    )
    return _in_turns([people, machines])[:count]


def _in_turns(groups: Sequence[Sequence[Utterance]]) -> list[Utterance]:
    longest = max((len(group) for group in groups), default=0)
    return [group[turn] for turn in range(longest) for group in groups if turn < len(group)]


def make_mels(clips: Sequence[Floats], frames: int, n_mels: int) -> Floats:
    """Mels of several clips, each padded with silence to `frames`: [clips, n_mels, frames]."""
    return np.stack([log_mel(samples, n_mels, frames) for samples in clips])


def make_batch(
    mels: Floats,
    texts: Sequence[Sequence[int]],
    prompts: Sequence[Sequence[int]],
    end: int,
    firsts: Sequence[First | None] | None = None,
) -> Batch:
    """The arrays of one batch; rows stand to the left, so that their positions count from 0.

    Args:
        mels: [clips, n_mels, frames].
        texts: text tokens of each clip.
        prompts: tokens before each text; no loss is taken on them, but for `firsts`.
        end: token that ends a transcript, and pads the decoder's inputs.
        firsts: of each clip; None to take no loss there.
    """
    rows = list(zip(prompts, texts, firsts or [None] * len(texts), strict=True))
    shape = len(rows), max(len(prompt) + len(text) for prompt, text, _ in rows)
    inputs = np.full(shape, end, dtype=np.int64)
    labels = np.full(shape, IGNORED, dtype=np.int64)
    for row, (prompt, text, first) in enumerate(rows):
        length = len(prompt) + len(text)
        inputs[row, :length] = [*prompt, *text]
        if first is not None:
            labels[row, first.place] = first.token
        # A prompt may end with `<|startoftranscript|>`: its text comes first there.
        labels[row, len(prompt) - 1 : length] = [*text, end]
    return Batch(mels, inputs, labels)
