"""Logging a run with its model: the part of a registration that fills MLflow."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from serving.registry.records import DatasetRecord, RunRecord
from voiceforge import __version__
from voiceforge.errors import UsageError

_PYFUNC = Path(__file__).parent.parent / "pyfunc_model.py"


def log_run(
    mlflow: Any,
    name: str,
    experiment: str,
    run: RunRecord,
    artifacts: Mapping[str, Path],
    scratch: Path,
) -> tuple[str, str]:
    """Log a run: parameters, metrics, datasets and the model; returns run id and model id.

    Args:
        mlflow: the module, its tracking address set.
        name: of the model.
        experiment: id of the experiment.
        artifacts: the model's data, by the name that it gets there: folders or files.
        scratch: folder on the disk of the artifacts, so that they can be linked.
    """
    parent = run.training or None
    with mlflow.start_run(experiment_id=experiment, run_name=name, parent_run_id=parent) as active:
        mlflow.set_tags(dict(run.tags))
        mlflow.log_params(dict(run.params))
        model_id = _log_model(mlflow, name, run, artifacts, scratch)
        datasets = [_dataset(record) for record in run.datasets]
        for dataset in datasets:
            mlflow.log_input(dataset, context="lifecycle")
        for metric, curve in run.curves.items():
            for step, value in curve:
                mlflow.log_metric(metric, value, step=step)
        mlflow.log_metrics(
            dict(run.metrics), model_id=model_id, dataset=datasets[0] if datasets else None
        )
    return str(active.info.run_id), model_id


def _log_model(
    mlflow: Any, name: str, run: RunRecord, artifacts: Mapping[str, Path], scratch: Path
) -> str:
    # MLflow names an artifact by the last part of its path, whatever it was logged as.
    with tempfile.TemporaryDirectory(dir=scratch, prefix=".tmp-") as folder:
        for artifact, path in artifacts.items():
            _link(path, Path(folder, artifact))
        logged = mlflow.pyfunc.log_model(
            name=name,
            python_model=str(_PYFUNC),
            artifacts={artifact: str(Path(folder, artifact)) for artifact in artifacts},
            pip_requirements=[f"voiceforge=={__version__}"],
            model_config={"voiceforge": __version__},
            params=dict(run.params),
            tags=dict(run.tags),
        )
    return str(logged.model_id)


def _link(source: Path, target: Path) -> None:
    """A copy of a folder, or of a file in a folder, by hard links where the disk allows them."""

    def link(one: str, other: str) -> None:
        try:
            os.link(one, other)
        except OSError:
            shutil.copyfile(one, other)

    if source.is_dir():
        shutil.copytree(source, target, copy_function=link)
    else:
        target.mkdir()
        link(str(source), str(target / source.name))


def _dataset(record: DatasetRecord) -> Any:
    from mlflow.data.meta_dataset import MetaDataset

    return MetaDataset(_dvc_source()(record.source), name=record.name, digest=record.digest)


def _dvc_source() -> Any:
    """The `DatasetSource` of corpora that DVC keeps, made when MLflow is there."""
    from mlflow.data.dataset_source import DatasetSource

    class DvcSource(DatasetSource):  # type: ignore[misc]
        """A corpus version, `dvc://corpora/NAME@MD5`."""

        def __init__(self, uri: str) -> None:
            self.uri = uri

        @staticmethod
        def _get_source_type() -> str:
            return "dvc"

        @staticmethod
        def _can_resolve(raw_source: Any) -> bool:
            return isinstance(raw_source, str) and raw_source.startswith("dvc://")

        @classmethod
        def _resolve(cls, raw_source: str) -> DvcSource:
            return cls(raw_source)

        def load(self) -> Any:
            name = self.uri.removeprefix("dvc://corpora/")
            raise UsageError(
                f"A corpus is restored from DVC by `voiceforge corpus checkout {name}`; MLflow "
                "records only which version it was."
            )

        def to_dict(self) -> dict[str, Any]:
            return {"uri": self.uri}

        @classmethod
        def from_dict(cls, source_dict: dict[Any, Any]) -> DvcSource:
            return cls(str(source_dict["uri"]))

    return DvcSource
