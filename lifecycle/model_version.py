"""Stage model version: engine, adapter and reports in MLflow, under the alias `challenger`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lifecycle import (
    adapter,
    calibration,
    engine,
    merged_model,
    model_card,
    predictions,
    replay,
    reports,
)
from lifecycle.artifacts import Artifact
from lifecycle.base_model import base_model
from lifecycle.corpus import corpus_version
from lifecycle.model_card import make_model_card
from lifecycle.model_registry import open_registry
from lifecycle.workspace import Workspace
from voiceforge.errors import StageError
from voiceforge.files import write_json, write_text

if TYPE_CHECKING:
    from serving.registry import RunRecord

STAGE = "model_version"
VERSION = 1
_REPORTS = (reports.ACCURACY, reports.ACCENT, reports.LATENCY)


def make_model_version(workspace: Workspace) -> Artifact:
    """Register the engine; an engine that is registered already keeps its version."""
    from serving.engines import engine_sha256
    from serving.registry import CHALLENGER

    adapter.check_parameters(workspace)
    engine_folder = engine.engine_folder(workspace.current(engine.STAGE))
    stages = (
        adapter.STAGE, merged_model.STAGE, predictions.STAGE, calibration.STAGE, *_REPORTS,
    )  # fmt: skip
    inputs = {stage: workspace.current(stage).sha256 for stage in stages}
    inputs[engine.STAGE] = engine_sha256(engine_folder)
    registry, name = open_registry(workspace.settings), workspace.domain.name
    card, calibrator = make_model_card(workspace), calibration.calibrator_file(workspace)

    def build(folder: Path, _: Path) -> Mapping[str, Any]:
        version = registry.register(
            name,
            _record(workspace),
            engine=engine_folder,
            adapter=workspace.current(adapter.STAGE).path,
            reports={
                **{stage: workspace.current(stage).path for stage in _REPORTS},
                model_card.STAGE: card.path,
            },
            calibrator=calibrator,
        )
        known = registry.version(name, version)
        written = {
            "version": version,
            "run_id": known.run_id,
            "model_id": known.model_id,
            "engine_sha256": inputs[engine.STAGE],
        }
        write_json(folder / "version.json", written)
        write_text(folder / model_card.FILE, (card.path / model_card.FILE).read_text())
        return written

    made = workspace.make(STAGE, VERSION, inputs, {}, build)
    version = str(made.summary["version"])
    known = {entry.version: entry.engine_sha256 for entry in registry.versions(name)}
    if known.get(version) != inputs[engine.STAGE]:
        raise StageError(
            f"{made.path} records {name} version {version}, which the registry {registry.uri} does "
            "not have: it was deleted or replaced. Restore it, or delete that folder and run "
            "again: the model is then registered anew."
        )
    # A version that was registered before its calibrator was fitted, or fitted anew.
    registry.attach_calibrator(name, version, calibrator)
    registry.set_alias(name, CHALLENGER, version)
    return made


def _record(workspace: Workspace) -> RunRecord:
    from serving.registry import DatasetRecord, RunRecord

    domain = workspace.domain
    trained, quantized = workspace.current(adapter.STAGE), workspace.current(engine.STAGE)
    latency = workspace.current(reports.LATENCY).summary
    corpus = corpus_version(workspace)
    metrics = {
        "training seconds": float(trained.summary["seconds"]),
        "dev word error rate": float(trained.summary["dev_word_error_rate"]),
        "dev word error rate of the engine": float(
            quantized.summary["word_error_rate_after"]["value"]
        ),
        "p50 seconds per clip": float(latency["p50_seconds"]),
        "p95 seconds per clip": float(latency["p95_seconds"]),
        "speedup over base": float(latency["speedup"]),
    }
    for stage in (reports.ACCURACY, reports.ACCENT):
        for row in workspace.current(stage).summary["slices"]:
            name = str(row["slice"]).replace(",", "")
            metrics[f"word error rate {name}"] = float(row["word_error_rate"])
            if "base" in row:
                metrics[f"base word error rate {name}"] = float(row["base"])
    for row in workspace.current(calibration.STAGE).summary["levels"]:
        for when in ("before", "after"):
            if f"ece_{when}" in row:
                metrics[f"calibration error of {row['level']}s {when}"] = float(row[f"ece_{when}"])
    name = f"corpora/{domain.name}"
    training = open_registry(workspace.settings).training_run(domain.name, trained.key)
    replayed = trained.inputs.get(replay.STAGE)
    return RunRecord(
        training=training,
        params={
            "base_model": domain.base_model,
            "language": domain.language,
            "engine": f"{quantized.summary['kind']} {quantized.summary['precision']}",
            **{key: str(value) for key, value in domain.training.model_dump(mode="json").items()},
        },
        metrics=metrics,
        curves={
            "loss": [(p["step"], p["loss"]) for p in trained.summary["loss_curve"]],
            "learning rate": [
                (p["step"], p["learning_rate"]) for p in trained.summary["loss_curve"]
            ],
            "dev word error rate by step": [
                (p["step"], p["word_error_rate"]) for p in trained.summary["dev_curve"]
            ],
        },
        datasets=[DatasetRecord(domain.name, str(corpus["md5"]), f"dvc://{name}@{corpus['md5']}")],
        tags={
            "base_model_sha256": base_model(workspace).sha256,
            "corpus_md5": str(corpus["md5"]),
            "corpus_sha256": workspace.current("corpus").sha256,
            "splits_sha256": workspace.current("splits").sha256,
            "adapter_sha256": trained.sha256,
            **({"replay_sha256": replayed} if replayed else {}),
            **({"training_run": training} if training else {}),
            "merged_sha256": str(workspace.current(merged_model.STAGE).summary["tensors_sha256"]),
        },
    )
