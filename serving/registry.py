"""The model registry: MLflow runs, model versions, aliases and certificates.

A registered model is a domain. A version holds, as data, the engine folder, the adapter and the
reports it was registered with, and later its certificates; as code only `pyfunc_model.py`, which
imports the installed package. The engine's sha256 is the version's identity.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlparse

from serving.engines import engine_sha256
from voiceforge import __version__
from voiceforge.errors import StorageError, UsageError
from voiceforge.files import read_json, sha256_file, storage_errors

CHAMPION = "champion"
CHALLENGER = "challenger"
CERTIFICATE = "certificate.json"

_ENGINE_TAG = "engine_sha256"
_CERTIFICATE_TAG = "certificate"
_PYFUNC = Path(__file__).with_name("pyfunc_model.py")


@dataclass(frozen=True)
class DatasetRecord:
    """A corpus as MLflow records it: `name`, its DVC content hash, and `dvc://` address."""

    name: str
    digest: str
    source: str


@dataclass(frozen=True)
class RunRecord:
    """What MLflow records of how a version came to be.

    Attributes:
        params: parameters by name.
        metrics: final figures by name.
        curves: metrics with steps, such as the loss: name -> pairs (step, value).
        datasets: the corpora it was made from.
        tags: lineage (base model, corpus, adapter, merged model, code version); they mark the
            run and the model version alike.
    """

    params: Mapping[str, str | int | float] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    curves: Mapping[str, Sequence[tuple[int, float]]] = field(default_factory=dict)
    datasets: Sequence[DatasetRecord] = ()
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class ModelVersion:
    """A version of a registered model.

    Attributes:
        aliases: such as "champion".
        created_at: milliseconds since the epoch.
    """

    domain: str
    version: str
    aliases: tuple[str, ...]
    tags: Mapping[str, str]
    run_id: str
    model_id: str
    created_at: int

    @property
    def engine_sha256(self) -> str:
        return self.tags.get(_ENGINE_TAG, "")


def parse_address(address: str) -> tuple[str, str]:
    """Domain and alias or version of "models:/DOMAIN@ALIAS" or "models:/DOMAIN/VERSION".

    Raises:
        UsageError: it is neither.
    """
    match = re.fullmatch(r"models:/([^/@]+)(?:@([^/@]+)|/(\d+))", address)
    if match is None:
        raise UsageError(
            f"{address!r} names no model version. Write models:/DOMAIN@ALIAS, such as "
            "models:/telephony-en@champion, or models:/DOMAIN/VERSION."
        )
    return match[1], match[2] or match[3]


class Registry:
    """The registry behind one MLflow tracking address, such as `sqlite:///var/mlflow/mlflow.db`."""

    def __init__(self, uri: str, artifact_root: Path) -> None:
        self.uri = uri
        self.artifact_root = artifact_root

    def register(
        self,
        domain: str,
        run: RunRecord,
        *,
        engine: Path,
        adapter: Path,
        reports: Mapping[str, Path],
    ) -> str:
        """Log a run and register its engine as a new version of `domain`; returns the version.

        An engine that is already registered gives its version again; what a killed registration
        left is removed.

        Args:
            engine: engine folder.
            adapter: adapter folder.
            reports: name -> folder or file.

        Raises:
            StorageError: the disk is full or read-only.
        """
        sha = engine_sha256(engine)
        for known in self.versions(domain):
            if known.engine_sha256 == sha:
                return known.version
        mlflow = self._mlflow
        tags = {**run.tags, _ENGINE_TAG: sha, "code_version": __version__}
        with storage_errors(self.artifact_root):
            experiment = self._experiment(domain)
            self._remove_unfinished(experiment, sha)
            mlflow.set_tracking_uri(self.uri)
            mlflow.set_registry_uri(self.uri)
            with mlflow.start_run(
                experiment_id=experiment, run_name=f"{domain} {sha[:8]}"
            ) as active:
                mlflow.set_tags(tags)
                mlflow.log_params(dict(run.params))
                logged = self._log_model(domain, engine, adapter, reports, tags, run.params)
                datasets = [_dataset(record) for record in run.datasets]
                for dataset in datasets:
                    mlflow.log_input(dataset, context="lifecycle", model=None)
                for name, curve in run.curves.items():
                    for step, value in curve:
                        mlflow.log_metric(name, value, step=step)
                mlflow.log_metrics(
                    dict(run.metrics),
                    model_id=logged.model_id,
                    dataset=datasets[0] if datasets else None,
                )
            with contextlib.suppress(mlflow.MlflowException):
                self._client.create_registered_model(domain)
            created = self._client.create_model_version(
                domain, f"models:/{logged.model_id}", active.info.run_id, tags=tags
            )
        return str(created.version)

    def versions(self, domain: str) -> list[ModelVersion]:
        """Every version of a domain, newest first; none where the domain is not registered."""
        found = self._client.search_model_versions(f"name = '{domain}'")
        by_version: dict[str, list[str]] = {}
        if found:
            for alias, version in self._client.get_registered_model(domain).aliases.items():
                by_version.setdefault(str(version), []).append(alias)
        versions = [_version(entry, by_version.get(str(entry.version), [])) for entry in found]
        return sorted(versions, key=lambda version: int(version.version), reverse=True)

    def domains(self) -> list[str]:
        """Names of the registered models."""
        return sorted(model.name for model in self._client.search_registered_models())

    def version(self, domain: str, alias_or_version: str) -> ModelVersion:
        """One version, by alias or number.

        Raises:
            UsageError: there is none.
        """
        known = self.versions(domain)
        for version in known:
            if alias_or_version == version.version or alias_or_version in version.aliases:
                return version
        names = [", ".join([f"version {v.version}", *sorted(v.aliases)]) for v in known]
        raise UsageError(
            f"The registry has no {domain}@{alias_or_version}. It has: {'; '.join(names)}."
            if known
            else f"The registry has no model {domain!r}. `voiceforge run` makes one."
        )

    def set_alias(self, domain: str, alias: str, version: str) -> None:
        """Point an alias at a version.

        Raises:
            UsageError: there is no such version.
        """
        self.version(domain, version)
        self._client.set_registered_model_alias(domain, alias, version)

    def get_alias(self, domain: str, alias: str) -> str | None:
        """The version that an alias points at, None where there is none."""
        for version in self.versions(domain):
            if alias in version.aliases:
                return version.version
        return None

    def set_tag(self, domain: str, version: str, key: str, value: str) -> None:
        """Tag a version."""
        self._client.set_model_version_tag(domain, version, key, value)

    def model_folder(self, domain: str, alias_or_version: str) -> Path:
        """The engine folder of a version, where it lies: nothing is copied.

        Raises:
            UsageError: there is no such version.
            StorageError: its files are gone or not on this machine.
        """
        return self._artifacts(domain, alias_or_version) / "artifacts" / "engine"

    def attach_certificate(self, domain: str, version: str, folder: Path) -> str:
        """Add a certificate (a folder with `certificate.json`) to a version as its latest.

        Attached again it changes nothing. Returns its id, the first 16 digits of the sha256 of
        `certificate.json`.

        Raises:
            UsageError: there is no such version.
            StorageError: the folder has no certificate.json, or the disk refuses it.
        """
        content = read_json(folder / CERTIFICATE)
        identity = sha256_file(folder / CERTIFICATE)[:16]
        target = self.version(domain, version)
        with storage_errors(folder):
            self._client.log_model_artifacts(
                target.model_id, str(folder), f"certificates/{identity}"
            )
        self.set_tag(domain, version, "verdict", str(content.get("verdict", "")))
        self.set_tag(domain, version, _CERTIFICATE_TAG, identity)
        return identity

    def latest_certificate(self, domain: str, alias_or_version: str) -> Path | None:
        """Folder of the certificate that was attached last, None where there is none.

        Raises:
            UsageError: there is no such version.
            StorageError: its files are gone or not on this machine.
        """
        identity = self.version(domain, alias_or_version).tags.get(_CERTIFICATE_TAG)
        if identity is None:
            return None
        return self._artifacts(domain, alias_or_version) / "certificates" / identity

    def _artifacts(self, domain: str, alias_or_version: str) -> Path:
        version = self.version(domain, alias_or_version)
        location = self._client.get_logged_model(version.model_id).artifact_location
        parsed = urlparse(location)
        folder = Path(unquote(parsed.path))
        if parsed.scheme not in ("", "file") or not folder.is_dir():
            raise StorageError(
                f"The files of {domain} version {version.version} are not at {location}. Restore "
                "them, or register the version again with `voiceforge run`."
            )
        return folder

    def _log_model(
        self,
        domain: str,
        engine: Path,
        adapter: Path,
        reports: Mapping[str, Path],
        tags: Mapping[str, str],
        params: Mapping[str, str | int | float],
    ) -> Any:
        # MLflow names an artifact by the last part of its path, whatever it was logged as.
        with tempfile.TemporaryDirectory(dir=self.artifact_root, prefix=".tmp-") as folder:
            artifacts = {"engine": engine, "adapter": adapter}
            artifacts |= {f"report-{name}": path for name, path in reports.items()}
            for name, path in artifacts.items():
                _link(path, Path(folder, name))
            return self._mlflow.pyfunc.log_model(
                name=domain,
                python_model=str(_PYFUNC),
                artifacts={name: str(Path(folder, name)) for name in artifacts},
                pip_requirements=[f"voiceforge=={__version__}"],
                model_config={"voiceforge": __version__},
                params=dict(params),
                tags=dict(tags),
            )

    def _experiment(self, domain: str) -> str:
        found = self._client.get_experiment_by_name(domain)
        if found is not None:
            return str(found.experiment_id)
        folder = self.artifact_root / domain
        folder.mkdir(parents=True, exist_ok=True)
        return str(self._client.create_experiment(domain, folder.as_uri()))

    def _remove_unfinished(self, experiment: str, sha: str) -> None:
        """Delete runs of an engine that never became a version: their registration was killed."""
        runs = self._client.search_runs([experiment], f"tags.{_ENGINE_TAG} = '{sha}'")
        for run in runs:
            self._client.delete_run(run.info.run_id)

    @cached_property
    def _client(self) -> Any:
        if self.uri.startswith("sqlite:///"):
            database = Path(self.uri.removeprefix("sqlite:///"))
            with storage_errors(database):
                database.parent.mkdir(parents=True, exist_ok=True)
        return self._mlflow.MlflowClient(self.uri, self.uri)

    @cached_property
    def _mlflow(self) -> Any:
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
        os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
        os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
        os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "WARNING")
        logging.getLogger("alembic").setLevel(logging.WARNING)
        import mlflow
        import mlflow.pyfunc

        return mlflow


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


def _version(entry: Any, aliases: Sequence[str]) -> ModelVersion:
    return ModelVersion(
        domain=entry.name,
        version=str(entry.version),
        aliases=tuple(sorted(aliases)),
        tags=dict(entry.tags),
        run_id=entry.run_id or "",
        # `model_id` is None for versions made of a logged model: its address carries it.
        model_id=entry.source.removeprefix("models:/"),
        created_at=int(entry.creation_timestamp),
    )


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
