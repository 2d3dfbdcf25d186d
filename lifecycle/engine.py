"""Stage engine: the merged model as what serves it, chosen among the engines of params.yaml."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Callable, Collection, Mapping, Sequence
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
from voiceforge.errors import StageError, UsageError
from voiceforge.files import read_json, write_json

if TYPE_CHECKING:
    from evaluation.comparison import Comparison
    from evaluation.estimate import Estimate
    from evaluation.prediction import Prediction
    from serving.engines.contracts import EngineDescription, Samples
    from serving.engines.offered import EngineName

STAGE, CHOICE = "engine", "engine_choice"
BASE = base_engine.STAGE
VERSION = 1
_CALIBRATION, _LONGEST = 64, 15.0
"""Clips that a precision is fitted to, and seconds that one may last."""
_EXACT = "float32"
"""Precision that stands for the source model: it gives transformers' own transcripts (tests)."""


def make_engine(workspace: Workspace) -> Artifact:
    """Build the engines of the merged model, measure on dev what their precision costs, choose.

    Raises:
        UsageError: this machine cannot run the engine that params.yaml names first.
        StageError: there is nothing to check it with, or the model is of NeMo.
    """
    from lifecycle.engine_choice import make_choice
    from serving.engines.offered import parse_engine, probe

    refuse_nemo(workspace, "The engine of the merged model")
    exactly: list[Sequence[Prediction]] = []

    def heard_exactly(folder: Path) -> Sequence[Prediction]:
        """Once for all engines, and not at all where they are there."""
        if not exactly:
            exactly.append(_heard_exactly(workspace, folder))
        return exactly[0]

    names = [parse_engine(name) for name in workspace.domain.engine.names]
    _check_available(names[0])
    if len(names) == 1:
        _forget_others(workspace, ())
        return _make(workspace, names[0], heard_exactly, STAGE)
    able = [name for name in names if not probe(name.kind).problem]
    pointers = {name: f"{STAGE}-{name.kind}-{name.precision}" for name in able}
    built = {
        str(name): _make(workspace, name, heard_exactly, pointer)
        for name, pointer in pointers.items()
    }
    chosen = built[make_choice(workspace, built).chosen]
    _forget_others(workspace, (CHOICE, *pointers.values()))
    return workspace.keep(STAGE, chosen)


def _check_available(engine: EngineName) -> None:
    """Refuse a first engine that this machine cannot run: the base model is built as it, too."""
    from serving.engines.offered import probe

    if problem := probe(engine.kind).problem:
        raise UsageError(
            f"engine.kind of params.yaml is {engine.kind}, which is not available here: {problem}. "
            "Install it, or name another: `voiceforge engine list` shows what there is."
        )


def _forget_others(workspace: Workspace, kept: Collection[str]) -> None:
    """Engines that params.yaml names no more are left to `voiceforge gc`."""
    store, domain = workspace.store, workspace.domain.name
    for name in store.pointers(domain):
        if name.startswith((f"{STAGE}-", CHOICE)) and name not in kept:
            store.forget(domain, name)


def _make(
    workspace: Workspace,
    name: EngineName,
    heard_exactly: Callable[[Path], Sequence[Prediction]],
    pointer: str,
) -> Artifact:
    """One engine, with what its precision costs on dev.

    Args:
        heard_exactly: what the float32 model says of dev; its argument is a folder to build in.
    """
    from lifecycle import predictions  # which are of engines

    merged, table = workspace.current(merged_model.STAGE), workspace.current(splits.STAGE)
    params = workspace.domain.engine
    spec = engine_spec(workspace, _trained_frames(merged), name)

    def build(folder: Path, scratch: Path) -> Mapping[str, Any]:
        folder = _new(engine_folder_in(folder))
        clips = _dev_clips(splits.read_splits(workspace))
        exactly = heard_exactly(scratch / _EXACT)
        description = _build(workspace, name, folder)
        said = _predict(workspace, folder, clips)
        compared = _compare(workspace, str(name), said, exactly, clips)
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
        {merged_model.STAGE: str(merged.summary["tensors_sha256"]), splits.STAGE: table.sha256},
        {
            **dataclasses.asdict(spec),
            "trailing_silence": params.trailing_silence,
            **statistics(workspace),
        },
        build,
        pointer=pointer,
    )


def _heard_exactly(workspace: Workspace, folder: Path) -> Sequence[Prediction]:
    """What the float32 model says of dev; it is built in the folder."""
    from serving.engines.offered import DEFAULT, EngineName

    if not (folder / "engine.json").is_file():
        _build(workspace, EngineName(DEFAULT.kind, _EXACT), _new(folder))
    return _predict(workspace, folder, _dev_clips(splits.read_splits(workspace)))


def _build(workspace: Workspace, name: EngineName, folder: Path) -> EngineDescription:
    """The merged model as that engine, in an empty folder."""
    from serving.engines.offered import CALIBRATED, engine_module

    merged = workspace.current(merged_model.STAGE)
    description: EngineDescription = engine_module(name.kind).build(
        merged.path,
        folder,
        engine_spec(workspace, _trained_frames(merged), name),
        source_sha256=str(merged.summary["tensors_sha256"]),
        trailing_silence=workspace.domain.engine.trailing_silence,
        calibration=calibration_clips(workspace) if name.precision in CALIBRATED else (),
    )
    return description


def calibration_clips(workspace: Workspace) -> list[Samples]:
    """Clips of the train split that a precision is fitted to, drawn by a hash of their ids."""
    from data.audio import read_flac
    from lifecycle.evaluated_speech import drawn

    train = [row for row in splits.read_splits(workspace) if row.split == "train"]
    chosen = drawn(train, _LONGEST)[:_CALIBRATION]
    return [read_flac(workspace.corpus / row.audio) for row in chosen]


def _trained_frames(merged: Artifact) -> int:
    """The shortest mel that the merged model was trained to hear, in 10 ms frames."""
    from training.merging import DESCRIPTION

    return int(read_json(merged.path / DESCRIPTION)["minimum_mel_frames"])


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
    Where it was chosen among several, the reason follows.
    """
    from lifecycle.engine_choice import reason

    loss, margin = engine_loss(engine), workspace.domain.engine.margin
    sentence = (
        f"{engine.summary['precision']} costs {100 * loss.value:+.2f} points "
        f"[{100 * loss.low:+.2f}, {100 * loss.high:+.2f}] of word error rate against float32 on "
        f"{loss.words:,} dev words; at most {margin:+g} is allowed."
    )
    return passes(workspace, loss), " ".join(filter(None, (sentence, reason(workspace, engine))))


def passes(workspace: Workspace, loss: Estimate) -> bool:
    """Whether a precision with that loss may go on."""
    return 100 * loss.low <= workspace.domain.engine.margin


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
    name: str,
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
        candidate_name=name,
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
