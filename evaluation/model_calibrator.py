"""What is stored with a model to turn its confidences into probabilities: `calibrator.json`.

It holds a calibrator of whole utterances and one of words, and names the engine whose confidences
they were fitted on: for those of another they mean nothing. Where the speech did not suffice to fit
one, or to show that any is better than none, the identity is stored with the reason, so that nobody
takes such a confidence for a probability.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from data.features import HEARD_WHOLE
from evaluation.calibrator import Calibrator, fit_calibrator
from evaluation.confidence import Judged, Level

SCHEMA = 1
"""Version of calibrator.json."""

LEVELS: tuple[Level, ...] = ("utterance", "word")

LEAST_OUTCOMES = 10
"""Right and wrong units that a fit needs, of either: ten events for a parameter (Peduzzi et al.
1996, "A simulation study of the number of events per variable in logistic regression analysis")."""

LEAST_TEXTS = 20
"""Texts that a fit needs: with fewer, folds of whole texts hold too little to choose by."""


@dataclass(frozen=True, slots=True)
class LevelCalibrator:
    """The calibrator of utterances or of words.

    Attributes:
        calibrator: the identity where none could be fitted, or none was shown to be better.
        unfitted: why it is the identity, in words; "" for any other.
    """

    calibrator: Calibrator
    unfitted: str

    @property
    def fitted(self) -> bool:
        return not self.unfitted


@dataclass(frozen=True, slots=True)
class FittedOn:
    """The speech that calibrators were fitted on.

    Attributes:
        split: which the model was not trained on, nor is judged on.
        sha256: hash of the predictions.
        utterances: how many were heard.
        left_out: how many of them could not be judged, by level and reason.
        language: ISO 639-1 code.
        normaliser: name, version and sha256 of the rules by which words are right or wrong.
        audio: keys of the recordings (`audio_key`); None in files that are older than this field.
    """

    split: str
    sha256: str
    utterances: int
    left_out: Mapping[Level, Mapping[str, int]]
    language: str
    normaliser: Mapping[str, str]
    audio: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class ModelCalibrator:
    """The content of `calibrator.json`.

    Attributes:
        engine_sha256: of the engine whose confidences it is for.
    """

    engine_sha256: str
    fitted_on: FittedOn
    utterance: LevelCalibrator
    word: LevelCalibrator

    @property
    def levels(self) -> Mapping[Level, LevelCalibrator]:
        return {"utterance": self.utterance, "word": self.word}

    @property
    def fitted(self) -> tuple[Level, ...]:
        """Whose confidences it makes probabilities."""
        return tuple(level for level, one in self.levels.items() if one.fitted)

    def unfit(self, level: Level, seconds: float, language: str) -> str:
        """Why a confidence stays as it is, in words; "" where the calibrator is for it.

        The calibrator of utterances says whether a text has no wrong word at all. It was fitted on
        clips that an engine hears in one piece and says nothing about longer recordings; words are
        words at any length.

        Args:
            level: of the confidence.
            seconds: of audio that the text is of.
            language: ISO 639-1 code that it was heard in.
        """
        if not self.levels[level].fitted:
            return self.levels[level].unfitted
        if language != self.fitted_on.language:
            return f"it was fitted on speech in {self.fitted_on.language!r}, not in {language!r}"
        if level == "utterance" and seconds > HEARD_WHOLE:
            return f"longer than the {HEARD_WHOLE:g} s that are heard in one piece"
        return ""

    def probabilities(self, level: Level, confidences: Sequence[float]) -> list[float]:
        """Probabilities of being right from the means of tokens' probabilities, all 0..1.

        Where no calibrator could be fitted they are what was given.

        Raises:
            ValueError: a confidence is not between 0 and 1.
        """
        found: list[float] = self.levels[level].calibrator.apply(confidences).tolist()
        return found

    def as_dict(self) -> dict[str, Any]:
        """As JSON can hold it."""
        levels: dict[str, Any] = {
            level: {
                "fitted": one.fitted,
                "unfitted": one.unfitted,
                "calibrator": one.calibrator.as_dict(),
            }
            for level, one in self.levels.items()
        }
        return {
            "schema": SCHEMA,
            "engine_sha256": self.engine_sha256,
            "fitted_on": asdict(self.fitted_on),
            **levels,
        }

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> ModelCalibrator:
        """Read `as_dict`'s form, also after JSON.

        Raises:
            ValueError: another schema, or not the fields or values of a model's calibrators.
        """
        if not isinstance(fields, Mapping):
            raise ValueError(f"It holds no calibrators of a model: it is {fields!r:.40}.")
        if fields.get("schema") != SCHEMA:
            raise ValueError(
                f"It has the schema {fields.get('schema')!r}, and this program reads {SCHEMA}."
            )
        try:
            levels = {level: _level(level, fields[level]) for level in LEVELS}
            return cls(
                engine_sha256=str(fields["engine_sha256"]),
                fitted_on=_fitted_on(fields["fitted_on"]),
                **levels,
            )
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(
                f"It holds no calibrators of a model: {type(error).__name__} {error}."
            ) from error


def fit_level(of: Judged | None, level: Level, *, seed: int) -> LevelCalibrator:
    """Fit the calibrator of a level, or say why the speech does not suffice.

    Which kind is chosen on held-out folds of whole texts (`evaluation.calibrator.fit_calibrator`).

    Args:
        of: judged utterances or words; None where the engine does not tell what they are.
        seed: of the folds.
    """
    found = of if of is not None else Judged(np.empty(0), np.empty(0, bool), np.empty(0, int))
    wrong, texts = found.errors, len(np.unique(found.clusters))
    if problem := _too_little(found, level, texts):
        identity = Calibrator(
            "identity", level, "mean", (), (), len(found), wrong, texts, held_out={}
        )
        return LevelCalibrator(identity, problem)
    chosen = fit_calibrator(found, level, seed=seed)
    if chosen.kind != "identity":
        return LevelCalibrator(chosen, "")
    return LevelCalibrator(
        chosen,
        f"on {len(found):,} {level}s of {texts} texts, {wrong} of them wrong, none was shown to be "
        "better than the confidence as it is",
    )


def _too_little(of: Judged, level: Level, texts: int) -> str:
    if not len(of):
        return f"no {level} could be judged"
    least = min(of.errors, len(of) - of.errors)
    if least >= LEAST_OUTCOMES and texts >= LEAST_TEXTS:
        return ""
    return (
        f"of {len(of):,} {level}s of {texts} texts {of.errors} are wrong, and at least "
        f"{LEAST_OUTCOMES} that are wrong, {LEAST_OUTCOMES} that are right and {LEAST_TEXTS} texts "
        "are needed"
    )


def audio_key(sha256: str) -> str:
    """What a calibrator remembers a recording by, from the hash of its FLAC file."""
    return sha256[:16]


def _fitted_on(fields: Mapping[str, Any]) -> FittedOn:
    audio = fields.get("audio")
    return FittedOn(**{**fields, "audio": None if audio is None else tuple(map(str, audio))})


def _level(level: Level, fields: Mapping[str, Any]) -> LevelCalibrator:
    found = Calibrator.from_dict(fields["calibrator"])
    if found.level != level or found.pooling != "mean":
        raise ValueError(
            f"The calibrator of a {level} is one of a {found.level}, pooled by {found.pooling}."
        )
    unfitted = str(fields["unfitted"])
    if bool(unfitted) != (found.kind == "identity"):
        raise ValueError(f"The calibrator of a {level} is {found.kind}, and is said not to be.")
    return LevelCalibrator(found, unfitted)
