"""What the folder of an evaluation says: report.json for programs, report.html for people."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lifecycle.evaluate import BASELINE, CANDIDATE, Evaluated
from voiceforge.errors import UsageError
from voiceforge.files import write_json, write_text

if TYPE_CHECKING:
    from evaluation.reports.evaluation import EvaluationReport
    from evaluation.reports.robustness import Robustness
    from evaluation.slices import Resampling

JSON, PAGE = "report.json", "report.html"
SCHEMA = 1
"""Version of report.json."""


@dataclass(frozen=True)
class Written:
    """A report and the folder that it was written to."""

    folder: Path
    report: EvaluationReport


def write_report(
    evaluated: Evaluated,
    out: Path,
    *,
    confidence: float = 0.95,
    resamples: int = 10_000,
    seed: int = 20,
) -> Written:
    """Derive the report from predictions and write it; equal predictions give equal files.

    Raises:
        UsageError: nothing can be scored.
    """
    from evaluation.reports.evaluation import evaluation_report
    from evaluation.reports.evaluation_page import About, render_evaluation
    from evaluation.slices import Resampling

    described, resampling = evaluated.described, Resampling(confidence, resamples, seed)
    try:
        report = evaluation_report(
            evaluated.predictions[CANDIDATE],
            evaluated.predictions.get(BASELINE),
            evaluated.utterances,
            names=(_short(evaluated.names[0]), _short(evaluated.names[1])),
            normaliser=described["normaliser"],
            language=described["speech"]["language"],
            resampling=resampling,
            snr=evaluated.snr,
            robustness=_robustness(evaluated, resampling),
        )
    except ValueError as error:
        raise UsageError(f"{evaluated.folder}: {error}") from error
    fields = {
        "schema": SCHEMA,
        "evaluation": described,
        "confidence": confidence,
        "resamples": resamples,
        "seed": seed,
        **report.as_dict(),
    }
    write_json(out / JSON, _finite(fields))
    speech = described["speech"]
    about = About(
        speech=str(speech["name"]),
        rejected=[(one["where"], one["detail"]) for one in speech["rejected"]],
        facts={
            "speech": f"{speech['utterances']:,} utterances, sha256 {speech['sha256'][:16]}",
            **{
                role: f"{model['name']}, engine sha256 {model['engine_sha256'][:16]}"
                for role, model in described["models"].items()
            },
            "intervals": f"{100 * confidence:g}%, {resamples:,} resamples, seed {seed}",
        },
    )
    corpus = evaluated.corpus
    addresses = {
        one.utterance_id: Path(os.path.relpath(corpus / one.audio, out)).as_posix()
        for one in report.listed
        if (corpus / one.audio).is_file()
    }
    write_text(out / PAGE, render_evaluation(report, about, addresses))
    return Written(out, report)


def _robustness(evaluated: Evaluated, resampling: Resampling) -> list[Robustness]:
    """Of each model that heard the conditions."""
    from evaluation.reports.robustness import robustness
    from lifecycle.evaluated_conditions import read_conditions

    found = []
    for role, name in zip((CANDIDATE, BASELINE), evaluated.names, strict=True):
        if role not in evaluated.conditions:
            continue
        conditions, quiet = read_conditions(evaluated.conditions[role])
        if conditions:
            found.append(
                robustness(
                    _short(name),
                    evaluated.predictions[role],
                    conditions,
                    quiet,
                    evaluated.utterances,
                    normaliser=evaluated.described["normaliser"]["name"],
                    language=evaluated.described["speech"]["language"],
                    resampling=resampling,
                )
            )
    return found


def _short(name: str) -> str:
    """A model as tables call it: of a folder's path the last parts."""
    if "://" in name or ":/" in name or os.sep not in name:
        return name
    return "/".join(Path(name).parts[-2:])


def _finite(value: Any) -> Any:
    """JSON knows no infinity: null is "no bound", as the schema says."""
    if isinstance(value, dict):
        return {key: _finite(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
