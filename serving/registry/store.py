"""The registry itself: versions, aliases and certificates behind one MLflow address."""

from __future__ import annotations

import contextlib
import logging
import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlparse

from serving.confidence import (
    CALIBRATOR,
    StoredCalibrator,
    calibrator_beside,
    read_calibrator,
    recorded_as,
)
from serving.confidence import FOLDER as CALIBRATOR_FOLDER
from serving.engines import engine_sha256
from serving.registry.records import ENGINE_TAG, ModelVersion, RunRecord
from serving.registry.runs import log_run
from serving.registry.training_runs import (
    TrainingRun,
    find_training_run,
    open_training_run,
)
from voiceforge import __version__
from voiceforge.errors import StorageError, UsageError, VoiceForgeError
from voiceforge.files import read_json, sha256_file, storage_errors, write_bytes

CHAMPION = "champion"
CHALLENGER = "challenger"
CERTIFICATE = "certificate.json"

_CERTIFICATE_TAG = "certificate"
_CALIBRATOR_TAG = "calibrator"
_DISK_TROUBLE = (
    "readonly database",
    "database or disk is full",
    "unable to open database file",
    "disk I/O error",
    "database is locked",
)
"""What SQLite says of disks; MLflow passes it on inside messages of its own."""


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
        calibrator: Path | None = None,
    ) -> str:
        """Log a run and register its engine as a new version of `domain`; returns the version.

        An engine that is already registered gives its version again; what a killed registration
        left is removed.

        Args:
            engine: engine folder.
            adapter: adapter folder.
            reports: name -> folder or file.
            calibrator: file of the engine's calibrator.

        Raises:
            StorageError: the disk is full or read-only.
        """
        sha = engine_sha256(engine)
        for known in self.versions(domain):
            if known.engine_sha256 == sha:
                return known.version
        mlflow = self._mlflow
        tags = {**run.tags, ENGINE_TAG: sha, "code_version": __version__}
        tags |= {_CALIBRATOR_TAG: recorded_as(calibrator)} if calibrator else {}
        with self._errors():
            experiment = self._experiment(domain)
            self._remove_unfinished(experiment, sha)
            mlflow.set_tracking_uri(self.uri)
            mlflow.set_registry_uri(self.uri)
            artifacts = {"engine": engine, "adapter": adapter}
            artifacts |= {f"report-{name}": path for name, path in reports.items()}
            artifacts |= {CALIBRATOR_FOLDER: calibrator} if calibrator else {}
            run_id, model_id = log_run(
                mlflow,
                domain,
                experiment,
                replace(run, tags=tags),
                artifacts,
                self.artifact_root,
            )
            with contextlib.suppress(mlflow.MlflowException):
                self._client.create_registered_model(domain)
            created = self._client.create_model_version(
                domain, f"models:/{model_id}", run_id, tags=tags
            )
        return str(created.version)

    @contextlib.contextmanager
    def training(
        self, domain: str, key: str, params: Mapping[str, Any], tags: Mapping[str, str]
    ) -> Iterator[TrainingRun]:
        """A run that is open while the block trains the adapter of that key.

        A training that goes on has the run that it had. The run says how the block ended.

        Raises:
            StorageError: the disk is full or read-only.
        """
        with self._errors():
            experiment = self._experiment(domain)
            run = open_training_run(
                self._client, experiment, f"{domain} training", key, params, tags
            )
        try:
            yield run
        except BaseException as error:
            # The training's own error is the one to see, also where the disk takes nothing more.
            with contextlib.suppress(Exception):
                run.end(error)
            raise
        with self._errors():
            run.end(None)

    def training_run(self, domain: str, key: str) -> str:
        """Id of the run that trained the adapter of that key, "" where there is none."""
        with self._errors():
            found = self._client.get_experiment_by_name(domain)
            return find_training_run(self._client, found.experiment_id, key) if found else ""

    def versions(self, domain: str) -> list[ModelVersion]:
        """Every version of a domain, newest first; none where the domain is not registered."""
        by_version: dict[str, list[str]] = {}
        with self._errors():
            found = self._client.search_model_versions(f"name = '{domain}'")
            if found:
                for alias, version in self._client.get_registered_model(domain).aliases.items():
                    by_version.setdefault(str(version), []).append(alias)
        versions = [_version(entry, by_version.get(str(entry.version), [])) for entry in found]
        return sorted(versions, key=lambda version: int(version.version), reverse=True)

    def domains(self) -> list[str]:
        """Names of the registered models."""
        with self._errors():
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
            else f"The registry has no model {domain!r}. `voiceforge run --domain NAME` makes one "
            "of a domain of params.yaml; `voiceforge status` lists those."
        )

    def set_alias(self, domain: str, alias: str, version: str) -> None:
        """Point an alias at a version.

        Raises:
            UsageError: there is no such version.
        """
        self.version(domain, version)
        with self._errors():
            self._client.set_registered_model_alias(domain, alias, version)

    def get_alias(self, domain: str, alias: str) -> str | None:
        """The version that an alias points at, None where there is none."""
        for version in self.versions(domain):
            if alias in version.aliases:
                return version.version
        return None

    def set_tag(self, domain: str, version: str, key: str, value: str) -> None:
        """Tag a version."""
        with self._errors():
            self._client.set_model_version_tag(domain, version, key, value)

    def model_folder(self, domain: str, alias_or_version: str) -> Path:
        """The engine folder of a version, where it lies: nothing is copied.

        Raises:
            UsageError: there is no such version.
            StorageError: its files are gone or not on this machine.
        """
        return self._artifacts(domain, alias_or_version) / "artifacts" / "engine"

    def calibrator(self, domain: str, alias_or_version: str) -> StoredCalibrator:
        """Where a version's calibrator lies, and which it must be; cheap, so not yet verified.

        Raises:
            UsageError: there is no such version.
            StorageError: its files are gone or not on this machine.
        """
        recorded = self.version(domain, alias_or_version).tags.get(_CALIBRATOR_TAG, "")
        beside = calibrator_beside(self.model_folder(domain, alias_or_version))
        return StoredCalibrator(beside, recorded)

    def attach_calibrator(self, domain: str, version: str, calibrator: Path) -> None:
        """Make a calibrator a version's own, in place of another; the same again changes nothing.

        Args:
            calibrator: file `calibrator.json` of exactly the version's engine.

        Raises:
            UsageError: there is no such version.
            IntegrityError: it is none, or of another engine.
            StorageError: the version's files are gone, or the disk refuses it.
        """
        engine = self.model_folder(domain, version)
        read_calibrator(calibrator, engine_sha256(engine))
        there = calibrator_beside(engine)
        if there is None or there.read_bytes() != calibrator.read_bytes():
            write_bytes(engine.parent / CALIBRATOR_FOLDER / CALIBRATOR, calibrator.read_bytes())
        self.set_tag(domain, version, _CALIBRATOR_TAG, recorded_as(calibrator))

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
        with self._errors():
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

    def _experiment(self, domain: str) -> str:
        found = self._client.get_experiment_by_name(domain)
        if found is not None:
            return str(found.experiment_id)
        folder = self.artifact_root / domain
        folder.mkdir(parents=True, exist_ok=True)
        return str(self._client.create_experiment(domain, folder.as_uri()))

    def _remove_unfinished(self, experiment: str, sha: str) -> None:
        """Delete runs of an engine that never became a version: their registration was killed."""
        runs = self._client.search_runs([experiment], f"tags.{ENGINE_TAG} = '{sha}'")
        for run in runs:
            self._client.delete_run(run.info.run_id)

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        """Turn what the disk does to files or database into a `StorageError`."""
        with storage_errors(self.artifact_root):
            try:
                yield
            except VoiceForgeError:
                raise
            except Exception as error:
                trouble = next((words for words in _DISK_TROUBLE if words in str(error)), None)
                if trouble is None:
                    raise
                raise StorageError(
                    f"The registry {self.uri} cannot be used ({trouble}). Free some space "
                    "(`voiceforge gc`), make its folder writable, or set VOICEFORGE_HOME to a "
                    "folder that is; then run again."
                ) from error

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
        warnings.filterwarnings("ignore", message="The ``noload`` loader strategy")
        import mlflow
        import mlflow.pyfunc

        return mlflow


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
