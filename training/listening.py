"""A Whisper model at work on its own, with all that it says: times, silence, how sure it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from data.audio import SAMPLE_RATE, Samples
from data.features import WINDOW_FRAMES, mel_frames
from evaluation.whisper_bounds import LEAST_LOG_PROB, MOST_NO_SPEECH
from training.clips import make_mels
from training.context import (
    greedy_config,
    is_multilingual,
    load_model,
    most_new_tokens,
    prompt_tokens,
)
from training.merging import DESCRIPTION
from training.targets import SpecialTokens
from voiceforge.files import read_json

_BATCH = 8


@dataclass(frozen=True, slots=True)
class Heard:
    """What a model says of one clip.

    Attributes:
        text: without times.
        segments: seconds at which its segments start and end, where times were asked for.
        no_speech: probability of `<|nospeech|>`, 0..1.
        log_prob: mean natural log-probability of its tokens and their end.
        ends_at_once: whether the end is its first choice. Whisper's decoding does not allow that,
            so that there is a text nevertheless.
    """

    text: str
    segments: tuple[tuple[float, float], ...]
    no_speech: float
    log_prob: float
    ends_at_once: bool

    @property
    def is_nothing(self) -> bool:
        """Whether the model hears nobody: it ends at once, or Whisper's own rule says so."""
        is_silence = self.no_speech > MOST_NO_SPEECH and self.log_prob < LEAST_LOG_PROB
        return self.ends_at_once or is_silence


class Listener:
    """A model of a folder.

    Args:
        folder: a Hugging Face folder of a Whisper model, merged or base.
        full_window: hear every clip in a 30 s window, though the model was trained on less.
    """

    def __init__(self, folder: Path, *, full_window: bool = False) -> None:
        from transformers import AutoTokenizer

        self.model = load_model(folder)
        self.tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        self.special = SpecialTokens.of(self.model)
        file = folder / DESCRIPTION
        told = read_json(file) if file.is_file() and not full_window else {}
        self._least = int(told.get("minimum_mel_frames", WINDOW_FRAMES))
        self._silence = sum(told.get("trailing_silence", (0.0, 0.0))) / 2

    @property
    def is_multilingual(self) -> bool:
        return is_multilingual(self.model)

    def hear(
        self,
        clips: Sequence[Samples],
        language: str,
        *,
        before: str = "",
        times: bool = False,
        least_frames: int = 0,
    ) -> list[Heard]:
        """What the model says of each clip, greedily, with Whisper's own suppressed tokens.

        Args:
            clips: mono audio at 16 kHz, each at most 30 s.
            language: ISO 639-1 code.
            before: text before the clip, as a prompt.
            times: ask for time tokens.
            least_frames: mel frames at least, whatever the model was trained on.
        """
        prompt = prompt_tokens(self.model, self.tokenizer, language)
        if times:
            prompt = prompt[:-1]
        if before:
            words = self.tokenizer.encode(f" {before.strip()}", add_special_tokens=False)
            prompt = [self.special.previous, *words[-self.special.longest_prompt :], *prompt]
        found: dict[int, Heard] = {}
        order = sorted(range(len(clips)), key=lambda index: len(clips[index]))
        for at in range(0, len(order), _BATCH):
            chosen = order[at : at + _BATCH]
            heard = self._batch([clips[index] for index in chosen], prompt, times, least_frames)
            found.update(zip(chosen, heard, strict=True))
        return [found[index] for index in range(len(clips))]

    @torch.no_grad()
    def _batch(
        self, clips: Sequence[Samples], prompt: list[int], times: bool, least: int
    ) -> list[Heard]:
        from transformers import GenerationMixin, LogitsProcessorList
        from transformers.generation.logits_process import WhisperTimeStampLogitsProcessor

        model, own = self.model, self.model.generation_config
        end = int(own.eos_token_id)
        seconds = len(clips[-1]) / SAMPLE_RATE
        frames = max(mel_frames(seconds + self._silence), self._least, least)
        mels = make_mels(clips, min(frames, WINDOW_FRAMES), model.config.num_mel_bins)
        encoded = model.model.encoder(torch.from_numpy(mels))
        rules = [WhisperTimeStampLogitsProcessor(own, begin_index=len(prompt))] if times else []
        out = GenerationMixin.generate(
            model,
            encoder_outputs=encoded,
            decoder_input_ids=torch.tensor([prompt] * len(clips)),
            generation_config=greedy_config(model, prompt, most_new_tokens(model, prompt, seconds)),
            logits_processor=LogitsProcessorList(rules),
        )
        said = model.model.decoder(input_ids=out, encoder_hidden_states=encoded[0])
        log_probs = model.proj_out(said.last_hidden_state).log_softmax(dim=-1)
        start = len(prompt) - 1 - prompt[::-1].index(int(own.decoder_start_token_id))
        heard = []
        for row, ids in enumerate(out[:, len(prompt) :].tolist()):
            tokens = ids[: ids.index(end)] if end in ids else ids
            closed = [*tokens, end][: len(ids)]
            places = log_probs[row, len(prompt) - 1 : len(prompt) - 1 + len(closed)]
            heard.append(
                Heard(
                    text=self.tokenizer.decode(
                        [token for token in tokens if token < end], skip_special_tokens=True
                    ).strip(),
                    segments=self._segments(tokens),
                    no_speech=float(log_probs[row, start, self.special.no_speech].exp()),
                    log_prob=float(places.gather(1, torch.tensor(closed)[:, None]).mean()),
                    ends_at_once=int(log_probs[row, len(prompt) - 1].argmax()) == end,
                )
            )
        return heard

    def _segments(self, tokens: Sequence[int]) -> tuple[tuple[float, float], ...]:
        found = [self.special.seconds(token) for token in tokens]
        times = [time for time in found if time is not None]
        return tuple(zip(times[::2], times[1::2], strict=False))
