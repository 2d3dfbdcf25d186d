"""Runs whose process was killed: Dagster goes on calling them started until somebody says so."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dagster import DagsterInstance, DagsterRun

PROCESS = "voiceforge/process"
"""Tag that names the process of a run which `voiceforge run` executes itself."""


def end_dead_runs(instance: DagsterInstance) -> list[str]:
    """Report runs as failed whose process is gone; returns their ids.

    A killed run that counts as started would keep its domain's place in the queue, and the weekly
    schedule would wait for it for ever.
    """
    import dagster as dg

    unfinished = [dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING]
    dead = [
        run
        for run in instance.get_runs(dg.RunsFilter(statuses=unfinished))
        if not _is_alive(instance, run)
    ]
    for run in dead:
        instance.report_run_failed(run, "The process of this run was killed.")
    return [run.run_id for run in dead]


def _is_alive(instance: DagsterInstance, run: DagsterRun) -> bool:
    """Whether the run's process exists and is older than the run; True where none is known."""
    import psutil

    pid = _process(instance, run)
    stats = instance.get_run_stats(run.run_id)
    began = getattr(stats, "start_time", None)
    if pid is None or began is None:
        return True
    try:
        return bool(psutil.Process(pid).create_time() <= began)
    except psutil.NoSuchProcess:
        return False


def _process(instance: DagsterInstance, run: DagsterRun) -> int | None:
    """The tag's process, or the one that an executor of the run's events named."""
    import dagster as dg

    if run.tags.get(PROCESS, "").isdecimal():
        return int(run.tags[PROCESS])
    records = instance.get_records_for_run(run.run_id, of_type=dg.DagsterEventType.ENGINE_EVENT)
    for record in reversed(records.records):
        event = record.event_log_entry.dagster_event
        pid = event.engine_event_data.metadata.get("pid") if event else None
        if pid is not None and str(pid.value).isdecimal():
            return int(str(pid.value))
    return None
