"""Stages forgetting and robustness report: what takes too long for every run, made when asked for.

Both are `voiceforge evaluate` of the domain's engine beside its base model: on general readings of
its language, which show what the fine-tuning cost elsewhere, and on held-out utterances under test
conditions. Neither decides a promotion. What was heard outlives a kill.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lifecycle import calibration, predictions, signal_to_noise, splits
from lifecycle import engine as engines
from lifecycle.artifacts import Artifact
from lifecycle.domain_evaluation import asked, evaluate_domain, report, statistics, summary
from lifecycle.evaluated import BASELINE, CANDIDATE, SNR, Evaluated
from lifecycle.evaluated_speech import GENERAL
from lifecycle.heard import PREDICTIONS
from lifecycle.workspace import Workspace
from voiceforge.files import link_file

if TYPE_CHECKING:
    from evaluation.prediction import Prediction
    from lifecycle.evaluation_report import Written

FORGETTING, ROBUSTNESS = "forgetting_report", "robustness_report"
VERSION = 1


def make_forgetting_report(workspace: Workspace) -> Artifact:
    """Both models on readings by people in the domain's language.

    Raises:
        UsageError: there are none in it.
        SourceError: they cannot be had.
    """
    speech = f"{GENERAL}{workspace.domain.language}"

    def build(folder: Path, scratch: Path) -> Mapping[str, Any]:
        wanted = replace(asked(workspace), speech=speech, sampled=False)
        evaluated = evaluate_domain(workspace, FORGETTING, wanted, scratch)
        return summary(_report(workspace, evaluated, folder))

    return workspace.make(
        FORGETTING,
        VERSION,
        _engines(workspace),
        {**statistics(workspace), "speech": speech},
        build,
    )


def make_robustness_report(workspace: Workspace) -> Artifact:
    """Both models on utterances with noise, clipping and telephony, and where nobody speaks.

    Raises:
        SourceError: the music of sounds without speech cannot be had.
    """
    tables = {
        stage: workspace.current(stage).sha256
        for stage in (splits.STAGE, predictions.STAGE, predictions.BASE)
    }
    ratios = signal_to_noise.make_signal_to_noise(workspace)

    def build(folder: Path, scratch: Path) -> Mapping[str, Any]:
        wanted = asked(workspace, robustness=True)
        link_file(ratios.path / SNR, scratch / SNR)
        _lay_predictions(workspace, scratch)
        evaluated = evaluate_domain(workspace, ROBUSTNESS, wanted, scratch)
        written = _report(workspace, evaluated, folder)
        return {**summary(written), "conditions": _conditions(written)}

    return workspace.make(
        ROBUSTNESS, VERSION, {**_engines(workspace), **tables}, statistics(workspace), build
    )


def _engines(workspace: Workspace) -> dict[str, str]:
    from serving.engines import engine_sha256

    return {
        stage: engine_sha256(engines.engine_folder(workspace.current(stage)))
        for stage in (engines.STAGE, engines.BASE)
    } | {calibration.STAGE: workspace.current(calibration.STAGE).sha256}


def _report(workspace: Workspace, evaluated: Evaluated, folder: Path) -> Written:
    """What was heard, with its report, in the artifact's folder."""
    from lifecycle.evaluated import read

    shutil.copytree(
        evaluated.folder, folder, dirs_exist_ok=True,
        copy_function=lambda source, target: link_file(Path(source), Path(target)),
    )  # fmt: skip
    return report(workspace, read(folder), folder)


def _lay_predictions(workspace: Workspace, out: Path) -> None:
    """What both engines said of test already, as predictions of this evaluation.

    The base model heard a sample of test: it hears what else is heard under conditions.
    """
    from evaluation.runners import write_predictions

    for role, stage in ((CANDIDATE, predictions.STAGE), (BASELINE, predictions.BASE)):
        table = out / PREDICTIONS / f"{role}.parquet"
        if not table.is_file():
            known = predictions.read(workspace.current(stage))
            more = _hear_missing(workspace, known) if role == BASELINE else []
            write_predictions(table, [*known, *more])


def _hear_missing(workspace: Workspace, known: list[Prediction]) -> list[Prediction]:
    from evaluation.runners import predict
    from lifecycle.evaluated_conditions import chosen
    from serving.engines import load_engine

    there = {row.utterance_id for row in known}
    wanted = chosen(predictions.test_utterances(workspace))
    return predict(
        load_engine(
            engines.engine_folder(workspace.current(engines.BASE)),
            threads=workspace.settings.threads,
        ),
        [row for row in wanted if row.id not in there],
        workspace.corpus,
        batch_size=workspace.domain.evaluation.batch_size,
        progress=lambda done, total: workspace.report(ROBUSTNESS, done, total, "base model"),
    )


def _conditions(written: Written) -> list[dict[str, Any]]:
    """Each condition as plain figures: word error rates of both models, fractions."""
    rows: dict[str, dict[str, Any]] = {}
    for role, model in zip((CANDIDATE, BASELINE), written.report.robustness, strict=False):
        for point in model.curve:
            row = rows.setdefault(point.condition.title, {"condition": point.condition.title})
            row |= {
                role: point.word_error_rate.value,
                f"{role}_lost": point.loss.value,
                "utterances": point.utterances,
            }
        for kind, found in model.invented.items():
            row = rows.setdefault(f"no speech, {kind}", {"condition": f"no speech, {kind}"})
            rate = found.words_per_minute
            row[f"{role}_words_per_minute"] = None if rate is None else rate.value
    return list(rows.values())
