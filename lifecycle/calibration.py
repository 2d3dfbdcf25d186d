"""Stage calibration: what makes the engine's confidences probabilities, and whether it does.

The engine hears dev, which it was not trained on; calibrators of utterances and words are fitted on
that and judged on what the engine said of test. The test split has no part in the fit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lifecycle import engine as engines
from lifecycle import predictions, splits
from lifecycle.artifacts import Artifact
from lifecycle.replacements import normaliser_of, replacements_of
from lifecycle.workspace import Workspace
from voiceforge.files import write_json

if TYPE_CHECKING:
    from evaluation.model_calibrator import ModelCalibrator
    from evaluation.prediction import Prediction
    from evaluation.reports.confidence import ConfidenceReport
    from evaluation.slices import Scored

STAGE = "calibration"
VERSION = 2
REPORT = "reliability.json"


def make_calibration(workspace: Workspace) -> Artifact:
    """Fit the calibrators on dev and judge them on test."""
    from serving.engines import engine_sha256

    folder = engines.engine_folder(workspace.current(engines.STAGE))
    heard = predictions.make_dev_predictions(workspace)
    tested = workspace.current(predictions.STAGE)
    params, language = workspace.domain.evaluation, workspace.domain.language
    rules = normaliser_of(workspace)
    identity = engine_sha256(folder)

    def build(out: Path, _: Path) -> Mapping[str, Any]:
        from evaluation.model_calibrator import FittedOn, ModelCalibrator, audio_key, fit_level
        from evaluation.replacements import text_rules
        from evaluation.reports.confidence import evaluated_confidence, judge_levels
        from evaluation.slices import Resampling
        from evaluation.word_tokens import word_splitter
        from serving.confidence import CALIBRATOR

        said, split = predictions.read(heard), word_splitter(folder, language)
        normalise = text_rules(params.normaliser, language, replacements_of(workspace))
        rows = _scored(workspace, said, "dev")
        dev = judge_levels(said, rows, split, normalise)
        fitted_on = FittedOn(
            split="dev",
            sha256=heard.sha256,
            utterances=len(said),
            left_out={level: dict(of.left_out) for level, of in dev.items()},
            language=language,
            normaliser=rules,
            audio=tuple(sorted({audio_key(row.utterance.audio_sha256) for row in rows})),
        )
        utterance, word = (
            fit_level(dev.get(level), level, seed=params.seed) for level in ("utterance", "word")
        )
        calibrator = ModelCalibrator(identity, fitted_on, utterance, word)
        heard_of_test = predictions.read(tested)
        report = evaluated_confidence(
            heard_of_test,
            _scored(workspace, heard_of_test, "test"),
            split,
            normalise,
            calibrator=calibrator,
            language=language,
            resampling=Resampling(params.confidence, params.resamples, params.seed),
        )
        write_json(out / CALIBRATOR, calibrator.as_dict())
        write_json(out / REPORT, {} if report is None else asdict(report))
        return {"engine_sha256": identity, "levels": _rows(calibrator, report)}

    return workspace.make(
        STAGE,
        VERSION,
        {
            engines.STAGE: identity,
            predictions.DEV: heard.sha256,
            predictions.STAGE: tested.sha256,
            splits.STAGE: workspace.current(splits.STAGE).sha256,
            "normaliser": str(rules["sha256"]),
        },
        {
            "language": language,
            "confidence": params.confidence,
            "resamples": params.resamples,
            "seed": params.seed,
        },
        build,
    )


def calibrator_file(workspace: Workspace) -> Path:
    """The calibrator of the domain's current engine."""
    from serving.confidence import CALIBRATOR

    return workspace.current(STAGE).path / CALIBRATOR


def _scored(workspace: Workspace, said: Sequence[Prediction], side: str) -> tuple[Scored, ...]:
    from evaluation.slices import score

    return score(
        said,
        predictions.utterances_of(workspace, side),
        normaliser=workspace.domain.evaluation.normaliser,
        language=workspace.domain.language,
        replacements=replacements_of(workspace),
    )


def _rows(calibrator: ModelCalibrator, report: ConfidenceReport | None) -> list[dict[str, Any]]:
    """Each level as plain figures: what was fitted on dev, and the errors on test."""
    rows = []
    for level, one in calibrator.levels.items():
        own = one.calibrator
        row: dict[str, Any] = {
            "level": level,
            "calibrator": own.kind,
            "fitted": one.fitted,
            "unfitted": one.unfitted,
            "fitted_on": own.units,
            "fitted_on_errors": own.errors,
            "fitted_on_texts": own.clusters,
        }
        found = report.levels.get(level) if report else None
        if found is not None:
            raw = found.raw
            judged = found.calibrated.after if found.calibrated else raw
            row |= {
                "units": judged.units,
                "texts": judged.clusters,
                "accuracy": judged.accuracy,
                "ece_before": raw.ece,
                "ece_by_chance": raw.ece_by_chance[1],
                "left_out": sum(count for _, count in judged.left_out),
            }
        if found is not None and (after := found.calibrated) is not None:
            row["ece_after_by_chance"] = after.after.ece_by_chance[1]
            for figure, found_of in (("ece", after.ece), ("log_loss", after.log_loss)):
                for when, interval in found_of.items():
                    row |= {
                        f"{figure}_{when}": interval.value,
                        f"{figure}_{when}_low": interval.low,
                        f"{figure}_{when}_high": interval.high,
                    }
        rows.append(row)
    return rows
