"""What tests share: one cache of downloads and derived files, fetched once and kept."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.s3 import s3, s3_endpoint
from tests.sclite import sctk

__all__ = ["s3", "s3_endpoint", "sctk"]

os.environ.update(
    DAGSTER_DISABLE_TELEMETRY="1",
    MLFLOW_DISABLE_TELEMETRY="true",
    DVC_NO_ANALYTICS="1",
    BENTOML_DO_NOT_TRACK="True",
    HF_HUB_DISABLE_TELEMETRY="1",
    HF_HUB_OFFLINE="1",
    TOKENIZERS_PARALLELISM="false",
)

# A busy machine is slow, which says nothing of the code.
settings.register_profile(
    "any machine", parent=settings(), deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("any machine")

PROJECT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def project() -> Path:
    """The checkout."""
    return PROJECT


@pytest.fixture(scope="session")
def cache() -> Path:
    """Base models and speech, verified by sha256, shared by all tests and by `make run`."""
    folder = PROJECT / "var" / "cache"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def threads() -> int:
    """CPU threads of a test; with several processes of tests (pytest -n) each has its share."""
    processes = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    return max(1, len(os.sched_getaffinity(0)) // processes)
