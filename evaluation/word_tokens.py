"""Which tokens make which word of a transcript, by the tokenizer of the engine that wrote it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from serving.engines.words import split_words
from voiceforge.errors import IntegrityError

TOKENIZER = "tokenizer.json"


def word_splitter(engine: Path, language: str) -> Callable[[str], list[tuple[str, int]]]:
    """Splits a hypothesis into its words, each with the number of its text tokens.

    A prediction holds a text and its tokens' log-probabilities, not the tokens. They are those of
    the tokenizer where it has as many of them for the text, which `evaluation.confidence` checks:
    a model may spell a word otherwise than its tokenizer does.

    Args:
        engine: the engine's folder, or the model's; it holds the tokenizer.
        language: ISO 639-1 code of the transcripts.

    Raises:
        IntegrityError: there is no tokenizer that can be read.
    """
    from tokenizers import Tokenizer

    path = engine / TOKENIZER
    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # the package raises Exception itself
        raise IntegrityError(
            f"{path} cannot be read as a tokenizer ({error}), so tokens cannot be told apart by "
            "word. Name the folder of the engine that made the predictions."
        ) from error

    def split(text: str) -> list[tuple[str, int]]:
        # Whisper begins a transcript with a space, which a prediction's text has lost.
        ids = tokenizer.encode(" " + text.strip(), add_special_tokens=False).ids
        groups = split_words(ids, tokenizer.decode, language) if text.strip() else []
        return [(tokenizer.decode(group).strip(), len(group)) for group in groups]

    return split
