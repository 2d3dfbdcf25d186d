"""Stage engine: the merged model in its serving precision, and the base model's beside it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from data.features import WINDOW_FRAMES
from data.utterance import Utterance
from lifecycle import merged_model, splits
from lifecycle.artifacts import Artifact
from lifecycle.base_model import base_model
from lifecycle.workspace import Workspace
from voiceforge.errors import StageError
from voiceforge.files import read_json, write_json

if TYPE_CHECKING:
    from evaluation.estimate import Estimate
    from serving.engines.contracts import EngineSpec

STAGE = "engine"
BASE = "base_engine"
VERSION = 1
_EXACT = "float32"
"""Precision that stands for the source model: it gives transformers' own transcripts (tests)."""


def make_engine(workspace: Workspace) -> Artifact:
    """Build the engine of the merged model and measure on dev what its precision costs."""
    from serving.engines import ctranslate2

    merged, table = workspace.current(merged_model.STAGE), workspace.current(splits.STAGE)
    digest = str(merged.summary["tensors_sha256"])
    trained = read_json(merged.path / "voiceforge.json")
    params, dev = workspace.domain.engine, workspace.domain.training.dev_utterances
    spec = _spec(workspace, int(trained["minimum_mel_frames"]))

    def build(folder: Path, scratch: Path) -> Mapping[str, Any]:
        clips = _dev_clips(splits.read_splits(workspace), dev)
        exact = scratch / _EXACT
        if not (exact / "engine.json").is_file():
            exact.mkdir(parents=True, exist_ok=True)
            ctranslate2.build(
                merged.path,
                exact,
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
        before = _word_error_rate(workspace, exact, clips)
        after = _word_error_rate(workspace, folder, clips)
        description = dataclasses.replace(description, wer_before=before, wer_after=after)
        write_json(folder / "engine.json", description.as_dict())
        return {
            "kind": spec.kind,
            "precision": spec.precision,
            "minimum_mel_frames": spec.minimum_mel_frames,
            "bytes": sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()),
            "word_error_rate_before": before.as_dict(),
            "word_error_rate_after": after.as_dict(),
        }

    return workspace.make(
        STAGE,
        VERSION,
        {merged_model.STAGE: digest, splits.STAGE: table.sha256},
        {**dataclasses.asdict(spec), "trailing_silence": params.trailing_silence, "dev": dev},
        build,
    )


def make_base_engine(workspace: Workspace) -> Artifact:
    """Build the base model's engine, same precision, padded to the 30 s that it knows."""
    from serving.engines import ctranslate2

    base = base_model(workspace)
    spec = _spec(workspace, WINDOW_FRAMES)

    def build(folder: Path, _: Path) -> Mapping[str, Any]:
        ctranslate2.build(base.path, folder, spec, source_sha256=base.sha256, trailing_silence=0.0)
        return {"kind": spec.kind, "precision": spec.precision}

    return workspace.make(
        BASE, VERSION, {"base_model": base.sha256}, dataclasses.asdict(spec), build
    )


def engine_loss(engine: Artifact) -> float:
    """Word error rate after quantization minus before, in points."""
    summary = engine.summary
    after, before = summary["word_error_rate_after"], summary["word_error_rate_before"]
    return 100.0 * (float(after["value"]) - float(before["value"]))


def _spec(workspace: Workspace, minimum_mel_frames: int) -> EngineSpec:
    from serving.engines.contracts import EngineSpec

    params = workspace.domain.engine
    return EngineSpec(
        kind=params.kind,
        precision=params.precision,
        minimum_mel_frames=minimum_mel_frames,
        language=workspace.domain.language,
    )


def _dev_clips(utterances: Sequence[Utterance], count: int) -> list[Utterance]:
    dev = [row for row in utterances if row.split == "dev"]
    if not dev:
        raise StageError("The corpus has no dev utterances, so that no engine can be checked.")
    return dev[:: max(1, len(dev) // count)][:count]


def _word_error_rate(workspace: Workspace, engine: Path, clips: Sequence[Utterance]) -> Estimate:
    from evaluation.reports.accuracy import word_error_rate
    from evaluation.runners import predict
    from serving.engines import load_engine

    params = workspace.domain.evaluation
    predictions = predict(
        load_engine(engine, threads=workspace.settings.threads),
        clips,
        workspace.corpus,
        batch_size=params.batch_size,
        progress=lambda done, total: workspace.report(STAGE, done, total, "checking on dev clips"),
    )
    return word_error_rate(
        predictions,
        clips,
        normaliser=params.normaliser,
        language=workspace.domain.language,
        confidence=params.confidence,
        resamples=params.resamples,
        seed=params.seed,
    )
