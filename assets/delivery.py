"""Assets model version, certificate, promotion and Bento: from a trained model to a served one."""

from typing import Any

import dagster as dg

from assets.common import GROUP, domains, result, stage, table
from assets.evaluation import (
    accent_report,
    accuracy_report,
    calibration,
    evaluation_report,
    latency_report,
)
from lifecycle.bento import make_bento
from lifecycle.certificate import PAGE, make_certificate
from lifecycle.model_card import FILE as CARD
from lifecycle.model_version import make_model_version
from lifecycle.promotion import make_promotion

_MLFLOW = "http://127.0.0.1:5000/#"
"""Where `voiceforge up` puts MLflow's pages by default."""


@dg.asset(
    partitions_def=domains,
    group_name=GROUP,
    deps=[accuracy_report, accent_report, latency_report, calibration, evaluation_report],
    kinds={"mlflow"},
)
def model_version(context: dg.AssetExecutionContext) -> dg.MaterializeResult[Any]:
    """Engine, adapter and reports in MLflow, with lineage, under the alias `challenger`."""
    with stage(context) as workspace:
        artifact = make_model_version(workspace)
    summary = artifact.summary
    name = artifact.domain
    return result(
        artifact,
        {
            "version": summary["version"],
            "engine sha256": summary["engine_sha256"],
            "model card": dg.MetadataValue.path(str(artifact.path / CARD)),
            "MLflow version": dg.MetadataValue.url(
                f"{_MLFLOW}/models/{name}/versions/{summary['version']}"
            ),
            "MLflow run": dg.MetadataValue.url(f"{_MLFLOW}/runs/{summary['run_id']}"),
        },
    )


@dg.asset(partitions_def=domains, group_name=GROUP, deps=[model_version])
def certificate(context: dg.AssetExecutionContext) -> dg.MaterializeResult[Any]:
    """May the challenger reach users? Compared with the champion, or the base model before one."""
    with stage(context) as workspace:
        artifact = make_certificate(workspace)
    summary = artifact.summary
    page = artifact.path / PAGE
    return result(
        artifact,
        {
            "verdict": summary["verdict"],
            "why": summary["sentence"],
            "compared with": summary["reference_name"],
            "gates": table(summary["gates"]),
            "report": dg.MetadataValue.url(page.as_uri()),
        },
    )


@dg.asset_check(
    asset=certificate, partitions_def=domains, description="The challenger may reach users."
)
def certificate_says_promote(context: dg.AssetCheckExecutionContext) -> dg.AssetCheckResult:
    """A warning, no block: a challenger that is not promoted is a normal end of a run."""
    with stage(context) as workspace:
        summary = workspace.current("certificate").summary
    return dg.AssetCheckResult(
        passed=summary["verdict"] == "promote",
        severity=dg.AssetCheckSeverity.WARN,
        description=str(summary["sentence"]),
        metadata={"verdict": summary["verdict"]},
    )


@dg.asset(partitions_def=domains, group_name=GROUP, deps=[certificate], kinds={"mlflow"})
def promotion(context: dg.AssetExecutionContext) -> dg.MaterializeResult[Any]:
    """The alias `champion` moves to the challenger when, and only when, the certificate says so."""
    with stage(context) as workspace:
        artifact = make_promotion(workspace)
    return result(
        artifact,
        {
            "promoted": artifact.summary["promoted"],
            "champion": artifact.summary["champion"] or "none",
            "champion before": artifact.summary["before"] or "none",
        },
    )


@dg.asset(partitions_def=domains, group_name=GROUP, deps=[promotion], kinds={"bentoml"})
def bento(context: dg.AssetExecutionContext) -> dg.MaterializeResult[Any]:
    """The champion's certified engine as a Bento."""
    with stage(context) as workspace:
        artifact = make_bento(workspace)
    return result(
        artifact,
        {
            "tag": artifact.summary["tag"] or "none: there is no champion",
            "version": artifact.summary["version"] or "none",
        },
    )
