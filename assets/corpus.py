"""Assets corpus and splits, with the checks that block what follows."""

from typing import Any

import dagster as dg

from assets.common import GROUP, domains, judged, result, stage, table
from lifecycle import checks
from lifecycle.corpus import corpus_version, make_corpus, version_corpus
from lifecycle.splits import make_splits


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
            "quarantined": summary["quarantined"],
            "by accent": table(summary["by_accent"]),
            "quarantine reasons": dg.MetadataValue.json(summary["quarantine_reasons"]),
            "DVC version": version["md5"],
            "DVC remote": version.get("remote") or "not pushed",
        },
    )


@dg.asset_check(
    asset=corpus, blocking=True, partitions_def=domains, description="Most recordings are usable."
)
def few_quarantined(context: dg.AssetCheckExecutionContext) -> dg.AssetCheckResult:
    """Blocks the run when sources lose more than `quarantine_limit` of their recordings."""
    return judged(context, checks.few_quarantined)


@dg.asset_check(asset=corpus, partitions_def=domains, description="The corpus is under DVC.")
def has_version(context: dg.AssetCheckExecutionContext) -> dg.AssetCheckResult:
    """The corpus on disk is the version that DVC recorded."""
    with stage(context) as workspace:
        version = corpus_version(workspace)
    return dg.AssetCheckResult(passed=bool(version["md5"]), metadata={"md5": version["md5"]})


@dg.asset(partitions_def=domains, group_name=GROUP, deps=[corpus], kinds={"parquet"})
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
        },
    )


@dg.asset_check(
    asset=splits, blocking=True, partitions_def=domains, description="Nothing leaks into test."
)
def splits_are_disjoint(context: dg.AssetCheckExecutionContext) -> dg.AssetCheckResult:
    """Blocks training when a text or a separable speaker is in two splits, or a split is empty."""
    return judged(context, checks.splits_are_disjoint)
