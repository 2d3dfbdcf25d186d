"""All that is settled before a training's first step, and the batches its plan becomes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import AutoTokenizer

from data.audio import Samples, read_flac
from data.augmentation.chain import Augmenter
from data.tables import UTTERANCES, read_utterances
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
from training.pruning import kept_of
from training.recipe import TrainingSpec
from training.samples import Prefix, Transcripts, rare_words
from training.scoring import transcribe
from training.targets import Composer, SpecialTokens, Spoken
from training.word_times import WordTimes
from voiceforge.errors import UsageError


@dataclass(frozen=True)
class Clip:
    """A training clip.

    Attributes:
        row: its utterance.
        tokens: of its text.
        prompt: the tokens before them: the clip's own language.
        path: its audio.
        replayed: whether it is general audio, there so that it is not forgotten.
    """

    row: Utterance
    tokens: list[int]
    prompt: list[int]
    path: Path
    replayed: bool = False


@dataclass(frozen=True)
class PreparedRun:
    """A training ready for its first step.

    Attributes:
        left_out: clips of the train split that are not trained on.
        plan: every batch.
        long_texts: ids of those left out since the decoder has no room for their transcripts.
    """

    spec: TrainingSpec
    base: Any
    tokenizer: Any
    prompt: list[int]
    clips: list[Clip]
    dev: list[Utterance]
    left_out: int
    plan: list[list[Draw]]
    augmenter: Augmenter | None
    long_texts: tuple[str, ...]
    composer: Composer

    @classmethod
    def of(
        cls, spec: TrainingSpec, workspace: Path | None = None, quantization: Any = None
    ) -> PreparedRun:
        """Choose clips, plan batches, and find out when words are spoken where the plan asks.

        Args:
            spec: the run.
            workspace: folder that keeps the times of words for the next attempt.
            quantization: as that of `training.context.load_model`.

        Raises:
            UsageError: a base without safetensors, nothing to train or evaluate on, a language
                that the base model does not know, babble to be mixed from a single clip, or
                prefixes in a language without spaces.
        """
        known, dev = train_and_dev(spec)
        tokenizer = AutoTokenizer.from_pretrained(spec.base, local_files_only=True)
        base = load_model(spec.base, quantization)
        if spec.params.decoder_layers is not None:  # refused now, pruned before the first step
            kept_of(base, spec.params.decoder_layers)
        prompt = prompt_tokens(base, tokenizer, spec.language)
        room = base.config.max_target_positions - len(prompt) - 1
        every = [
            Clip(row, text_tokens(tokenizer, row.text), prompt, spec.corpus / row.audio)
            for row in known
        ]
        heard = [clip for clip in every if clip.row.duration <= spec.params.maximum_seconds]
        if not heard:
            raise UsageError(
                f"All {len(every)} train utterances are longer than training.maximum_seconds = "
                f"{spec.params.maximum_seconds:g} (the shortest has "
                f"{min(row.duration for row in known):.1f} s). Raise it (at most 30) in "
                "params.yaml, or cut the recordings."
            )
        clips = [clip for clip in heard if len(clip.tokens) <= room]
        long_texts = tuple(clip.row.id for clip in heard if len(clip.tokens) > room)
        if not clips:
            fewest = min(heard, key=lambda clip: len(clip.tokens))
            raise UsageError(
                f"The transcripts of all {len(heard)} train utterances have more than {room} "
                f"tokens: the decoder of the base model has {base.config.max_target_positions} "
                f"positions. The shortest, of {fewest.row.id}, has {len(fewest.tokens)}. Cut the "
                "recordings and their texts, at sentences for instance."
            )
        left_out = len(every) - len(clips)
        clips += _replayed(spec, base, tokenizer)
        durations = [clip.row.duration for clip in clips]
        plan = plan_batches(
            durations,
            [not clip.row.is_synthetic for clip in clips],
            spec.params,
            [clip.replayed for clip in clips],
            Transcripts(
                [len(clip.tokens) for clip in clips], [clip.row.language for clip in clips], room
            ),
            _with_terms(spec, clips),
        )
        chosen = choose_clips(dev, spec.params.dev_utterances, spec.params.seed)
        augmenter = augmenter_of(spec, [clip.path for clip in clips])
        words = WordTimes(base, tokenizer, spec.base, workspace).of(
            {
                draw.clip: clips[draw.clip]
                for batch in plan
                for draw in batch
                if isinstance(draw.sample, Prefix)
            }
        )
        texts = [clip.row.text for clip in clips]
        composer = Composer(
            clips=[
                Spoken(clip.tokens, clip.prompt, words.get(number, ()))
                for number, clip in enumerate(clips)
            ],
            durations=durations,
            texts=texts,
            rare=rare_words(texts) if spec.params.samples.prompted else [],
            special=SpecialTokens.of(base),
            encode=lambda text: text_tokens(tokenizer, text),
            read=lambda clip: read_flac(clips[clip].path),
            decides=spec.params.samples.no_speech > 0.0,
        )
        return cls(
            spec,
            base,
            tokenizer,
            prompt,
            clips,
            chosen,
            left_out,
            plan,
            augmenter,
            long_texts,
            composer,
        )

    @property
    def durations(self) -> list[float]:
        """Seconds of every clip."""
        return [clip.row.duration for clip in self.clips]

    def read(self, clip: int) -> Samples:
        """The samples of a clip, unchanged."""
        return read_flac(self.clips[clip].path)

    def hear(self, draw: Draw) -> Samples:
        """The samples of a draw."""
        samples = self.composer.audio(draw)
        if self.augmenter is None:
            return samples
        recipe = self.augmenter.recipe(draw.position, draw.unchanged_seconds(self.durations))
        return self.augmenter.hear(draw.clip, samples, recipe)

    def transcribe(self, rows: Sequence[Utterance]) -> list[str]:
        """Transcripts of clips, in order; see `training.scoring.transcribe`."""
        return transcribe(
            self.base,
            self.tokenizer,
            self.prompt,
            rows,
            self.spec.corpus,
            silence=self.spec.dev_silence,
        )

    @property
    def versions(self) -> dict[str, str]:
        """Versions of packages that this backend alone rests on."""
        return {}

    @property
    def notes(self) -> tuple[str, ...]:
        """What was chosen for this model, and why."""
        return ()

    def collate(self, items: Sequence[tuple[Draw, Samples]]) -> dict[str, torch.Tensor]:
        """The tensors of one batch."""
        frames = batch_frames([draw for draw, _ in items], self.durations)
        mels = make_mels([samples for _, samples in items], frames, self.base.config.num_mel_bins)
        if self.augmenter is not None:
            durations = self.durations
            for mel, (draw, samples) in zip(mels, items, strict=True):
                recipe = self.augmenter.recipe(draw.position, draw.unchanged_seconds(durations))
                mel[:] = self.augmenter.see(mel, len(samples), recipe)
        targets = [self.composer.target(draw) for draw, _ in items]
        batch = make_batch(
            mels,
            [target.text for target in targets],
            [target.prompt for target in targets],
            self.tokenizer.eos_token_id,
            [target.first for target in targets],
        )
        return {
            "input_features": torch.from_numpy(batch.mels),
            "decoder_input_ids": torch.from_numpy(batch.decoder_inputs),
            "labels": torch.from_numpy(batch.labels),
        }


def _replayed(spec: TrainingSpec, base: Any, tokenizer: Any) -> list[Clip]:
    """The general audio of a run, each clip with the prompt of its own language."""
    if spec.replay is None:
        return []
    found = []
    for row in read_utterances(spec.replay / UTTERANCES):
        prompt = prompt_tokens(base, tokenizer, row.language)
        tokens = text_tokens(tokenizer, row.text)
        if len(prompt) + len(tokens) < base.config.max_target_positions:
            found.append(Clip(row, tokens, prompt, spec.replay / row.audio, replayed=True))
    return found


def train_and_dev(spec: TrainingSpec) -> tuple[list[Utterance], list[Utterance]]:
    """The utterances of the two splits.

    Raises:
        UsageError: one of them has none.
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
    return known, dev


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


def augmenter_of(spec: TrainingSpec, clips: Sequence[Path]) -> Augmenter | None:
    """What changes the clips, which lie at these paths; None where every effect is off."""
    effects = spec.params.augmentation
    if not effects.is_on:
        return None
    return Augmenter(effects, spec.params.seed, len(clips), lambda clip: read_flac(clips[clip]))


def text_tokens(tokenizer: Any, text: str) -> list[int]:
    """The tokens of a transcript."""
    # Whisper's transcripts begin with a space.
    return list(tokenizer.encode(" " + text.strip(), add_special_tokens=False))
