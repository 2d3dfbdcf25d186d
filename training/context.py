"""Whisper on mels of any length: the model class, its prompt tokens, and batched greedy decoding.

Whisper pads every clip to 30 s, and transformers refuses anything else. The encoder itself has no
such need: its positions are added row by row, so a shorter mel takes the first rows. Only a model
fine-tuned that way transcribes well from it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import GenerationConfig, GenerationMixin, WhisperForConditionalGeneration
from transformers.modeling_outputs import BaseModelOutput
from transformers.models.whisper.modeling_whisper import WhisperEncoder

from training.conversion import MULTILINGUAL_VOCABULARY
from voiceforge.errors import UsageError

_TOKENS_PER_SECOND = 8.0
_TOKENS_AT_LEAST = 12


class LengthMatchedEncoder(WhisperEncoder):  # type: ignore[misc]
    """Whisper's encoder without the demand for exactly 3000 frames."""

    def forward(
        self, input_features: torch.Tensor, attention_mask: torch.Tensor | None = None, **_: Any
    ) -> BaseModelOutput:
        """Encode mels of shape [batch, n_mels, frames], frames even and at most 3000.

        Returns:
            last_hidden_state of shape [batch, frames / 2, d_model].
        """
        hidden = nn.functional.gelu(self.conv1(input_features))
        hidden = nn.functional.gelu(self.conv2(hidden)).permute(0, 2, 1)
        hidden = hidden + self.embed_positions.weight[: hidden.shape[1]]
        for layer in self.layers:
            hidden = layer(hidden, None)
        return BaseModelOutput(last_hidden_state=self.layer_norm(hidden))


class LengthMatchedWhisper(WhisperForConditionalGeneration):  # type: ignore[misc]
    """Whisper with a `LengthMatchedEncoder`; the weights and their names are the same."""

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        self.model.encoder = LengthMatchedEncoder(config)
        self.post_init()


def load_model(folder: Path, quantization: Any = None) -> LengthMatchedWhisper:
    """The Whisper model of a Hugging Face folder in float32, ready for mels of any length.

    Args:
        quantization: from `training.adapters.quantization`; its linear layers are held so.

    Raises:
        UsageError: the folder holds no safetensors.
    """
    if not any(folder.glob("*.safetensors")):
        raise UsageError(
            f"The base model {folder} holds no .safetensors file, and pickled weights are not "
            "read. Save it with `save_pretrained(..., safe_serialization=True)`."
        )
    model = LengthMatchedWhisper.from_pretrained(
        folder,
        local_files_only=True,
        use_safetensors=True,
        dtype=torch.float32,
        quantization_config=quantization,
    )
    return model.eval()  # type: ignore[no-any-return]


def is_multilingual(model: WhisperForConditionalGeneration) -> bool:
    return bool(model.config.vocab_size >= MULTILINGUAL_VOCABULARY)


def prompt_tokens(
    model: WhisperForConditionalGeneration, tokenizer: Any, language: str
) -> list[int]:
    """The tokens that precede a transcript without timestamps, as in Whisper's own decoding.

    Raises:
        UsageError: the model does not know the language.
    """
    names = ["<|startoftranscript|>", "<|notimestamps|>"]
    if is_multilingual(model):
        names[1:1] = [f"<|{language}|>", "<|transcribe|>"]
        if tokenizer.convert_tokens_to_ids(names[1]) in (None, tokenizer.unk_token_id):
            raise UsageError(
                f"The base model does not know the language {language!r}: its vocabulary has no "
                f"token {names[1]}. Name one of Whisper's languages in params.yaml."
            )
    elif language != "en":
        raise UsageError(
            f"The base model transcribes English only, and the language is {language!r}. Name a "
            "multilingual base model, such as whisper-base, or the language en."
        )
    return [int(tokenizer.convert_tokens_to_ids(name)) for name in names]


def most_new_tokens(
    model: WhisperForConditionalGeneration, prompt: Sequence[int], seconds: float
) -> int:
    """Bound on text tokens of a clip: a model that repeats itself is cut there.

    Args:
        prompt: the tokens before the text, which share the decoder's positions with it.
        seconds: of the clip.
    """
    room = int(model.config.max_target_positions) - len(prompt)
    return min(_TOKENS_AT_LEAST + int(_TOKENS_PER_SECOND * seconds), room)


def greedy_config(
    model: WhisperForConditionalGeneration, prompt: Sequence[int], max_new_tokens: int
) -> GenerationConfig:
    """Greedy decoding after a prompt, with Whisper's own suppressed tokens."""
    own = model.generation_config
    end = int(own.eos_token_id)
    return GenerationConfig(
        max_new_tokens=max_new_tokens,
        do_sample=False,
        num_beams=1,
        eos_token_id=end,
        pad_token_id=end,
        decoder_start_token_id=prompt[0],
        suppress_tokens=own.suppress_tokens,
        begin_suppress_tokens=own.begin_suppress_tokens,
    )


def greedy(
    model: WhisperForConditionalGeneration,
    mels: torch.Tensor,
    prompt: Sequence[int],
    max_new_tokens: int,
) -> list[list[int]]:
    """Greedy text tokens of a batch of mels, with Whisper's own suppressed tokens.

    Args:
        model: a `LengthMatchedWhisper`, adapters in place or not.
        mels: float32 of shape [batch, n_mels, frames].
        prompt: from `prompt_tokens`.
        max_new_tokens: bound on text tokens of one clip.

    Returns:
        For every clip its tokens, without prompt, end and padding.
    """
    end = int(model.generation_config.eos_token_id)
    config = greedy_config(model, prompt, max_new_tokens)
    training = model.training
    model.eval()
    with torch.no_grad():
        encoded = model.model.encoder(mels.to(model.device))
        ids = torch.tensor([list(prompt)] * len(mels), device=model.device)
        # Whisper's own `generate` pads to 30 s and retries at higher temperatures; the plain one
        # decodes what it is given.
        out = GenerationMixin.generate(
            model, encoder_outputs=encoded, decoder_input_ids=ids, generation_config=config
        )
    model.train(training)
    rows = out[:, len(prompt) :].tolist()
    return [row[: row.index(end)] if end in row else row for row in rows]
