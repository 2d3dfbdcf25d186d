"""The Dagster code location: assets, checks, their jobs and a weekly schedule a domain."""

import dagster as dg

from assets import corpus, delivery, evaluation, examination, model
from assets.common import GROUP
from voiceforge.params import DomainParams, load_params
from voiceforge.settings import PARAMS_FILE, load_settings

JOB = "lifecycle"
_MODULES = (corpus, model, evaluation, delivery, examination)

# One group, so that Dagster's page shows the graph and not a box for each group.
_ON_DEMAND = dg.AssetSelection.assets("forgetting_report", "robustness_report")

lifecycle = dg.define_asset_job(
    JOB,
    selection=dg.AssetSelection.groups(GROUP) - _ON_DEMAND,
    description="From recordings to a served, proven model, for one domain.",
)

examine = dg.define_asset_job(
    "examine",
    selection=_ON_DEMAND,
    description="What a domain's model forgot, and how it bears noise: minutes, made on demand.",
)


def schedule_name(domain: str) -> str:
    return f"retrain_{domain.replace('-', '_')}"


def _schedule(domain: DomainParams) -> dg.ScheduleDefinition:
    def evaluate(context: dg.ScheduleEvaluationContext) -> dg.RunRequest:
        when = context.scheduled_execution_time.isoformat()
        return dg.RunRequest(run_key=when, partition_key=domain.name, tags={"kind": "retrain"})

    return dg.ScheduleDefinition(
        name=schedule_name(domain.name),
        job=lifecycle,
        cron_schedule=domain.schedule,
        execution_fn=evaluate,
        description=f"Runs the lifecycle of {domain.name}, by cron '{domain.schedule}'.",
    )


def build_definitions() -> dg.Definitions:
    """Definitions for the project that `VOICEFORGE_PROJECT` or the current folder names."""
    params = load_params(load_settings().project / PARAMS_FILE)
    return dg.Definitions(
        assets=dg.load_assets_from_modules(_MODULES),
        asset_checks=dg.load_asset_checks_from_modules(_MODULES),
        jobs=[lifecycle, examine],
        schedules=[_schedule(domain) for domain in params.values()],
        # One process: eight trivial assets take 4 s in it and 80 s in a process each.
        executor=dg.in_process_executor,
    )


defs = build_definitions()
