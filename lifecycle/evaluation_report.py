"""What the folder of an evaluation says: report.json for programs, report.html for people."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lifecycle.evaluated import BASELINE, CANDIDATE, Evaluated
from lifecycle.evaluated_speech import GENERAL
from lifecycle.evaluated_texts import Texts
from lifecycle.evaluation_speed import latency_of, streaming_of
from lifecycle.trained_on import warnings_of
from voiceforge.errors import UsageError
from voiceforge.files import write_json, write_text

if TYPE_CHECKING:
    from evaluation.reports.evaluation import EvaluationReport
    from evaluation.reports.robustness import Robustness
    from evaluation.slices import Resampling

JSON, PAGE = "report.json", "report.html"
SCHEMA = 1
"""Version of report.json."""
_DIGITS = 8
"""Of a sha256 that tells two engines apart."""


@dataclass(frozen=True)
class Written:
    """A report.

    Attributes:
        folder: that it was written to.
        margin: the smallest difference that matters, a fraction of words.
        warnings: sentences on why its figures may mislead.
    """

    folder: Path
    report: EvaluationReport
    margin: float
    warnings: Sequence[str] = ()


def write_report(
    evaluated: Evaluated,
    out: Path,
    *,
    confidence: float = 0.95,
    resamples: int = 10_000,
    seed: int = 20,
    margin: float | None = None,
) -> Written:
    """Derive the report from predictions and write it; equal predictions give equal files.

    Args:
        margin: the smallest difference that matters, a fraction of words; by default that of
            `evaluation.scanned.Question`.

    Raises:
        UsageError: nothing can be scored.
    """
    from evaluation.reports.evaluation import evaluation_report
    from evaluation.reports.evaluation_page import About, render_evaluation
    from evaluation.scanned import Question
    from evaluation.slices import Resampling
    from evaluation.text import normaliser_identity
    from lifecycle.evaluated_confidence import calibrator_of, read_words

    described, resampling = evaluated.described, Resampling(confidence, resamples, seed)
    question = Question() if margin is None else Question(margin=margin)
    texts, titles = Texts.of(described), model_titles(evaluated)
    try:
        report = evaluation_report(
            evaluated.predictions[CANDIDATE],
            evaluated.predictions.get(BASELINE),
            evaluated.utterances,
            names=(titles[CANDIDATE], titles.get(BASELINE, "")),
            normaliser=normaliser_identity(texts.normaliser),
            language=described["speech"]["language"],
            resampling=resampling,
            snr=evaluated.snr,
            question=question,
            robustness=_robustness(evaluated, texts, titles, resampling),
            latency=latency_of(evaluated, titles),
            streaming=streaming_of(evaluated, texts, titles, resampling),
            replacements=texts.replacements,
            terms=texts.terms,
            terms_from=texts.terms_from,
            is_general=str(described["speech"]["name"]).startswith(GENERAL),
            words=read_words(evaluated.folder),
            calibrator=calibrator_of(described),
        )
    except ValueError as error:
        raise UsageError(f"{evaluated.folder}: {error}") from error
    fields = {
        "schema": SCHEMA,
        "evaluation": described,
        "confidence": confidence,
        "resamples": resamples,
        "seed": seed,
        "margin": question.margin,
        **report.as_dict(),
    }
    write_json(out / JSON, finite(fields))
    speech, warnings = described["speech"], list(warnings_of(described))
    about = About(
        speech=str(speech["name"]),
        rejected=[(one["where"], one["detail"]) for one in speech["rejected"]],
        facts={
            "speech": f"{speech['utterances']:,} utterances, sha256 {speech['sha256'][:16]}",
            **{
                role: f"{model['name']}, engine {_engine(model)}"
                for role, model in described["models"].items()
            },
            **_compared(described),
            "intervals": f"{100 * confidence:g}%, {resamples:,} resamples, seed {seed}",
        },
        margin=question.margin,
        forced=described.get("forced", ()),
        warnings=warnings,
    )
    corpus = evaluated.corpus
    addresses = {
        one.utterance_id: Path(os.path.relpath(corpus / one.audio, out)).as_posix()
        for one in report.listed
        if (corpus / one.audio).is_file()
    }
    write_text(out / PAGE, render_evaluation(report, about, addresses))
    return Written(out, report, question.margin, warnings)


def _compared(described: Mapping[str, Any]) -> dict[str, str]:
    """What `voiceforge compare` left out."""
    found = described.get("compared")
    if not found or found["utterances"] == max(found["of_candidate"], found["of_baseline"]):
        return {}
    return {
        "compared": f"{found['utterances']:,} utterances of the same id and reference, of "
        f"{found['of_candidate']:,} and {found['of_baseline']:,} heard"
    }


def model_titles(evaluated: Evaluated) -> dict[str, str]:
    """What tables call each model, by role: with its engine where two models have two kinds or
    precisions, and where two of one name have not, with the first digits of its sha256."""
    models = evaluated.described["models"]
    titles = {role: short(model["name"]) for role, model in models.items()}
    marks = {role: model.get("engine") for role, model in models.items()}
    differ = None not in marks.values() and len(set(marks.values())) == len(marks)
    if len(set(titles.values())) == len(titles) and not (differ and len(models) > 1):
        return titles
    if not differ:
        marks = {role: str(model["engine_sha256"])[:_DIGITS] for role, model in models.items()}
    if len(set(marks.values())) < len(marks):
        return titles  # one model twice
    return {role: f"{name}, {marks[role]}" for role, name in titles.items()}


def _engine(model: Mapping[str, Any]) -> str:
    """Such as "ctranslate2:int8, sha256 0123456789abcdef"."""
    named = f"{model['engine']}, " if "engine" in model else ""  # older folders do not say
    return f"{named}sha256 {model['engine_sha256'][:16]}"


def _robustness(
    evaluated: Evaluated, texts: Texts, titles: Mapping[str, str], resampling: Resampling
) -> list[Robustness]:
    """Of each model that heard the conditions."""
    from evaluation.reports.robustness import robustness
    from lifecycle.evaluated_conditions import read_conditions

    found = []
    for role, title in titles.items():
        heard, quiet = read_conditions(evaluated.conditions[role])
        # Of two evaluations that are compared by force, each heard some utterances of its own.
        known = {row.utterance_id for row in evaluated.predictions[role]}
        shared = {
            condition: [row for row in rows if row.utterance_id in known]
            for condition, rows in heard.items()
        }
        conditions = {condition: rows for condition, rows in shared.items() if rows}
        if conditions:
            found.append(
                robustness(
                    title,
                    evaluated.predictions[role],
                    conditions,
                    quiet,
                    evaluated.utterances,
                    normaliser=texts.normaliser,
                    language=evaluated.described["speech"]["language"],
                    resampling=resampling,
                    replacements=texts.replacements,
                )
            )
    return found


def short(name: str) -> str:
    """A model as tables call it: of a folder's path the last parts."""
    if "://" in name or ":/" in name or os.sep not in name:
        return name
    return "/".join(Path(name).parts[-2:])


def finite(value: Any) -> Any:
    """JSON knows no infinity: null is "no bound", as the schema says."""
    if isinstance(value, dict):
        return {key: finite(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [finite(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
