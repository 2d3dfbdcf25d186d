"""All that is settled before a training's first step, and the batches its plan becomes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from transformers import AutoTokenizer

from data.audio import Samples, read_flac
from data.augmentation.chain import Augmenter
from data.tables import read_utterances
from data.utterance import Utterance
from evaluation.terms import Vocabulary
from evaluation.text import normalise
from training.clips import (
    Draw,
    batch_frames,
    choose_clips,
    make_batch,
    make_mels,
    plan_batches,
)
from training.context import load_model, prompt_tokens
from training.recipe import TrainingSpec
from voiceforge.errors import UsageError


@dataclass(frozen=True)
class Clip:
    """A training clip and its text's tokens."""

    row: Utterance
    tokens: list[int]


@dataclass(frozen=True)
class PreparedRun:
    """A training ready for its first step; `plan` is every batch of it."""

    spec: TrainingSpec
    base: Any
    tokenizer: Any
    prompt: list[int]
    clips: list[Clip]
    dev: list[Utterance]
    left_out: int
    plan: list[list[Draw]]

    augmenter: Augmenter | None

    @classmethod
    def of(cls, spec: TrainingSpec) -> PreparedRun:
        """Choose clips and plan batches.

        Raises:
            UsageError: nothing to train or evaluate on, a language that the base model does not
                know, or babble to be mixed from a single clip.
        """
        rows = read_utterances(spec.utterances)
        known = [row for row in rows if row.split == "train"]
        dev = [row for row in rows if row.split == "dev"]
        for split, found in (("train", known), ("dev", dev)):
            if not found:
                raise UsageError(
                    f"{spec.utterances} has none in its {split} split, of {len(rows)} utterances. "
                    "Add recordings, or change the shares under splits in params.yaml."
                )
        tokenizer = AutoTokenizer.from_pretrained(spec.base, local_files_only=True)
        base = load_model(spec.base)
        prompt = prompt_tokens(base, tokenizer, spec.language)
        room = base.config.max_target_positions - len(prompt) - 1
        every = [Clip(row, _text_tokens(tokenizer, row.text)) for row in known]
        longest = spec.params.maximum_seconds
        clips = [
            clip for clip in every if clip.row.duration <= longest and len(clip.tokens) <= room
        ]
        if not clips:
            shortest = min(row.duration for row in known)
            raise UsageError(
                f"All {len(known)} train utterances are longer than training.maximum_seconds = "
                f"{longest:g} (the shortest has {shortest:.1f} s) or have more than {room} tokens. "
                "Raise maximum_seconds (at most 30) in params.yaml, or cut the recordings."
            )
        human = [not clip.row.is_synthetic for clip in clips]
        durations = [clip.row.duration for clip in clips]
        plan = plan_batches(durations, human, spec.params, _with_terms(spec, clips))
        chosen = choose_clips(dev, spec.params.dev_utterances, spec.params.seed)
        left_out = len(every) - len(clips)
        augmenter = _augmenter(spec, clips)
        return cls(spec, base, tokenizer, prompt, clips, chosen, left_out, plan, augmenter)

    @property
    def durations(self) -> list[float]:
        """Seconds of every clip."""
        return [clip.row.duration for clip in self.clips]

    def hear(self, draw: Draw) -> Samples:
        """The samples of a draw."""
        samples = _read(self.spec, self.clips[draw.clip])
        if self.augmenter is None:
            return samples
        recipe = self.augmenter.recipe(draw.position, self.clips[draw.clip].row.duration)
        return self.augmenter.hear(draw.clip, samples, recipe)

    def collate(self, items: Sequence[tuple[Draw, Samples]]) -> dict[str, torch.Tensor]:
        """The tensors of one batch."""
        frames = batch_frames([draw for draw, _ in items], self.durations)
        mels = make_mels([samples for _, samples in items], frames, self.base.config.num_mel_bins)
        if self.augmenter is not None:
            for mel, (draw, samples) in zip(mels, items, strict=True):
                recipe = self.augmenter.recipe(draw.position, self.clips[draw.clip].row.duration)
                mel[:] = self.augmenter.see(mel, len(samples), recipe)
        texts = [self.clips[draw.clip].tokens for draw, _ in items]
        batch = make_batch(mels, texts, self.prompt, self.tokenizer.eos_token_id)
        return {
            "input_features": torch.from_numpy(batch.mels),
            "decoder_input_ids": torch.from_numpy(batch.decoder_inputs),
            "labels": torch.from_numpy(batch.labels),
        }


def _with_terms(spec: TrainingSpec, clips: Sequence[Clip]) -> list[bool]:
    """Whether each clip's text holds a term of the domain; empty where that decides nothing.

    Raises:
        UsageError: a term that the normaliser leaves nothing of, or two that it makes one.
    """
    if not spec.drawn_terms:
        return []
    try:
        terms = [normalise(term, spec.normaliser, spec.language) for term in spec.terms]
        vocabulary = Vocabulary(terms)
    except ValueError as error:
        raise UsageError(
            f"The vocabulary in params.yaml cannot be told apart after the normaliser "
            f"{spec.normaliser}: {error} The terms are: {', '.join(spec.terms)}."
        ) from error
    texts = (normalise(clip.row.text, spec.normaliser, spec.language) for clip in clips)
    return [bool(vocabulary.find(text.split())) for text in texts]


def _augmenter(spec: TrainingSpec, clips: Sequence[Clip]) -> Augmenter | None:
    """What changes the clips; None where every effect is off."""
    effects = spec.params.augmentation
    if not effects.is_on:
        return None
    return Augmenter(effects, spec.params.seed, len(clips), lambda clip: _read(spec, clips[clip]))


def _read(spec: TrainingSpec, clip: Clip) -> Samples:
    return read_flac(spec.corpus / clip.row.audio)


def _text_tokens(tokenizer: Any, text: str) -> list[int]:
    # Whisper's transcripts begin with a space.
    return list(tokenizer.encode(" " + text.strip(), add_special_tokens=False))
