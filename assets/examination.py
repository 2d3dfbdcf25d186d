"""Assets forgetting and robustness report: made on demand, by the job `examine`."""

from collections.abc import Mapping
from typing import Any

import dagster as dg

from assets.common import GROUP, domains, result, stage, table
from assets.evaluation import evaluated, evaluation_report
from lifecycle.examination import make_forgetting_report, make_robustness_report


@dg.asset(partitions_def=domains, group_name=GROUP, deps=[evaluation_report])
def forgetting_report(context: dg.AssetExecutionContext) -> dg.MaterializeResult[Any]:
    """The fine-tuned engine beside the base model on general readings of the language."""
    with stage(context) as workspace:
        artifact = make_forgetting_report(workspace)
    return result(artifact, evaluated(artifact))


@dg.asset(partitions_def=domains, group_name=GROUP, deps=[evaluation_report])
def robustness_report(context: dg.AssetExecutionContext) -> dg.MaterializeResult[Any]:
    """Both models with noise, clipping and telephony, and where nobody speaks."""
    with stage(context) as workspace:
        artifact = make_robustness_report(workspace)
    rows = artifact.summary["conditions"]
    return result(
        artifact,
        {
            **evaluated(artifact),
            "conditions": table([_rates(row) for row in rows if "utterances" in row]),
            "words invented a minute": table([_invented(r) for r in rows if "utterances" not in r]),
        },
    )


def _rates(row: Mapping[str, Any]) -> dict[str, Any]:
    """Word error rates under a condition, and the points that it costs."""

    def shown(role: str) -> str:
        return f"{row[role]:.1%} ({100 * row[f'{role}_lost']:+.1f})"

    return {
        "condition": str(row["condition"]),
        "fine-tuned": shown("candidate"),
        "base model": shown("baseline"),
        "utterances": int(row["utterances"]),
    }


def _invented(row: Mapping[str, Any]) -> dict[str, Any]:
    def shown(role: str) -> str:
        rate = row[f"{role}_words_per_minute"]
        return "" if rate is None else f"{rate:.1f}"

    return {
        "sound": str(row["condition"]),
        "fine-tuned": shown("candidate"),
        "base model": shown("baseline"),
    }
