"""Dagster's home on this machine: its configuration file, and partitions equal to params.yaml."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from voiceforge.files import storage_errors, write_text
from voiceforge.params import load_params
from voiceforge.settings import PARAMS_FILE, Settings

if TYPE_CHECKING:
    from dagster import DagsterInstance

PARTITIONS = "domain"
_CONFIGURATION = """\
# Written by VoiceForge. SQLite in this folder holds runs, events and schedules.
telemetry:
  enabled: false
nux:
  enabled: false
concurrency:
  # No pools: a killed run never gives its slot back, and the next one would wait for ever. The
  # domain's lock keeps runs apart, and dies with its process.
  runs:
    max_concurrent_runs: 2
    tag_concurrency_limits:
      # Two runs of one domain never overlap.
      - key: dagster/partition
        limit: 1
        value:
          applyLimitPerUniqueValue: true
"""


def environment(settings: Settings) -> dict[str, str]:
    """Variables that Dagster, MLflow, DVC, BentoML and the hub libraries are started with."""
    return {
        "DAGSTER_HOME": str(settings.dagster_home),
        "DAGSTER_DISABLE_TELEMETRY": "1",
        "MLFLOW_TRACKING_URI": settings.mlflow_uri,
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "BENTOML_HOME": str(settings.bentoml_home),
        "BENTOML_DO_NOT_TRACK": "True",
        "DVC_NO_ANALYTICS": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        "TRANSFORMERS_VERBOSITY": "error",
        "TOKENIZERS_PARALLELISM": "false",
        "VOICEFORGE_PROJECT": str(settings.project),
        "VOICEFORGE_HOME": str(settings.home),
    }


def prepare(settings: Settings) -> None:
    """Make the folders of run-time state and set this process's environment."""
    for folder in (
        settings.cache,
        settings.artifacts,
        settings.dagster_home,
        settings.mlflow_artifacts,
        settings.bentoml_home,
        settings.locks,
        settings.corpora,
    ):
        with storage_errors(folder):
            folder.mkdir(parents=True, exist_ok=True)
    configuration = settings.dagster_home / "dagster.yaml"
    if not configuration.is_file():
        write_text(configuration, _CONFIGURATION)
    os.environ.update(environment(settings))


def open_instance(settings: Settings) -> DagsterInstance:
    """The Dagster instance, with one partition for each domain of params.yaml."""
    prepare(settings)
    import dagster as dg

    instance = dg.DagsterInstance.from_config(str(settings.dagster_home))
    wanted = list(load_params(settings.project / PARAMS_FILE))
    present = set(instance.get_dynamic_partitions(PARTITIONS))
    if missing := [name for name in wanted if name not in present]:
        instance.add_dynamic_partitions(PARTITIONS, missing)
    for name in present - set(wanted):
        instance.delete_dynamic_partition(PARTITIONS, name)
    return instance
