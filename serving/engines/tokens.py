"""Whisper's tokenizer as its engines use it: how a transcript opens, and text from tokens."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from voiceforge.errors import IntegrityError, UsageError

FILE = "tokenizer.json"
CONTEXT_TOKENS = 448
"""Positions of Whisper's decoder: prompt, start tokens and text together."""


class WhisperTokens:
    """The tokenizer of an engine folder.

    Attributes:
        end: id of the token that ends a text; text tokens have smaller ids, special ones larger.
    """

    def __init__(self, folder: Path, *, language: str, multilingual: bool) -> None:
        """Read it.

        Raises:
            IntegrityError: it is no tokenizer of a Whisper model.
            UsageError: the model does not know the language.
        """
        from tokenizers import Tokenizer

        self._tokenizer = Tokenizer.from_file(str(folder / FILE))
        self._multilingual, self._language = multilingual, language
        self.end = self.special("<|endoftext|>")
        self.start(language)

    def start(self, language: str) -> list[int]:
        """The tokens that open a transcript in that language.

        Raises:
            UsageError: the model does not know it.
        """
        start = [self.special("<|startoftranscript|>")]
        if self._multilingual:
            token = self._tokenizer.token_to_id(f"<|{language}|>")
            if token is None:
                raise UsageError(f"The model knows no language {language!r}; write a code like en.")
            return [*start, int(token), self.special("<|transcribe|>")]
        if language != "en":
            raise UsageError(
                f"The language is {language!r}, but the model of this engine knows English only. "
                "Use a multilingual base model, such as whisper-base."
            )
        return start

    def prompt(self, text: str, language: str) -> list[int]:
        """What the decoder is given before the first text token: the last tokens of `text` that
        there is room for, and the tokens that open a transcript without times."""
        start = [*self.start(language), self.special("<|notimestamps|>")]
        if not text.strip():
            return start
        ids = self._tokenizer.encode(" " + text.strip(), add_special_tokens=False).ids
        kept = ids[-(CONTEXT_TOKENS // 2 - 1 - len(start)) :]
        return [self.special("<|startofprev|>"), *kept, *start]

    def text(self, ids: Sequence[int]) -> str:
        return str(self._tokenizer.decode(list(ids), skip_special_tokens=True))

    def special(self, token: str) -> int:
        """Id of a special token.

        Raises:
            IntegrityError: there is none.
        """
        found = self._tokenizer.token_to_id(token)
        if found is None:
            raise IntegrityError(
                f"The engine's tokenizer has no token {token}. It is not the tokenizer of a "
                f"Whisper model for {self._language!r}; build the engine again."
            )
        return int(found)

    def languages(self) -> dict[str, int]:
        """Ids of the language tokens by ISO 639-1 code (or longer, such as "haw")."""
        from transformers.models.whisper.tokenization_whisper import LANGUAGES

        found = {code: self._tokenizer.token_to_id(f"<|{code}|>") for code in LANGUAGES}
        return {code: int(token) for code, token in found.items() if token is not None}
