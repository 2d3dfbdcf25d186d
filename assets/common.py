"""What every asset shares: the domain partitions, its workspace, and how results are shown."""

from __future__ import annotations

import base64
import contextlib
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import dagster as dg

from lifecycle.artifacts import Artifact
from lifecycle.checks import Check
from lifecycle.progress import Progress, listening
from lifecycle.workspace import Workspace, domain_lock, open_workspace

# Partitioned checks are a preview in Dagster 1.13; its warning a check would bury real ones.
warnings.filterwarnings("ignore", category=dg.PreviewWarning)

domains = dg.DynamicPartitionsDefinition(name="domain")
"""One partition a domain of params.yaml; `pipelines.instance` keeps the two equal."""

GROUP = "lifecycle"
_SECONDS_BETWEEN_OBSERVATIONS = 5.0


@contextlib.contextmanager
def stage(
    context: dg.AssetExecutionContext | dg.AssetCheckExecutionContext,
) -> Iterator[Workspace]:
    """The workspace of the run's domain, locked; progress becomes observations and log lines."""
    workspace = open_workspace(_partition(context))
    with (
        domain_lock(workspace.settings, workspace.domain.name),
        listening(_Observer(context)),
    ):
        yield workspace


def result(
    artifact: Artifact, metadata: Mapping[str, Any], *, version: str | None = None
) -> dg.MaterializeResult[Any]:
    """A materialization whose data version is the artifact's hash."""
    return dg.MaterializeResult(
        metadata={
            **metadata,
            "artifact": dg.MetadataValue.path(str(artifact.path)),
            "sha256": artifact.sha256,
            "made in seconds": artifact.seconds,
            "found unchanged": artifact.reused,
        },
        data_version=dg.DataVersion(version or artifact.sha256),
    )


def judged(
    context: dg.AssetCheckExecutionContext, check: Callable[[Workspace], Check]
) -> dg.AssetCheckResult:
    """The result of a check of `lifecycle.checks` on the run's domain."""
    with stage(context) as workspace:
        result = check(workspace)
    return dg.AssetCheckResult(
        passed=result.passed, description=result.sentence, metadata=dict(result.figures)
    )


def table(rows: Sequence[Mapping[str, Any]]) -> dg.MetadataValue:
    """A metadata table of rows that share their keys."""
    if not rows:
        return dg.MetadataValue.text("no rows")
    return dg.MetadataValue.table([dg.TableRecord(dict(row)) for row in rows])


def picture(path: Path) -> dg.MetadataValue:
    """A PNG as inline Markdown."""
    content = base64.b64encode(path.read_bytes()).decode()
    return dg.MetadataValue.md(f"![{path.stem}](data:image/png;base64,{content})")


def percent(estimate: Mapping[str, Any]) -> str:
    """An estimate's dictionary as text: "4.6% [3.2, 6.1], 1,400 words"."""
    return (
        f"{100 * estimate['value']:.1f}% [{100 * estimate['low']:.1f}, "
        f"{100 * estimate['high']:.1f}], {estimate['words']:,} words"
    )


def _partition(context: dg.AssetExecutionContext | dg.AssetCheckExecutionContext) -> str:
    inner = getattr(context, "op_execution_context", context)
    return str(inner.partition_key)


class _Observer:
    """Forwards progress to Dagster, at most every few seconds and at the end.

    News with a figure that the last observation had not, such as the word error rate that follows
    on a loss, is sent at once: throttled, an evaluation would be missing from the plots.
    """

    def __init__(self, context: dg.AssetExecutionContext | dg.AssetCheckExecutionContext) -> None:
        self._context = context
        self._next = 0.0
        self._sent: set[str] = set()

    def __call__(self, progress: Progress) -> None:
        now, names = time.monotonic(), set(progress.values)
        if now < self._next and progress.done != progress.total and names <= self._sent:
            return
        self._next, self._sent = now + _SECONDS_BETWEEN_OBSERVATIONS, names
        figures = ", ".join(f"{name} {value:.4g}" for name, value in progress.values.items())
        self._context.log.info(
            f"{progress.stage}: {progress.done}/{progress.total} {progress.message} {figures}"
        )
        if isinstance(self._context, dg.AssetExecutionContext) and progress.values:
            self._context.log_event(
                dg.AssetObservation(
                    asset_key=self._context.asset_key,
                    partition=progress.domain,
                    metadata={"done": progress.done, "total": progress.total}
                    | {name: float(value) for name, value in progress.values.items()},
                )
            )
