"""`voiceforge reproduce`: the command of a model card."""

from __future__ import annotations

from cli.console import say
from cli.progress import stages_shown


def reproduce_model(domain: str, md5: str, key: str, parameters: str) -> None:
    """Make a model again; see `lifecycle.reproduction.reproduce`."""
    from lifecycle.reproduction import reproduce
    from lifecycle.workspace import domain_lock, open_workspace
    from pipelines.instance import prepare

    workspace = open_workspace(domain)
    prepare(workspace.settings)
    with domain_lock(workspace.settings, domain), stages_shown():
        made = reproduce(workspace, md5, key, parameters)
    say(
        f"The adapter {key} of {domain} is there, merged in {made.path}.\n"
        f"Tensors sha256: {made.summary['tensors_sha256']}"
    )
