"""Run a domain's lifecycle here and now, recorded in Dagster like any other run."""

from __future__ import annotations

import os
import uuid
from typing import TYPE_CHECKING

from lifecycle.progress import Listener, listening
from lifecycle.workspace import domain_lock
from pipelines.dead_runs import PROCESS, end_dead_runs
from pipelines.instance import open_instance
from voiceforge.errors import StageError
from voiceforge.files import remove_leftovers, remove_leftovers_of
from voiceforge.settings import Settings

if TYPE_CHECKING:
    from dagster import DagsterInstance


def run_lifecycle(settings: Settings, domain: str, on_progress: Listener) -> str:
    """Run every stage of a domain; what is unchanged is found, not made. Returns the run's id.

    Raises:
        VoiceForgeError: a stage failed or a blocking check did not pass; what had finished is kept.
    """
    instance = open_instance(settings)
    import dagster as dg

    from pipelines.definitions import JOB, build_definitions

    with domain_lock(settings, domain), listening(on_progress), instance:
        end_dead_runs(instance)
        remove_leftovers(settings.artifacts / domain)
        remove_leftovers_of(settings.corpora / domain)
        job, run_id = build_definitions().resolve_job_def(JOB), str(uuid.uuid4())
        try:
            job.execute_in_process(
                instance=instance,
                run_id=run_id,
                partition_key=domain,
                tags={PROCESS: str(os.getpid())},
                run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
            )
        except dg.DagsterExecutionInterruptedError as interrupt:
            # Dagster's own form of Ctrl-C is neither an Exception nor a KeyboardInterrupt.
            raise KeyboardInterrupt from interrupt
        except dg.DagsterError as error:
            raise _check_failure(instance, run_id, domain) or error from error
    return run_id


def _check_failure(instance: DagsterInstance, run_id: str, domain: str) -> StageError | None:
    """What the blocking check said that ended the run, if one did."""
    import dagster as dg

    records = instance.get_records_for_run(
        run_id, of_type=dg.DagsterEventType.ASSET_CHECK_EVALUATION
    ).records
    for record in reversed(records):
        event = record.event_log_entry.dagster_event
        evaluation = event.asset_check_evaluation_data if event else None
        if evaluation is not None and evaluation.blocking and not evaluation.passed:
            return StageError(
                f"The check '{evaluation.check_name}' of {evaluation.asset_key.to_user_string()} "
                f"blocks the lifecycle of {domain}: {evaluation.description}"
            )
    return None
