"""The base model of a domain: fetched from its catalogue, verified, converted when need be."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lifecycle.workspace import Workspace

if TYPE_CHECKING:
    from training.base_models import BaseModel

STAGE = "base_model"


def base_model(workspace: Workspace) -> BaseModel:
    """Resolve the domain's base model; cheap when the cache holds it.

    Raises:
        UsageError: neither the catalogue nor the project has one of that name.
        SourceError, IntegrityError: it cannot be had, or its cached copy is corrupt.
    """
    from training.base_models import resolve

    settings, domain = workspace.settings, workspace.domain
    return resolve(
        domain.base_model,
        cache=settings.cache,
        offline=settings.offline,
        timeout=settings.source_timeout,
        start=settings.project,
        backend=domain.training.backend,
        progress=lambda message: workspace.report(STAGE, 0, 0, message),
    )
