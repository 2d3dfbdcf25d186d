"""What the folder of an evaluation says: report.json for programs, report.html for people."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from lifecycle.evaluate import BASELINE, CANDIDATE, Evaluated
from voiceforge.errors import UsageError
from voiceforge.files import write_json, write_text

if TYPE_CHECKING:
    from evaluation.comparison import Comparison
    from evaluation.reports.accent import AccentReport
    from evaluation.reports.accuracy import AccuracyReport

JSON, PAGE = "report.json", "report.html"
SCHEMA = 1
"""Version of report.json."""

Answer = Literal["better", "worse", "cannot tell"]


@dataclass(frozen=True)
class Report:
    """What was written.

    Attributes:
        answer: of the comparison with the baseline over everything; None without a baseline.
        unheard: utterances without a reference, which no rate counts.
    """

    folder: Path
    accuracy: AccuracyReport
    accents: AccentReport
    answer: Answer | None
    unheard: int


def write_report(
    evaluated: Evaluated,
    out: Path,
    *,
    confidence: float = 0.95,
    resamples: int = 2000,
    seed: int = 20,
    minimum_words: int = 200,
) -> Report:
    """Derive the report from predictions and write it; equal predictions give equal files.

    Args:
        minimum_words: of an accent that is judged; smaller ones are shown as too small.

    Raises:
        UsageError: nothing can be scored.
    """
    from evaluation.reports.accent import accent_report
    from evaluation.reports.accuracy import accuracy_report
    from evaluation.reports.page import render_report

    described, (name, other) = evaluated.described, evaluated.names
    ours, theirs = (evaluated.predictions.get(role, ()) for role in (CANDIDATE, BASELINE))
    shared: dict[str, Any] = {
        "candidate_name": name,
        "baseline_name": other,
        "normaliser": described["normaliser"]["name"],
        "language": described["speech"]["language"],
        "confidence": confidence,
        "resamples": resamples,
        "seed": seed,
    }
    try:
        accuracy = accuracy_report(ours, theirs, evaluated.utterances, **shared)
    except ValueError as error:
        raise UsageError(f"{evaluated.folder}: {error}") from error
    accents = accent_report(
        ours, theirs, evaluated.utterances, **shared, minimum_words=minimum_words
    )
    answer = _answer(accuracy.overall.comparison)
    fields: Mapping[str, Any] = {
        "schema": SCHEMA,
        "evaluation": described,
        "confidence": confidence,
        "resamples": resamples,
        "seed": seed,
        "answer": answer,
        "accuracy": accuracy.as_dict(),
        "accents": accents.as_dict(),
    }
    write_json(out / JSON, fields)
    write_text(out / PAGE, render_report(accuracy, accents, None))
    unheard = sum(not row.reference.strip() for row in ours)
    return Report(out, accuracy, accents, answer, unheard)


def _answer(compared: Comparison | None) -> Answer | None:
    """By the interval of the difference in word error rate: whether it lies on one side of 0."""
    if compared is None:
        return None
    if compared.difference.high < 0:
        return "better"
    return "worse" if compared.difference.low > 0 else "cannot tell"
