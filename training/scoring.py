"""Word errors of the dev clips: batched greedy decoding at clip length, scored by slice."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from data.audio import read_flac
from data.features import FRAMES_PER_SECOND, WINDOW_FRAMES, mel_frames
from data.utterance import Utterance
from evaluation.metrics import per_utterance_errors
from evaluation.text import normalise
from training.clips import make_mels
from training.context import greedy, most_new_tokens
from training.recipe import Score, TrainingSpec

_BATCH = 16
_BATCH_SECONDS = 48.0
"""Bounds of a batch in clips and in padded audio; the second keeps long clips within memory."""


def transcribe(
    model: Any,
    tokenizer: Any,
    prompt: Sequence[int],
    rows: Sequence[Utterance],
    corpus: Path,
    *,
    silence: float,
    least_frames: int = 0,
) -> list[str]:
    """Greedy transcripts of clips, in order.

    Clips of like length share a batch, and new tokens are bounded by its length: a model that
    repeats itself is cut there, and its errors still count.

    Args:
        model: a `training.context.LengthMatchedWhisper`.
        tokenizer: its tokenizer.
        prompt: from `training.context.prompt_tokens`.
        rows: the clips, each at most 30 s.
        corpus: folder of their audio.
        silence: seconds of silence after the longest clip of a batch.
        least_frames: mel frames at least; 3000 for a base model, which knows nothing shorter.
    """
    hypotheses = [""] * len(rows)
    for chosen in batches_of_like_length(
        [row.duration for row in rows], least_frames / FRAMES_PER_SECOND
    ):
        seconds = rows[chosen[-1]].duration
        frames = min(max(mel_frames(seconds + silence), least_frames), WINDOW_FRAMES)
        clips = [read_flac(corpus / rows[index].audio) for index in chosen]
        mels = torch.from_numpy(make_mels(clips, frames, model.config.num_mel_bins))
        tokens = greedy(model, mels, prompt, most_new_tokens(model, prompt, seconds))
        for index, text in zip(chosen, tokens, strict=True):
            hypotheses[index] = tokenizer.decode(text, skip_special_tokens=True).strip()
    return hypotheses


def batches_of_like_length(durations: Sequence[float], least: float = 0.0) -> list[list[int]]:
    """Indices of clips in batches of like length, the longest clip of each batch last.

    Args:
        durations: seconds of each clip.
        least: seconds that each clip is padded to.
    """
    batches: list[list[int]] = []
    for index in sorted(range(len(durations)), key=durations.__getitem__):
        width = max(durations[index], least)
        if not batches or len(batches[-1]) >= min(_BATCH, int(_BATCH_SECONDS / width)):
            batches.append([])
        batches[-1].append(index)
    return batches


def score(
    step: int, rows: Sequence[Utterance], hypotheses: Sequence[str], spec: TrainingSpec
) -> list[Score]:
    """Pooled word errors: "all" first, then "human", "synthetic", and each synthetic accent."""
    texts = [normalise(row.text, spec.normaliser, spec.language) for row in rows]
    heard = [normalise(text, spec.normaliser, spec.language) for text in hypotheses]
    table = per_utterance_errors(texts, heard)
    slices = {"all": [True] * len(rows), "human": [not row.is_synthetic for row in rows]}
    if any(row.is_synthetic for row in rows):
        slices["synthetic"] = [row.is_synthetic for row in rows]
    for accent in sorted({row.accent for row in rows if row.is_synthetic}):
        slices[accent] = [row.is_synthetic and row.accent == accent for row in rows]
    return [
        Score(step, name, int(table[mask, 0].sum()), int(table[mask, 1].sum()), sum(mask))
        for name, mask in slices.items()
        if any(mask)
    ]
