"""Confidences as probabilities: through the calibrator that is stored with a model, if it has one.

What a calibrator was not fitted for stays the mean of the tokens' probabilities
(`ModelCalibrator.unfit`): utterances that are longer than a clip, speech in another language.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from evaluation.confidence import Level
from evaluation.model_calibrator import ModelCalibrator
from serving.engines.contracts import Word
from voiceforge.errors import IntegrityError
from voiceforge.files import read_json, sha256_file

CALIBRATOR = "calibrator.json"
FOLDER = "calibrator"


@dataclass(frozen=True, slots=True)
class Confidences:
    """Of a text and its words.

    Attributes:
        text: 0..1; 0 for an empty text.
        words: with their confidences, 0..1.
        calibrated: which of them are probabilities of being right: "utterance" (no word of the text
            is wrong), "word". The others are mean probabilities of tokens, which order the answers
            of one model and mean no more. An empty text has no confidence, so none is calibrated:
            nothing was fitted on texts without tokens.
    """

    text: float
    words: tuple[Word, ...]
    calibrated: tuple[Level, ...] = ()


def calibrated(
    confidence: float,
    words: Sequence[Word],
    seconds: float,
    language: str,
    calibrator: ModelCalibrator | None,
) -> Confidences:
    """What a model's calibrator makes of the confidences of one answer.

    Args:
        confidence: of the text: the mean probability of its tokens, 0 where it has none.
        words: each with the mean probability of its tokens.
        seconds: of audio that the text is of.
        language: ISO 639-1 code that it was heard in.
        calibrator: the model's; None for one without.
    """
    if calibrator is None:
        return Confidences(confidence, tuple(words))
    given: dict[Level, bool] = {"utterance": confidence > 0.0, "word": bool(words)}
    known = tuple(
        level
        for level, is_there in given.items()
        if is_there and not calibrator.unfit(level, seconds, language)
    )
    if "utterance" in known:
        (confidence,) = calibrator.probabilities("utterance", [confidence])
    if "word" in known:
        values = calibrator.probabilities("word", [word.confidence for word in words])
        pairs = zip(words, values, strict=True)
        words = [replace(word, confidence=value) for word, value in pairs]
    return Confidences(confidence, tuple(words), known)


def calibrator_beside(engine: Path) -> Path | None:
    """The calibrator that a model version holds beside its engine's folder, None without one."""
    path = engine.parent / FOLDER / CALIBRATOR
    return path if path.is_file() else None


@dataclass(frozen=True, slots=True)
class StoredCalibrator:
    """The calibrator that is kept with a model, and what it must be.

    Attributes:
        path: its file, None where there is none.
        sha256: digits that the file's sha256 begins with, as they were recorded apart from it;
            "" where nothing was recorded.
    """

    path: Path | None = None
    sha256: str = ""

    def verified(self) -> Path | None:
        """The file, None for a model that never had one.

        Raises:
            IntegrityError: the file is gone, or not the one that was recorded.
        """
        if not self.sha256:
            return self.path
        if self.path is None:
            why = "the file is gone"
        elif not (found := sha256_file(self.path)).startswith(self.sha256):
            why = f"{self.path} is {found[: len(self.sha256)]}"
        else:
            return self.path
        raise IntegrityError(
            f"The model was given the calibrator {self.sha256}, and {why}: its confidences would "
            "mean something else without a word. Restore the file, or run `voiceforge run` again, "
            "which attaches that of the current engine."
        )

    def read(self, engine_sha256: str) -> ModelCalibrator | None:
        """The calibrator for an engine, None for a model that never had one.

        Raises:
            StorageError: it is no JSON.
            IntegrityError: as `verified`; it is none, or one of another engine.
        """
        path = self.verified()
        return None if path is None else read_calibrator(path, engine_sha256)


def recorded_as(calibrator: Path) -> str:
    """What a calibrator is recorded by: the first 16 digits of its sha256."""
    return sha256_file(calibrator)[:16]


def read_calibrator(path: Path, engine_sha256: str) -> ModelCalibrator:
    """Read a calibrator for an engine.

    Raises:
        StorageError: it is missing or no JSON.
        IntegrityError: it is none, or one of another engine.
    """
    try:
        found = ModelCalibrator.from_dict(read_json(path))
    except ValueError as error:
        raise IntegrityError(
            f"{path} cannot be used. {error} Run `voiceforge run` again: it fits one anew."
        ) from error
    if found.engine_sha256 != engine_sha256:
        raise IntegrityError(
            f"{path} was fitted on the confidences of engine {found.engine_sha256[:12]}, and this "
            f"is engine {engine_sha256[:12]}, for which it means nothing. Run `voiceforge run` "
            "again: it fits the engine's own."
        )
    return found
