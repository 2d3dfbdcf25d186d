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
    """

    clip: int
    silence: float
    least_frames: int
    position: int = 0
    speed: float = 1.0

    def seconds(self, durations: Sequence[float]) -> float:
        """Seconds of speech that are heard of the clip."""
        return durations[self.clip] / self.speed


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
    has_term: Sequence[bool] = (),
) -> list[list[Draw]]:
    """Every batch of a run, in order.

    Human and synthetic clips are each drawn in shuffled passes, `human_share` of all draws from
    the human ones when there are both. A pass holds a clip with a term `term_factor` times. Clips
    of like length share a batch.

    Args:
        durations: seconds of each training clip.
        human: whether a person speaks it.
        has_term: whether its text holds a term of the domain's vocabulary; empty for none.
        params: steps, batch size, shares, silence and seed are used.

    Returns:
        `params.steps` lists of `params.batch_size` draws.
    """
    rng = random.Random(params.seed)
    total = params.steps * params.batch_size
    times = [params.term_factor if holds else 1 for holds in has_term] or [1] * len(human)
    people = [i for i, is_human in enumerate(human) if is_human for _ in range(times[i])]
    machines = [i for i, is_human in enumerate(human) if not is_human for _ in range(times[i])]
    share = params.human_share if people and machines else float(bool(people))
    of_people = round(total * share)
    order = _passes(people, of_people, rng), _passes(machines, total - of_people, rng)
    turns = [0] * of_people + [1] * (total - of_people)
    rng.shuffle(turns)
    drawn = [next(order[turn]) for turn in turns]

    batches: list[list[Draw]] = []
    size = params.batch_size
    for start in range(0, total, _WINDOW_BATCHES * size):
        window = sorted(drawn[start : start + _WINDOW_BATCHES * size], key=durations.__getitem__)
        groups = [window[first : first + size] for first in range(0, len(window), size)]
        rng.shuffle(groups)
        for group in groups:
            least = WINDOW_FRAMES if rng.random() < params.full_length_share else 0
            first = len(batches) * size
            batches.append(
                [
                    Draw(
                        clip,
                        rng.uniform(*params.trailing_silence),
                        least,
                        position,
                        _speed(params, position, durations[clip]),
                    )
                    for position, clip in enumerate(group, start=first)
                ]
            )
    return batches


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
    mels: Floats, texts: Sequence[Sequence[int]], prompt: Sequence[int], end: int
) -> Batch:
    """The arrays of one batch.

    Args:
        mels: [clips, n_mels, frames].
        texts: text tokens of each clip.
        prompt: tokens before the text; no loss is taken on them.
        end: token that ends a transcript, and pads the decoder's inputs.
    """
    shape = len(texts), len(prompt) + max(len(text) for text in texts)
    inputs = np.full(shape, end, dtype=np.int64)
    labels = np.full(shape, IGNORED, dtype=np.int64)
    for row, text in enumerate(texts):
        length = len(prompt) + len(text)
        inputs[row, :length] = [*prompt, *text]
        labels[row, len(prompt) - 1 : length] = [*text, end]
    return Batch(mels, inputs, labels)
