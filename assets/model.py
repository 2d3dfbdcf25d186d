"""Assets base model, adapter, merged model and engine, with the checks that block what follows."""

from typing import Any

import dagster as dg

from assets.common import GROUP, domains, judged, percent, picture, result, stage, table
from assets.corpus import splits
from lifecycle import checks
from lifecycle.adapter import PLOT, make_adapter
from lifecycle.base_engine import make_base_engine
from lifecycle.base_model import base_model as resolve_base_model
from lifecycle.engine import engine_verdict, make_engine
from lifecycle.engine_choice import current_choice, figures
from lifecycle.merged_model import make_merged_model


@dg.asset(partitions_def=domains, group_name=GROUP, kinds={"huggingface"})
def base_model(context: dg.AssetExecutionContext) -> dg.MaterializeResult[Any]:
    """The base model from its catalogue, verified by sha256."""
    with stage(context) as workspace:
        model = resolve_base_model(workspace)
    return dg.MaterializeResult(
        metadata={
            "name": model.name,
            "path": dg.MetadataValue.path(str(model.path)),
            "tensors sha256": model.sha256,
            "multilingual": model.multilingual,
            "licence": model.licence,
        },
        data_version=dg.DataVersion(model.sha256),
    )


@dg.asset(
    partitions_def=domains,
    group_name=GROUP,
    deps=[splits, base_model],
    kinds={"pytorch", "huggingface"},
)
def adapter(context: dg.AssetExecutionContext) -> dg.MaterializeResult[Any]:
    """LoRA fine-tuning on length-matched mels, in a process of its own."""
    with stage(context) as workspace:
        artifact = make_adapter(workspace)
    summary = artifact.summary
    curve = summary["loss_curve"]
    return result(
        artifact,
        {
            "steps": summary["steps"],
            "final loss": curve[-1]["loss"] if curve else "fewer steps than a point has",
            "dev word error rate": f"{summary['dev_word_error_rate']:.2%} of "
            f"{summary['dev_words']:,} words",
            "training seconds": summary["seconds"],
            "peak memory GB": round(summary["peak_memory_bytes"] / 1e9, 2),
            "loss curve": picture(artifact.path / PLOT),
        },
    )


@dg.asset_check(
    asset=adapter, blocking=True, partitions_def=domains, description="Training learned something."
)
def loss_fell(context: dg.AssetCheckExecutionContext) -> dg.AssetCheckResult:
    """Blocks when the loss of the last steps is not below that of the first.

    A training of few steps has too few points to tell a fall from noise; its word error rates will.
    """
    return judged(context, checks.loss_fell)


@dg.asset(
    partitions_def=domains, group_name=GROUP, deps=[adapter, base_model], kinds={"safetensors"}
)
def merged_model(context: dg.AssetExecutionContext) -> dg.MaterializeResult[Any]:
    """The adapter folded into the base model, as a Hugging Face folder."""
    with stage(context) as workspace:
        artifact = make_merged_model(workspace)
    return result(artifact, {"tensors sha256": artifact.summary["tensors_sha256"]})


@dg.asset_check(
    asset=merged_model, blocking=True, partitions_def=domains, description="All weights are finite."
)
def weights_are_finite(context: dg.AssetCheckExecutionContext) -> dg.AssetCheckResult:
    """Blocks when a merged tensor holds NaN or infinity."""
    return judged(context, checks.weights_are_finite)


@dg.asset(
    partitions_def=domains,
    group_name=GROUP,
    deps=[merged_model, splits],
    kinds={"ctranslate2", "onnx"},
)
def engine(context: dg.AssetExecutionContext) -> dg.MaterializeResult[Any]:
    """The merged model as the engine that serves, and what its precision costs on dev."""
    with stage(context) as workspace:
        artifact = make_engine(workspace)
        agrees = engine_verdict(workspace, artifact)[1]
        choice = current_choice(workspace)
    summary = artifact.summary
    return result(
        artifact,
        {
            **({"engines": table(figures(choice))} if choice else {}),
            "kind": summary["kind"],
            "precision": summary["precision"],
            "megabytes": round(summary["bytes"] / 1e6, 1),
            "dev word error rate before": percent(summary["word_error_rate_before"]),
            "dev word error rate after": percent(summary["word_error_rate_after"]),
            "quantization": agrees,
        },
    )


@dg.asset_check(
    asset=engine, blocking=True, partitions_def=domains, description="Quantization costs little."
)
def engine_agrees(context: dg.AssetCheckExecutionContext) -> dg.AssetCheckResult:
    """Blocks when the engine surely loses more word error rate than `engine.margin`."""
    return judged(context, checks.engine_agrees)


@dg.asset(partitions_def=domains, group_name=GROUP, deps=[base_model], kinds={"ctranslate2"})
def base_engine(context: dg.AssetExecutionContext) -> dg.MaterializeResult[Any]:
    """The base model as the same engine, padded to the 30 s windows that it knows."""
    with stage(context) as workspace:
        artifact = make_base_engine(workspace)
    return result(artifact, {"precision": artifact.summary["precision"]})
