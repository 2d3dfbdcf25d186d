"""Stage engine: the merged model in its serving precision."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from data.utterance import Utterance
from lifecycle import base_engine, merged_model, splits
from lifecycle.artifacts import Artifact
from lifecycle.base_engine import engine_folder as engine_folder
from lifecycle.base_engine import engine_folder_in, engine_spec
from lifecycle.nemo import refuse_nemo
from lifecycle.replacements import normaliser_of, replacements_of
from lifecycle.workspace import Workspace
from voiceforge.errors import StageError
from voiceforge.files import read_json, write_json

if TYPE_CHECKING:
    from evaluation.comparison import Comparison
    from evaluation.estimate import Estimate
    from evaluation.prediction import Prediction

STAGE = "engine"
BASE = base_engine.STAGE
VERSION = 1
_EXACT = "float32"
"""Precision that stands for the source model: it gives transformers' own transcripts (tests)."""


def make_engine(workspace: Workspace) -> Artifact:
    """Build the engine of the merged model and measure on dev what its precision costs."""
    from lifecycle import predictions  # which are of engines
    from serving.engines import ctranslate2
    from training.merging import DESCRIPTION

    refuse_nemo(workspace, "The engine of the merged model")
    merged, table = workspace.current(merged_model.STAGE), workspace.current(splits.STAGE)
    digest = str(merged.summary["tensors_sha256"])
    trained = read_json(merged.path / DESCRIPTION)
    params = workspace.domain.engine
    spec = engine_spec(workspace, int(trained["minimum_mel_frames"]))

    def build(folder: Path, scratch: Path) -> Mapping[str, Any]:
        folder = _new(engine_folder_in(folder))
        clips = _dev_clips(splits.read_splits(workspace))
        exact = scratch / _EXACT
        if not (exact / "engine.json").is_file():
            ctranslate2.build(
                merged.path,
                _new(exact),
                dataclasses.replace(spec, precision=_EXACT),
                source_sha256=digest,
                trailing_silence=params.trailing_silence,
            )
        description = ctranslate2.build(
            merged.path,
            folder,
            spec,
            source_sha256=digest,
            trailing_silence=params.trailing_silence,
        )
        said = _predict(workspace, folder, clips)
        compared = _compare(workspace, said, _predict(workspace, exact, clips), clips)
        before, after = compared.baseline, compared.candidate
        description = dataclasses.replace(description, wer_before=before, wer_after=after)
        write_json(folder / "engine.json", description.as_dict())
        predictions.leave_dev_predictions(workspace, folder, said)
        return {
            "kind": spec.kind,
            "precision": spec.precision,
            "minimum_mel_frames": spec.minimum_mel_frames,
            "bytes": sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()),
            "word_error_rate_before": before.as_dict(),
            "word_error_rate_after": after.as_dict(),
            "loss": compared.difference.as_dict(),
        }

    return workspace.make(
        STAGE,
        VERSION,
        {merged_model.STAGE: digest, splits.STAGE: table.sha256},
        {
            **dataclasses.asdict(spec),
            "trailing_silence": params.trailing_silence,
            **statistics(workspace),
        },
        build,
    )


def statistics(workspace: Workspace) -> dict[str, Any]:
    """What word error rates and their intervals depend on, besides the speech and the engine."""
    from serving.engines.contracts import DECODING_VERSION

    params = workspace.domain.evaluation
    replaced = replacements_of(workspace)
    return {
        "decoding": DECODING_VERSION,
        "normaliser": params.normaliser,
        **({"replacements": normaliser_of(workspace)["sha256"]} if replaced else {}),
        "confidence": params.confidence,
        "resamples": params.resamples,
        "seed": params.seed,
    }


def engine_loss(engine: Artifact) -> Estimate:
    """Word error rate after quantization minus before, on the same dev clips, as a fraction."""
    from evaluation.estimate import Estimate

    return Estimate.from_dict(dict(engine.summary["loss"]))


def engine_verdict(workspace: Workspace, engine: Artifact) -> tuple[bool, str]:
    """Whether the engine may go on, and why.

    Dev is small, so that only a loss whose whole interval lies above `engine.margin` stops it.
    """
    loss, margin = engine_loss(engine), workspace.domain.engine.margin
    sentence = (
        f"{engine.summary['precision']} costs {100 * loss.value:+.2f} points "
        f"[{100 * loss.low:+.2f}, {100 * loss.high:+.2f}] of word error rate against float32 on "
        f"{loss.words:,} dev words; at most {margin:+g} is allowed."
    )
    return 100 * loss.low <= margin, sentence


def _new(folder: Path) -> Path:
    """An empty folder; what a killed build left in it is removed."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def _dev_clips(utterances: Sequence[Utterance]) -> list[Utterance]:
    dev = [row for row in utterances if row.split == "dev"]
    if not dev:
        raise StageError("The corpus has no dev utterances, so that no engine can be checked.")
    return dev


def _predict(workspace: Workspace, engine: Path, clips: Sequence[Utterance]) -> list[Prediction]:
    from evaluation.runners import predict
    from serving.engines import load_engine

    return predict(
        load_engine(engine, threads=workspace.settings.threads),
        clips,
        workspace.corpus,
        batch_size=workspace.domain.evaluation.batch_size,
        progress=lambda done, total: workspace.report(STAGE, done, total, "checking on dev clips"),
    )


def _compare(
    workspace: Workspace,
    after: Sequence[Prediction],
    before: Sequence[Prediction],
    clips: Sequence[Utterance],
) -> Comparison:
    """What the engine said of dev against what the exact one said."""
    from evaluation.reports.accuracy import accuracy_report

    params = workspace.domain.evaluation
    report = accuracy_report(
        after,
        before,
        clips,
        candidate_name=workspace.domain.engine.precision,
        baseline_name=_EXACT,
        normaliser=params.normaliser,
        language=workspace.domain.language,
        confidence=params.confidence,
        resamples=params.resamples,
        seed=params.seed,
        replacements=replacements_of(workspace),
    )
    if report.overall.comparison is None:
        raise StageError("The dev clips have no words, so that no engine can be checked.")
    return report.overall.comparison
