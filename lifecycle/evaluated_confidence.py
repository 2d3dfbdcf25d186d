"""What an evaluation's folder keeps to judge confidences: the words' tokens, and the calibrator.

Predictions hold the tokens of a text without saying which word they are of; the engine's tokenizer
does, which may be gone when a report is written. `words.json` holds, of each text that the
candidate said, its words, each with its number of tokens.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from voiceforge.errors import IntegrityError
from voiceforge.files import read_json, write_text
from voiceforge.settings import Settings

if TYPE_CHECKING:
    from evaluation.model_calibrator import ModelCalibrator
    from evaluation.reports.confidence import Split

WORDS = "words.json"


def write_words(out: Path, engine: Path, predictions: Path, language: str) -> None:
    """Write the words of an engine's predictions, unless it has no tokenizer.

    What is there stays where it is of just these texts; of others it is left from predictions that
    were removed and heard anew.
    """
    from evaluation.runners import read_predictions
    from evaluation.word_tokens import TOKENIZER, word_splitter

    if not (engine / TOKENIZER).is_file():
        return
    texts = sorted({row.hypothesis for row in read_predictions(predictions)})
    if (out / WORDS).is_file() and sorted(read_json(out / WORDS)) == texts:
        return
    split = word_splitter(engine, language)
    write_text(out / WORDS, json.dumps({text: split(text) for text in texts}, ensure_ascii=False))


def read_words(out: Path) -> Split | None:
    """What `write_words` wrote, None where it did not.

    Raises:
        StorageError: it is no JSON.
    """
    if not (out / WORDS).is_file():
        return None
    words: Mapping[str, list[list[Any]]] = read_json(out / WORDS)

    def split(text: str) -> list[tuple[str, int]]:
        # A text that is not there was not said by this engine: its tokens cannot be counted.
        return [(str(word), int(tokens)) for word, tokens in words.get(text, ())]

    return split


def calibrator_fields(
    settings: Settings, engine: Path, name: str, calibrator: Path | None
) -> dict[str, Any] | None:
    """The content of a calibrator's file, None for an engine without one.

    Args:
        engine, name: as in `lifecycle.named_models.engine_of`.
        calibrator: file; without it the one that is kept with the model, if there is one.

    Raises:
        IntegrityError: it is none, one of another engine, or not the one that the model was given.
    """
    from lifecycle.named_models import model_calibrator
    from serving.confidence import read_calibrator
    from serving.engines import engine_sha256

    if calibrator is not None:
        return read_calibrator(calibrator, engine_sha256(engine)).as_dict()
    found = model_calibrator(settings, engine, name)
    return None if found is None else found.as_dict()


def calibrator_of(described: Mapping[str, Any]) -> ModelCalibrator | None:
    """The candidate's calibrator of an evaluation.json.

    Raises:
        IntegrityError: it is damaged.
    """
    from evaluation.model_calibrator import ModelCalibrator

    fields = described.get("calibrator")
    try:
        return None if fields is None else ModelCalibrator.from_dict(fields)
    except ValueError as error:
        raise IntegrityError(
            f"The calibrator in evaluation.json cannot be used. {error} Evaluate again."
        ) from error
