"""What the families of NeMo models are asked in training and on dev: a loss, and transcripts.

Each is given mels and hides how its family writes text: CTC frame by frame, a transducer (RNNT,
TDT, hybrids by their transducer) token by token, Canary as a decoder that is told the language.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Protocol

import torch

from data.utterance import Utterance
from training.nemo.manifest import cut_of, prompt_line
from training.nemo.models import AED, CTC
from voiceforge.errors import UsageError

Tensors = dict[str, torch.Tensor]


@dataclass(frozen=True)
class Text:
    """A transcript's tokens, of which the first `prompt` are given to the model, not learnt."""

    tokens: list[int]
    prompt: int = 0


class Task(Protocol):
    """What is asked of a model; `notes` says what was chosen for it and why."""

    notes: list[str]

    def tokens(self, text: str) -> list[int] | None:
        """A text's tokens; None where the tokenizer cannot write it."""

    def target(self, row: Utterance, text: str) -> Text:
        """What the model is to learn to say of an utterance."""

    def fits(self, target: Text, frames: int) -> bool:
        """Whether the model can say a target of a clip of so many mel frames."""

    def loss(self, mels: torch.Tensor, lengths: torch.Tensor, texts: Tensors) -> torch.Tensor:
        """The mean loss; mels [clips, n_mels, frames], `texts` from `collate_texts`."""

    def transcripts(
        self, mels: torch.Tensor, lengths: torch.Tensor, rows: Sequence[Utterance]
    ) -> list[str]:
        """Transcripts as the model's own configuration decodes them."""


def task_of(model: Any, *, language: str, punctuated: bool) -> Task:
    """The task of a restored model.

    Args:
        model: from `training.nemo.models.restore`.
        language: ISO code, which Canary and tokenizers by language are told.
        punctuated: whether transcripts have punctuation, which Canary is told.
    """
    name = type(model).__name__
    if name in AED:
        return CanaryTask(model, language, punctuated)
    return CtcTask(model, language) if name in CTC else TransducerTask(model, language)


def collate_texts(texts: Sequence[Text], pad: int) -> Tensors:
    """Tokens [clips, most], their lengths, and how many of them are the prompt."""
    most = max(len(text.tokens) for text in texts)
    tokens = [[*text.tokens, *[pad] * (most - len(text.tokens))] for text in texts]
    return {
        "tokens": torch.tensor(tokens, dtype=torch.int64),
        "token_lengths": torch.tensor([len(text.tokens) for text in texts]),
        "prompt_lengths": torch.tensor([text.prompt for text in texts]),
    }


def pad_token(model: Any) -> int:
    """The token that fills up shorter texts; no loss is taken on it."""
    return int(model.tokenizer.pad_id) if type(model).__name__ in AED else 0


class _Plain:
    """Models whose tokens are the text's alone."""

    def __init__(self, model: Any, language: str) -> None:
        self.model, self.language = model, language
        self.notes: list[str] = []

    def tokens(self, text: str) -> list[int] | None:
        return tokenize(self.model.tokenizer, text, self.language)

    def target(self, row: Utterance, text: str) -> Text:
        return Text(self.tokens(text) or [])

    def _encoded(self, mels: torch.Tensor, lengths: torch.Tensor) -> tuple[Any, Any]:
        encoded = self.model(processed_signal=mels, processed_signal_length=lengths)
        return encoded[0], encoded[1]


