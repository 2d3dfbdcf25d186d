"""Dagster's scheduler with a clock of its own: `python clock.py [--on SCHEDULE] TIME OUT`.

Runs one iteration of the scheduler as if it were TIME (ISO 8601), then the run queue in real time
until every run that it launched has ended. Writes every run of the schedules to OUT as JSON. Each
start is a scheduler started anew: what it knows of earlier ticks is in the instance's storage.
"""

from __future__ import annotations

import argparse
import datetime
import json
import logging
import time
from pathlib import Path

import dagster as dg
from dagster._core.test_utils import create_test_daemon_workspace_context, freeze_time
from dagster._core.workspace.load_target import ModuleTarget
from dagster._daemon.run_coordinator.queued_run_coordinator_daemon import (
    QueuedRunCoordinatorDaemon,
)
from dagster._scheduler.scheduler import launch_scheduled_runs

from pipelines.instance import open_instance
from voiceforge.settings import load_settings


def main(now: datetime.datetime, on: list[str]) -> list[dict[str, str]]:
    instance = open_instance(load_settings())
    target = ModuleTarget("pipelines.definitions", None, None, "voiceforge")
    with instance, create_test_daemon_workspace_context(target, instance) as context:
        with freeze_time(now):
            for schedule in _schedules(context):
                if schedule.name in on:
                    instance.start_schedule(schedule)
            problems = launch_scheduled_runs(
                context, logging.getLogger("clock"), end_datetime_utc=now, iteration_times={}
            )
            for problem in problems:
                if problem is not None:
                    raise RuntimeError(str(problem))
        with QueuedRunCoordinatorDaemon(interval_seconds=1) as queue:
            while any(not run.is_finished for run in instance.get_runs()):
                list(queue.run_iteration(context))
                time.sleep(0.5)
        return [
            {
                "schedule": run.tags["dagster/schedule_name"],
                "partition": run.tags["dagster/partition"],
                "status": run.status.value,
            }
            for run in instance.get_runs()
            if "dagster/schedule_name" in run.tags
        ]


def _schedules(context: object) -> list[dg._core.remote_representation.RemoteSchedule]:
    entries = context.create_request_context().get_code_location_entries().values()
    found = []
    for entry in entries:
        if entry.code_location is None:
            raise RuntimeError(str(entry.load_error))
        for repository in entry.code_location.get_repositories().values():
            found += repository.get_schedules()
    return found


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--on", action="append", default=[])
    parser.add_argument("time", type=datetime.datetime.fromisoformat)
    parser.add_argument("out", type=Path)
    given = parser.parse_args()
    given.out.write_text(json.dumps(main(given.time, given.on)))
