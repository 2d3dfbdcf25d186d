"""The model registry: MLflow runs, model versions, aliases and certificates.

A registered model is a domain. A version holds, as data, the engine folder, the adapter and the
reports it was registered with, and later its certificates; as code only `pyfunc_model.py`, which
imports the installed package. The engine's sha256 is the version's identity. Nothing outside of
this package knows MLflow, and MLflow is imported when a `Registry` is first used.
"""

from serving.registry.records import DatasetRecord, ModelVersion, RunRecord, parse_address
from serving.registry.store import CERTIFICATE, CHALLENGER, CHAMPION, Registry
from serving.registry.training_runs import TrainingRun

__all__ = [
    "CERTIFICATE",
    "CHALLENGER",
    "CHAMPION",
    "DatasetRecord",
    "ModelVersion",
    "Registry",
    "RunRecord",
    "TrainingRun",
    "parse_address",
]
