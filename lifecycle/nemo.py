"""How far the lifecycle goes with a NeMo model: it is trained and merged, not yet served."""

from __future__ import annotations

from lifecycle.workspace import Workspace
from voiceforge.errors import UsageError

TRAINED = ("corpus", "adapter", "merged_model")
"""Groups of stages that take a NeMo model."""


def is_nemo(workspace: Workspace) -> bool:
    return workspace.domain.training.backend == "nemo"


def refuse_nemo(workspace: Workspace, what: str) -> None:
    """Refuse a stage that a NeMo model cannot go through.

    Raises:
        UsageError: the domain trains a NeMo model; says what can be done with it.
    """
    if is_nemo(workspace):
        name = workspace.domain.name
        commands = ", ".join(f"`voiceforge stage {one} --domain {name}`" for one in TRAINED)
        raise UsageError(
            f"{what} cannot be done for {name}: training.backend is nemo, and this version builds "
            f"no engines for NeMo models, so that they are not evaluated, promoted or served. They "
            f"are trained and merged to a .nemo file by {commands}."
        )


def check_nemo(workspace: Workspace) -> None:
    """Refuse what a NeMo domain asks for and cannot have, before its first stage.

    Raises:
        UsageError: it names the key.
    """
    if is_nemo(workspace) and workspace.domain.validation.agreement.enabled:
        raise UsageError(
            f"validation.agreement.enabled of {workspace.domain.name} is true: the base model's "
            "engine would hear every transcript's clip, and there are no engines for NeMo models "
            "yet (training.backend is nemo). Set it to false for this domain in params.yaml."
        )
