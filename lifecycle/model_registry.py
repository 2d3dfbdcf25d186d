"""The registry of this machine: MLflow's database and the folder of its artifacts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from voiceforge.settings import Settings

if TYPE_CHECKING:
    from serving.registry import Registry


def open_registry(settings: Settings) -> Registry:
    """The registry; a new one is made when it is first asked."""
    from serving.registry import Registry

    return Registry(settings.mlflow_uri, settings.mlflow_artifacts)


def existing_registry(settings: Settings) -> Registry | None:
    """None where no model was ever registered: an empty database would cost half a minute."""
    return open_registry(settings) if settings.mlflow_database.is_file() else None
