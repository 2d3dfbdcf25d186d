"""The model that is being served: found, verified, loaded, and exchanged when the champion changes.

A model is served only when its certificate says so for exactly this engine and every file is what
was built, its calibrator included, without which the same confidences would mean something else.
When the alias points at something else than that, the old model stays and an alarm is logged: an
alias moved by hand serves nothing new.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from evaluation.model_calibrator import ModelCalibrator
from experiments.certificate import ENGINE, verify_certificate
from serving.confidence import StoredCalibrator
from serving.engines import engine_sha256, load_engine
from serving.engines.contracts import Engine
from serving.registry import CERTIFICATE, CHAMPION, Registry
from voiceforge.errors import IntegrityError, UsageError, VoiceForgeError
from voiceforge.files import read_json

logger = logging.getLogger("bentoml.voiceforge")

STARTING = "The service is starting and has not found its model yet."


@dataclass(frozen=True)
class Candidate:
    """A model that may be served.

    Attributes:
        name: registered model, or the engine folder's name.
        version: "" for an engine folder.
        certificate: folder with its latest certificate, None where there is none.
        needs_certificate: False only for a folder that the operator named by hand.
        calibrator: of the engine, with the hash that was recorded of it: one that is fitted anew
            makes another candidate.
    """

    name: str
    version: str
    engine: Path
    certificate: Path | None
    needs_certificate: bool = True
    calibrator: StoredCalibrator = field(default_factory=StoredCalibrator)


@dataclass(frozen=True)
class Served:
    """A loaded model; `certified` says whether a certificate was verified for it.

    `calibrator` makes its confidences probabilities, where it has one; `reason` is its
    certificate's sentence on why this engine serves.
    """

    name: str
    version: str
    engine_sha256: str
    certified: bool
    engine: Engine
    calibrator: ModelCalibrator | None = None
    reason: str = ""

    @property
    def label(self) -> str:
        """Such as "telephony-en/3"."""
        return f"{self.name}/{self.version}" if self.version else self.name


class Source(Protocol):
    """Says which model should be served now."""

    def find(self) -> Candidate:
        """Cheap enough to be asked every few seconds; raises VoiceForgeError where none is."""
        ...


@dataclass(frozen=True)
class FolderSource:
    """An engine folder; with a `certificate.json` beside its engine.json's folder or without."""

    folder: Path
    name: str = ""
    version: str = ""
    certificate: Path | None = None
    needs_certificate: bool = False
    calibrator: StoredCalibrator = field(default_factory=StoredCalibrator)

    def find(self) -> Candidate:
        return Candidate(
            self.name or self.folder.name,
            self.version,
            self.folder,
            self.certificate,
            self.needs_certificate,
            self.calibrator,
        )


class RegistrySource:
    """The version behind an alias; by default the champion of the only domain that has one."""

    def __init__(self, registry: Registry, domain: str | None, alias: str = CHAMPION) -> None:
        self._registry = registry
        self._domain = domain
        self._alias = alias

    def find(self) -> Candidate:
        domain = self._domain or self._only_domain()
        version = self._registry.get_alias(domain, self._alias)
        if version is None:
            raise UsageError(
                f"{domain} has no {self._alias} yet. `voiceforge run --domain {domain}` trains "
                "and certifies one; the service loads it by itself."
            )
        return Candidate(
            domain,
            version,
            self._registry.model_folder(domain, version),
            self._registry.latest_certificate(domain, version),
            calibrator=self._registry.calibrator(domain, version),
        )

    def _only_domain(self) -> str:
        registry = self._registry
        found = [name for name in registry.domains() if registry.get_alias(name, self._alias)]
        if len(found) > 1:
            raise UsageError(
                f"Several domains have a {self._alias}: {', '.join(found)}. Say which one to "
                "serve: `--domain NAME` or VOICEFORGE_DOMAIN."
            )
        if not found:
            raise UsageError(
                f"No domain has a {self._alias} yet. `voiceforge run` trains and certifies one; "
                "the service loads it by itself."
            )
        return found[0]


class LiveModel:
    """Holds the served model and keeps it the one its source names.

    Args:
        source: makes the source; called in the watching thread, as it may be slow.
        threads: CPU threads of the engine.
        interval: seconds between looks at the source.
    """

    def __init__(
        self, source: Callable[[], Source], threads: int, *, interval: float = 3.0
    ) -> None:
        self._make_source = source
        self._threads = threads
        self._interval = interval
        self._source: Source | None = None
        self._loaded: Candidate | None = None
        self._stopped = threading.Event()
        self._watcher: threading.Thread | None = None
        self.current: Served | None = None
        self.problem = STARTING

    def start(self) -> None:
        """Look for the model now and then, in a thread of its own."""
        self._watcher = threading.Thread(target=self._watch, name="live-model", daemon=True)
        self._watcher.start()

    def stop(self) -> None:
        self._stopped.set()
        if self._watcher is not None:
            self._watcher.join(timeout=5.0)

    def refresh(self) -> None:
        """Look once: load what the source names, or keep what is there and say why."""
        try:
            if self._source is None:
                self._source = self._make_source()
            candidate = self._source.find()
            if candidate != self._loaded:
                served = _load(candidate, self._threads)
                self.current, self._loaded = served, candidate
                logger.info("Serving %s (engine %s)", served.label, served.engine_sha256[:12])
            self.problem = ""
        except VoiceForgeError as error:
            self._alarm(str(error))
        except Exception as error:
            # The watcher must outlive whatever a registry's database or disk may raise.
            logger.debug("Looking for the model failed", exc_info=True)
            self._alarm(f"The model could not be looked up or loaded: {error!r}.")

    def _alarm(self, problem: str) -> None:
        if problem != self.problem:
            kept = f"; {self.current.label} stays" if self.current else ""
            logger.error("ALARM: no new model is served%s. %s", kept, problem)
        self.problem = problem

    def _watch(self) -> None:
        while not self._stopped.is_set():
            self.refresh()
            self._stopped.wait(self._interval)


def _load(candidate: Candidate, threads: int) -> Served:
    """Verify and load.

    Raises:
        IntegrityError: there is no certificate, it is not for this engine or does not promote,
            a file of the engine is not what was built, or its calibrator is gone, was changed or
            is another engine's.
    """
    sha, reason = engine_sha256(candidate.engine), ""
    if candidate.certificate is not None:
        certificate = verify_certificate(read_json(candidate.certificate / CERTIFICATE), sha)
        reason = next((gate.reason for gate in certificate.gates if gate.name == ENGINE), "")
    elif candidate.needs_certificate:
        raise IntegrityError(
            f"{candidate.name} version {candidate.version} has no certificate, so it may not reach "
            "users. `voiceforge run` certifies it."
        )
    return Served(
        name=candidate.name,
        version=candidate.version,
        engine_sha256=sha,
        certified=candidate.certificate is not None,
        engine=load_engine(candidate.engine, threads),
        calibrator=candidate.calibrator.read(sha),
        reason=reason,
    )
