"""One domain on one machine: its parameters, its folders, its lock."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import filelock

from lifecycle.artifacts import Artifact, ArtifactStore, Build, Question
from lifecycle.progress import Progress, State, publish
from voiceforge.errors import StageError
from voiceforge.files import storage_errors
from voiceforge.params import DomainParams, TrainingParams, domain_params
from voiceforge.settings import PARAMS_FILE, Settings, load_settings


@dataclass(frozen=True)
class Workspace:
    """What every stage is given."""

    settings: Settings
    domain: DomainParams

    @property
    def store(self) -> ArtifactStore:
        return ArtifactStore(self.settings.artifacts)

    @property
    def corpus(self) -> Path:
        """The domain's corpus folder, tracked by DVC."""
        return self.settings.corpora / self.domain.name

    @property
    def ledgers(self) -> Path:
        """The domain's split ledger, gate sets and what else git should keep."""
        return self.settings.ledgers / self.domain.name

    def trained_with(self, training: TrainingParams) -> Workspace:
        """The same workspace for a training with other parameters."""
        return Workspace(self.settings, self.domain.model_copy(update={"training": training}))

    def current(self, stage: str) -> Artifact:
        return self.store.current(self.domain.name, stage)

    def make(
        self,
        stage: str,
        version: int,
        inputs: Mapping[str, str],
        parameters: Mapping[str, Any],
        build: Build,
        *,
        at: Path | None = None,
        pointer: str | None = None,
    ) -> Artifact:
        """See `ArtifactStore.make`."""
        name = pointer or stage
        self.report(name, 0, 0)
        question = self.question(stage, version, inputs, parameters)
        artifact = self.store.make(question, build, at=at, pointer=pointer)
        state: State = "unchanged" if artifact.reused else "made"
        seconds = {"seconds": artifact.seconds}
        publish(Progress(self.domain.name, name, 1, 1, "", seconds, state))
        return artifact

    def question(
        self, stage: str, version: int, inputs: Mapping[str, str], parameters: Mapping[str, Any]
    ) -> Question:
        """What `make` would ask the store."""
        return Question(self.domain.name, stage, version, inputs, parameters)

    def keep(self, stage: str, artifact: Artifact) -> Artifact:
        """Go on with an artifact that exists."""
        kept = self.store.keep(stage, artifact)
        publish(Progress(self.domain.name, stage, 1, 1, "", {}, "unchanged"))
        return kept

    def report(self, stage: str, done: int, total: int, message: str = "", **values: float) -> None:
        """Publish how far a stage is."""
        publish(Progress(self.domain.name, stage, done, total, message, values))


def open_workspace(domain: str, settings: Settings | None = None) -> Workspace:
    """The workspace of a domain of params.yaml.

    Raises:
        UsageError: no such domain, or params.yaml or a `VOICEFORGE_*` variable is off.
    """
    settings = settings or load_settings()
    return Workspace(settings, domain_params(settings.project / PARAMS_FILE, domain))


@contextlib.contextmanager
def domain_lock(settings: Settings, domain: str) -> Iterator[None]:
    """Hold the domain for one run: manual, scheduled and `dvc repro` runs stay apart.

    Re-entrant in a process. Raises:
        StageError: another process holds it.
    """
    path = settings.locks / f"{domain}.lock"
    with storage_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    lock = filelock.FileLock(path, timeout=0, is_singleton=True, thread_local=False)
    try:
        lock.acquire()
    except filelock.Timeout as error:
        raise StageError(
            f"Another run of {domain} is going on (it holds {path}). Wait for it to end, or end it."
        ) from error
    try:
        yield
    finally:
        lock.release()