class CtcTask(_Plain):
    """Connectionist temporal classification."""

    def fits(self, target: Text, frames: int) -> bool:
        """A token takes a frame, and a repeated one a blank before it."""
        tokens = target.tokens
        repeats = sum(one == other for one, other in pairwise(tokens))
        return bool(0 < len(tokens) + repeats <= frames // self.model.encoder.subsampling_factor)

    def loss(self, mels: torch.Tensor, lengths: torch.Tensor, texts: Tensors) -> torch.Tensor:
        log_probs, encoded_lengths = self._encoded(mels, lengths)
        return self.model.loss(  # type: ignore[no-any-return]
            log_probs=log_probs.float(),
            targets=texts["tokens"],
            input_lengths=encoded_lengths,
            target_lengths=texts["token_lengths"],
        )

    def transcripts(
        self, mels: torch.Tensor, lengths: torch.Tensor, rows: Sequence[Utterance]
    ) -> list[str]:
        log_probs, encoded_lengths = self._encoded(mels, lengths)
        found = self.model.decoding.ctc_decoder_predictions_tensor(
            log_probs.float(), decoder_lengths=encoded_lengths, return_hypotheses=False
        )
        return [_text(one) for one in found]


class TransducerTask(_Plain):
    """RNNT and TDT; a hybrid is trained and decoded by its transducer."""

    def __init__(self, model: Any, language: str) -> None:
        super().__init__(model, language)
        settings = model.cfg.get("loss", None) or {}
        if settings.get("loss_name") == "tdt" and not torch.cuda.is_available():
            raise UsageError(
                "The base model is trained with the TDT loss, for which NeMo has no CPU code, and "
                "there is no CUDA device here. Train on a machine that has one, or choose a CTC or "
                "RNNT base model."
            )
        if hasattr(model, "ctc_decoder"):
            self.notes.append("trained by its transducer, its CTC decoder stays as it is")

    def fits(self, target: Text, frames: int) -> bool:
        return bool(target.tokens)

    def loss(self, mels: torch.Tensor, lengths: torch.Tensor, texts: Tensors) -> torch.Tensor:
        model = self.model
        encoded, encoded_lengths = self._encoded(mels, lengths)
        decoded, target_lengths, _ = model.decoder(
            targets=texts["tokens"], target_length=texts["token_lengths"]
        )
        if model.joint.fuse_loss_wer:
            return model.joint(  # type: ignore[no-any-return]
                encoder_outputs=encoded,
                decoder_outputs=decoded,
                encoder_lengths=encoded_lengths,
                transcripts=texts["tokens"],
                transcript_lengths=texts["token_lengths"],
                compute_wer=False,
            )[0]
        joint = model.joint(encoder_outputs=encoded, decoder_outputs=decoded)
        return model.loss(  # type: ignore[no-any-return]
            log_probs=joint.float(),
            targets=texts["tokens"],
            input_lengths=encoded_lengths,
            target_lengths=target_lengths,
        )

    def transcripts(
        self, mels: torch.Tensor, lengths: torch.Tensor, rows: Sequence[Utterance]
    ) -> list[str]:
        encoded, encoded_lengths = self._encoded(mels, lengths)
        found = self.model.decoding.rnnt_decoder_predictions_tensor(
            encoded.float(), encoded_lengths, return_hypotheses=False
        )
        return [_text(one) for one in found]


@dataclass
class CanaryTask:
    """An attention decoder whose prompt names the language and the task."""

    model: Any
    language: str
    punctuated: bool
    notes: list[str] = field(default_factory=list)

    def tokens(self, text: str) -> list[int] | None:
        return tokenize(self.model.tokenizer, text, self.language)

    def target(self, row: Utterance, text: str) -> Text:
        told = self._formatted(row, text)
        return Text(told["input_ids"].tolist(), len(told["context_ids"]))

    def fits(self, target: Text, frames: int) -> bool:
        return bool(len(target.tokens) <= self.model.transf_decoder.max_sequence_length)

    def loss(self, mels: torch.Tensor, lengths: torch.Tensor, texts: Tensors) -> torch.Tensor:
        """Cross entropy of the transcript and its end, not of the prompt."""
        tokens, known = texts["tokens"], texts["token_lengths"]
        log_probs, *_ = self.model(
            processed_signal=mels,
            processed_signal_length=lengths,
            transcript=tokens[:, :-1],
            transcript_length=known - 1,
        )
        place = torch.arange(tokens.shape[1] - 1, device=tokens.device)[None]
        learnt = (place >= texts["prompt_lengths"][:, None] - 1) & (place < known[:, None] - 1)
        return self.model.loss(  # type: ignore[no-any-return]
            log_probs=log_probs.float(), labels=tokens[:, 1:], output_mask=learnt
        )

    def transcripts(
        self, mels: torch.Tensor, lengths: torch.Tensor, rows: Sequence[Utterance]
    ) -> list[str]:
        _, _, states, mask = self.model(processed_signal=mels, processed_signal_length=lengths)
        prompts = [self._formatted(row, "")["context_ids"] for row in rows]
        found = self.model.decoding.decode_predictions_tensor(
            encoder_hidden_states=states.float(),
            encoder_input_mask=mask,
            decoder_input_ids=torch.stack(prompts),
            return_hypotheses=False,
        )
        return [_text(one) for one in found]

    def _formatted(self, row: Utterance, text: str) -> Any:
        from nemo.collections.common.data import apply_prompt_format_fn

        line = prompt_line(row, text, self.language, punctuated=self.punctuated)
        try:
            return apply_prompt_format_fn(cut_of(line, row.id), self.model.prompt)
        except (KeyError, AssertionError, RuntimeError) as error:
            raise UsageError(
                f"{row.id} cannot be written as a prompt of {self.model.prompt_format}: {error!r}."
            ) from error


def tokenize(tokenizer: Any, text: str, language: str) -> list[int] | None:
    """A text's tokens; None where one of them is the unknown token, or there are none."""
    parts = getattr(tokenizer, "tokenizers_dict", None)
    if parts is not None:
        name = next(one for one in parts if one.partition("-")[0] == language)
        own = parts[name]
        ids, unknown = own.text_to_ids(text), own.unk_id
        shift = tokenizer.token_id_offset[name]
    else:
        ids, unknown, shift = tokenizer.text_to_ids(text), tokenizer.unk_id, 0
    if not ids or unknown in ids:
        return None
    return [one + shift for one in ids]


def _text(found: Any) -> str:
    """The text of a hypothesis, or of the best of several."""
    best = found[0] if isinstance(found, list) else found
    return str(best.text).strip()
