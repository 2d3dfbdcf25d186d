"""Assets corpus, validation and splits, with the checks that block what follows."""

from collections.abc import Mapping
from typing import Any

import dagster as dg

from assets.common import GROUP, domains, judged, result, stage, table
from lifecycle import checks
from lifecycle.corpus import corpus_version, make_corpus, version_corpus
from lifecycle.splits import make_splits
from lifecycle.validation import STAGE as VALIDATION
from lifecycle.validation import docs_page, make_validation


@dg.asset(partitions_def=domains, group_name=GROUP, kinds={"dvc", "flac"})
def corpus(context: dg.AssetExecutionContext) -> dg.MaterializeResult[Any]:
    """Every source's recordings as 16 kHz mono FLAC, in one table, versioned by DVC."""
    with stage(context) as workspace:
        artifact = make_corpus(workspace)
        version = version_corpus(workspace, artifact)
    summary = artifact.summary
    return result(
        artifact,
        {
            "dagster/row_count": summary["utterances"],
            "hours": round(summary["seconds"] / 3600, 2),
            "speakers": summary["speakers"],
            "words": summary["words"],
            "not decoded": summary["quarantined"],
            "by accent": table(summary["by_accent"]),
            "DVC version": version["md5"],
            "DVC remote": version.get("remote") or "not pushed",
        },
    )


@dg.asset_check(asset=corpus, partitions_def=domains, description="The corpus is under DVC.")
def has_version(context: dg.AssetCheckExecutionContext) -> dg.AssetCheckResult:
    """The corpus on disk is the version that DVC recorded."""
    with stage(context) as workspace:
        version = corpus_version(workspace)
    return dg.AssetCheckResult(passed=bool(version["md5"]), metadata={"md5": version["md5"]})


@dg.asset(
    partitions_def=domains,
    group_name=GROUP,
    # By its key: the module of the models imports this one.
    deps=[corpus, dg.AssetKey("base_engine")],
    kinds={"greatexpectations"},
)
def validation(context: dg.AssetExecutionContext) -> dg.MaterializeResult[Any]:
    """What may be used of the corpus; the rest is in quarantine, each with its reasons."""
    with stage(context) as workspace:
        artifact = make_validation(workspace)
    summary = artifact.summary
    return result(
        artifact,
        {
            "dagster/row_count": summary["utterances"],
            "quarantined": summary["quarantined"],
            "quarantine reasons": dg.MetadataValue.json(summary["quarantine_reasons"]),
            "released": summary["released"],
            "heard by the base model": summary["heard"],
            "Data Docs": dg.MetadataValue.url(docs_page(artifact).as_uri()),
        },
    )


@dg.asset_check(
    asset=validation,
    blocking=True,
    partitions_def=domains,
    description="Most recordings are usable.",
)
def few_quarantined(context: dg.AssetCheckExecutionContext) -> dg.AssetCheckResult:
    """Blocks the run when more than `quarantine_limit` of the recordings are in quarantine."""
    with stage(context) as workspace:
        outcome = checks.few_quarantined(workspace)
        docs = docs_page(workspace.current(VALIDATION))
    return dg.AssetCheckResult(
        passed=outcome.passed,
        description=outcome.sentence,
        metadata={**outcome.figures, "Data Docs": dg.MetadataValue.url(docs.as_uri())},
    )


@dg.asset(partitions_def=domains, group_name=GROUP, deps=[validation], kinds={"parquet"})
def splits(context: dg.AssetExecutionContext) -> dg.MaterializeResult[Any]:
    """Train, dev and test, apart in texts and, where a source has several speakers, in voices."""
    with stage(context) as workspace:
        artifact = make_splits(workspace)
    return result(
        artifact,
        {
            "dagster/row_count": artifact.summary["utterances"],
            "by split": table(artifact.summary["by_split"]),
            "left out": artifact.summary["left_out"],
            "speakers in more than one split": dg.MetadataValue.json(
                artifact.summary["shared_speakers"]
            ),
            **_frozen(artifact.summary),
        },
    )


def _frozen(summary: Mapping[str, Any]) -> dict[str, Any]:
    """Metadata about what the splits rest on; splits of older versions had none of it."""
    shown = {}
    if ledger := summary.get("ledger"):
        shown["split ledger"] = ledger["sha256"]
    if gate := summary.get("gate"):
        shown["gate set"] = gate["identity"]
        shown["waiting for the next gate version"] = gate["waiting"]
    return shown


@dg.asset_check(
    asset=splits, blocking=True, partitions_def=domains, description="Nothing leaks into test."
)
def splits_are_disjoint(context: dg.AssetCheckExecutionContext) -> dg.AssetCheckResult:
    """Blocks training when a text or a separable speaker is in two splits, or a split is empty."""
    return judged(context, checks.splits_are_disjoint)


@dg.asset_check(
    asset=splits, blocking=True, partitions_def=domains, description="Test is the frozen gate set."
)
def gate_is_sealed(context: dg.AssetCheckExecutionContext) -> dg.AssetCheckResult:
    """Blocks training when a gate recording is missing, changed or in train or dev."""
    return judged(context, checks.gate_is_sealed)
