"""`voiceforge stage`: one group of stages without Dagster."""

from __future__ import annotations

from cli.progress import stages_shown


def run_stage(name: str, domain: str) -> None:
    """Run the stages of one group; see `lifecycle.stages.GROUPS`."""
    from lifecycle.stages import check_group, run_group
    from lifecycle.workspace import domain_lock, open_workspace
    from pipelines.instance import prepare

    check_group(name)
    workspace = open_workspace(domain)
    prepare(workspace.settings)
    with domain_lock(workspace.settings, domain), stages_shown():
        run_group(workspace, name)
