"""Assets predictions and reports: what the engines said on held-out speech, and what it means."""

from collections.abc import Mapping, Sequence
from typing import Any

import dagster as dg

from assets.common import GROUP, domains, judged, percent, result, stage, table
from assets.corpus import splits
from assets.model import base_engine, engine
from lifecycle import checks
from lifecycle.artifacts import Artifact
from lifecycle.calibration import make_calibration
from lifecycle.domain_evaluation import make_evaluation_report, page
from lifecycle.predictions import make_base_predictions, make_predictions
from lifecycle.reports import make_accent_report, make_accuracy_report, make_latency_report


@dg.asset(partitions_def=domains, group_name=GROUP, deps=[engine, splits], kinds={"parquet"})
def predictions(context: dg.AssetExecutionContext) -> dg.MaterializeResult[Any]:
    """The fine-tuned engine on the whole test split, once; every metric derives from this."""
    with stage(context) as workspace:
        artifact = make_predictions(workspace)
    return result(artifact, _decoded(artifact))


@dg.asset(partitions_def=domains, group_name=GROUP, deps=[base_engine, splits], kinds={"parquet"})
def base_predictions(context: dg.AssetExecutionContext) -> dg.MaterializeResult[Any]:
    """The padded base model on a stratified sample of the test split."""
    with stage(context) as workspace:
        artifact = make_base_predictions(workspace)
    return result(artifact, _decoded(artifact))


@dg.asset_check(
    asset=predictions, blocking=True, partitions_def=domains, description="Every clip was heard."
)
def predictions_are_complete(context: dg.AssetCheckExecutionContext) -> dg.AssetCheckResult:
    """Blocks when a test utterance has no prediction."""
    return judged(context, checks.predictions_are_complete)


@dg.asset(partitions_def=domains, group_name=GROUP, deps=[predictions])
def calibration(context: dg.AssetExecutionContext) -> dg.MaterializeResult[Any]:
    """What makes the engine's confidences probabilities: fitted on dev, judged on test."""
    with stage(context) as workspace:
        artifact = make_calibration(workspace)
    rows = artifact.summary["levels"]
    figures = {
        f"calibration error of {row['level']}s {when}": row[f"ece_{when}"]
        for row in rows
        for when in ("before", "after")
        if f"ece_{when}" in row
    }
    return result(artifact, {"levels": table([_fitted(row) for row in rows]), **figures})


@dg.asset(partitions_def=domains, group_name=GROUP, deps=[predictions, base_predictions])
def accuracy_report(context: dg.AssetExecutionContext) -> dg.MaterializeResult[Any]:
    """Word error rates with intervals: overall, people, synthetic; base beside fine-tuned."""
    with stage(context) as workspace:
        artifact = make_accuracy_report(workspace)
    rows = artifact.summary["slices"]
    return result(
        artifact,
        {
            "word error rates": table([_shown(row) for row in rows]),
            "word error rate": rows[0]["word_error_rate"],
            "words": rows[0]["words"],
            **_term_figures(artifact.summary.get("terms", ())),
        },
    )


@dg.asset(partitions_def=domains, group_name=GROUP, deps=[predictions, base_predictions])
def accent_report(context: dg.AssetExecutionContext) -> dg.MaterializeResult[Any]:
    """Word error rates with intervals, accent by accent; base beside fine-tuned."""
    with stage(context) as workspace:
        artifact = make_accent_report(workspace)
    rows = artifact.summary["slices"]
    return result(
        artifact,
        {
            "word error rates": table([_shown(row) for row in rows]),
            "worst accent": str(rows[0]["slice"]),
            "worst word error rate": rows[0]["word_error_rate"],
        },
    )


@dg.asset(
    partitions_def=domains, group_name=GROUP, deps=[predictions, base_predictions, calibration]
)
def evaluation_report(context: dg.AssetExecutionContext) -> dg.MaterializeResult[Any]:
    """All that the predictions say: every slice with Holm and power, utterances, confidence."""
    with stage(context) as workspace:
        artifact = make_evaluation_report(workspace)
    summary = artifact.summary
    return result(
        artifact,
        {
            **evaluated(artifact),
            "fine-tuned on all of test": percent(summary["alone"]),
            "utterances with errors": summary["utterances_with_errors"],
        },
    )


@dg.asset(partitions_def=domains, group_name=GROUP, deps=[engine, base_engine, splits])
def latency_report(context: dg.AssetExecutionContext) -> dg.MaterializeResult[Any]:
    """Seconds per clip and throughput on this machine; base beside fine-tuned."""
    with stage(context) as workspace:
        artifact = make_latency_report(workspace)
    return result(artifact, dict(artifact.summary))


def evaluated(artifact: Artifact) -> dict[str, Any]:
    """The headline of an artifact that holds an evaluation, and its page."""
    summary = artifact.summary
    return {
        "answer": summary["answered"],
        "fine-tuned": percent(summary["candidate"]),
        "base model": percent(summary["baseline"]),
        "slices that stand after Holm": f"{', '.join(summary['slices_that_stand']) or 'none'} "
        f"(of {summary['slices_tested']})",
        "report": dg.MetadataValue.url(page(artifact).as_uri()),
    }


def _fitted(row: Mapping[str, Any]) -> dict[str, Any]:
    """A level of confidence as a row of text; every row has the same columns."""

    def error(when: str) -> str:
        name = f"ece_{when}"
        if f"{name}_low" not in row:
            return f"{row[name]:.3f}" if name in row else ""
        return f"{row[name]:.3f} [{row[f'{name}_low']:.3f}, {row[f'{name}_high']:.3f}]"

    return {
        "level": str(row["level"]),
        "calibrator": str(row["calibrator"]) if row["fitted"] else f"none: {row['unfitted']}",
        "fitted on": int(row["fitted_on"]),
        "of them wrong": int(row["fitted_on_errors"]),
        "calibration error": error("before"),
        "calibrated": error("after"),
        "judged on": int(row.get("units", 0)),
    }


def _decoded(artifact: Artifact) -> dict[str, Any]:
    summary = artifact.summary
    return {
        "dagster/row_count": summary["utterances"],
        "audio seconds": summary["audio_seconds"],
        "compute seconds": summary["compute_seconds"],
        "RTFx": round(summary["audio_seconds"] / max(0.001, summary["compute_seconds"]), 1),
    }


def _term_figures(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Recall and precision of the domain's vocabulary over all speech, where they are known."""
    overall = rows[0] if rows else {}
    names = ("recall", "precision", "recall_occurrences")
    known = {name: overall[name] for name in names if overall.get(name) is not None}
    return {f"term {name.replace('_', ' ')}": value for name, value in known.items()}


def _shown(row: Mapping[str, Any]) -> dict[str, Any]:
    """A slice as a row of text for the Dagster UI; every row has the same columns."""
    base = ""
    if "base" in row:
        base = f"{row['base']:.1%} [{row['base_low']:.1%}, {row['base_high']:.1%}]"
    return {
        "slice": str(row["slice"]),
        "base model": base,
        "base words": int(row.get("compared_words", 0)),
        "fine-tuned": f"{row['word_error_rate']:.1%} [{row['low']:.1%}, {row['high']:.1%}]",
        "words": int(row["words"]),
        "fewer errors": f"{row['reduction']:.0%}" if row.get("reduction") is not None else "",
    }
