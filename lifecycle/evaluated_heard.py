"""What an evaluation refuses to score: utterances without sense, predictions of something else."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from voiceforge.errors import IntegrityError, UsageError

if TYPE_CHECKING:
    from data.utterance import Utterance
    from evaluation.prediction import Prediction
    from lifecycle.evaluated_speech import Speech


def check_rows(speech: Speech) -> None:
    """Refuse speech that cannot be scored.

    Raises:
        UsageError: two utterances have one id, or none has a reference.
    """
    seen = Counter(row.id for row in speech.rows)
    if twice := [name for name, count in seen.items() if count > 1]:
        raise UsageError(
            f"{speech.name} has {seen[twice[0]]} utterances with the id {twice[0]!r}"
            f"{f', and {len(twice) - 1} more such ids' if len(twice) > 1 else ''}. Give each its "
            "own."
        )
    if not any(row.text.strip() for row in speech.rows):
        raise UsageError(
            f"{speech.name} has no utterance with a reference to compare with{_rejected(speech)}."
        )


def check_language(speech: Speech, language: str) -> None:
    """Refuse speech that is not all in the language that it is to be heard in.

    A domain's own report does not ask this: what is said in it in other languages is heard and
    counted like the rest, as in its word error rates, and is a slice of its own.

    Raises:
        UsageError: some utterances are in another language.
    """
    others = Counter(row.language for row in speech.rows if row.language != language)
    if others:
        which = ", ".join(f"{count} in {name!r}" for name, count in sorted(others.items()))
        raise UsageError(
            f"{speech.name} is to be heard in {language!r}, and {others.total()} of its "
            f"{len(speech.rows)} utterances are in another language ({which}). Each language is "
            "heard and normalised by itself: say --language, or give each a table of its own."
        )


def check_engine(folder: Path, name: str, language: str) -> None:
    """Refuse an engine that could not hear the speech, before its recordings are decoded.

    Raises:
        IntegrityError: a file of it is missing or changed.
        UsageError: it knows English alone, and the speech is in another language.
    """
    from serving.engines.description import read_description, verify_files

    about = read_description(folder)
    verify_files(folder, about)
    if not about.multilingual and language != "en":
        raise UsageError(
            f"--language is {language!r}, and {name} knows English only. Name a model of that "
            "language or of many."
        )


def _rejected(speech: Speech) -> str:
    if not speech.rejects:
        return ""
    first = speech.rejects[0]
    return f"; {len(speech.rejects)} recordings could not be used, such as {first.detail}"


def read_heard(
    path: Path, utterances: Sequence[Utterance], *, whole: bool = True
) -> list[Prediction]:
    """The predictions of a model, of just these utterances.

    Args:
        whole: whether it must have heard all of them, as no baseline that is slow has.

    Raises:
        StorageError: there is no such file.
        IntegrityError: it is damaged, or does not belong to these utterances; names the first.
    """
    from evaluation.runners import read_predictions

    rows = read_predictions(path)
    references = {row.id: row.text for row in utterances}
    seen: set[str] = set()
    for row in rows:
        if problem := _problem(row, references, seen):
            raise _refused(path, problem)
        seen.add(row.utterance_id)
    if whole and (missing := sorted(references.keys() - seen)):
        raise _refused(
            path, f"{len(missing)} utterances have no prediction, such as {missing[0]!r}"
        )
    return rows


def _problem(row: Prediction, references: dict[str, str], seen: set[str]) -> str:
    """Why a prediction cannot be scored; "" where it can."""
    name = row.utterance_id
    if name in seen:
        return f"the utterance {name!r} has two predictions"
    if name not in references:
        return f"there is no utterance {name!r}"
    if row.reference != references[name]:
        return f"the reference of {name!r} is another than the utterance's text"
    for place, value in enumerate(row.token_logprobs):
        if not math.isfinite(value):
            return f"the log-probability of token {place} of {name!r} is {value}, which is none"
    return ""


def _refused(path: Path, problem: str) -> IntegrityError:
    return IntegrityError(
        f"{path}: {problem}. Another model or version wrote it, its engine is broken, or it was "
        "changed by hand. Remove it and evaluate again: it is heard anew."
    )
