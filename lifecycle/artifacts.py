"""Artifacts: folders made once from their inputs, whole or not at all, and never made again.

An artifact lies in `artifacts/DOMAIN/STAGE/KEY/` beside its `manifest.json`: the sha256 of its
files, of its inputs and of the parameters it was made from. The key is a hash over the stage, its
code version, inputs and parameters, so that an unchanged question finds its answer.
`artifacts/DOMAIN/current/STAGE.json` names the artifact that the last run made or found.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from voiceforge.errors import IntegrityError, StageError
from voiceforge.files import (
    new_folder,
    read_json,
    sha256_file,
    sha256_folder,
    sha256_json,
    write_json,
)

MANIFEST = "manifest.json"
_KEY_LENGTH = 16


@dataclass(frozen=True)
class Artifact:
    """What a stage left on disk.

    Attributes:
        path: its folder.
        sha256: hash over the sha256 of its files; what a later stage records as its input.
        inputs: name -> sha256 of what it was made from.
        parameters: the parameters it was made from.
        summary: plain figures for people (Dagster metadata, `dvc metrics`).
        seconds: wall time of making it, 0 where the last run did not make or find it. It is kept
            beside the manifest, so that equal artifacts are equal byte for byte.
        reused: True when it was found rather than made.
    """

    domain: str
    stage: str
    key: str
    path: Path
    sha256: str
    inputs: Mapping[str, str]
    parameters: Mapping[str, Any]
    summary: Mapping[str, Any]
    seconds: float
    reused: bool = field(default=False, compare=False)


@dataclass(frozen=True)
class Question:
    """What a stage is asked to make: its identity before it exists.

    Attributes:
        version: the stage's code version, raised when its output for equal inputs changes.
    """

    domain: str
    stage: str
    version: int
    inputs: Mapping[str, str]
    parameters: Mapping[str, Any]

    @property
    def key(self) -> str:
        return sha256_json([self.stage, self.version, dict(self.inputs), dict(self.parameters)])[
            :_KEY_LENGTH
        ]


Build = Callable[[Path, Path], Mapping[str, Any]]
"""Makes the artifact in its first argument, an empty folder; the second is a folder that outlives a
kill, for checkpoints. Returns the summary."""


class ArtifactStore:
    """The artifacts of every domain below one folder."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def folder(self, domain: str, stage: str) -> Path:
        return self.root / domain / stage

    def make(
        self,
        question: Question,
        build: Build,
        *,
        at: Path | None = None,
        pointer: str | None = None,
    ) -> Artifact:
        """Find the artifact that answers `question`, or build it.

        Args:
            at: its folder, where that is not the store's own choice (corpora).
            pointer: name under which `current` finds it, by default the stage's; where a stage
                runs more than once (predictions of several engines) each run has its own.

        Raises:
            IntegrityError: the artifact exists and its files are not what its manifest says.
        """
        path = at or self.folder(question.domain, question.stage) / question.key
        found = self._find(path, question.key)
        if found is None:
            found = self._build(question, build, path)
        return self.keep(pointer or question.stage, found)

    def holds(self, question: Question) -> bool:
        """Whether `make` would find an artifact; its files are not looked at."""
        path = self.folder(question.domain, question.stage) / question.key / MANIFEST
        return path.is_file()

    def keep(self, name: str, artifact: Artifact) -> Artifact:
        """Make an artifact that exists the one that `current` finds under `name`."""
        pointer = self._pointer(artifact.domain, name)
        known = read_json(pointer) if pointer.is_file() else {}
        if artifact.reused and known.get("sha256") == artifact.sha256:
            artifact = replace(artifact, seconds=known.get("seconds", 0.0))
        content = {
            "path": os.path.relpath(artifact.path, self.root.parent),
            "sha256": artifact.sha256,
            "seconds": artifact.seconds,
        }
        if known != content:
            write_json(pointer, content)
        return artifact

    def load(self, path: Path) -> Artifact:
        """Read an artifact's manifest (its files are not looked at)."""
        fields = read_json(path / MANIFEST)
        return Artifact(
            domain=fields["domain"],
            stage=fields["stage"],
            key=fields["key"],
            path=path,
            sha256=sha256_json(fields["files"]),
            inputs=fields["inputs"],
            parameters=fields["parameters"],
            summary=fields["summary"],
            seconds=0.0,
            reused=True,
        )

    def current(self, domain: str, stage: str) -> Artifact:
        """The artifact that the domain's last run of `stage` made or found.

        Raises:
            StageError: that stage has not run, or its artifact was removed.
        """
        pointer = self._pointer(domain, stage)
        if pointer.is_file():
            known = read_json(pointer)
            path = Path(self.root.parent / known["path"])
            if (path / MANIFEST).is_file():
                return replace(self.load(path), seconds=known.get("seconds", 0.0))
        raise StageError(
            f"The stage '{stage}' of {domain} has left no artifact yet. Run it first: "
            f"`voiceforge run --domain {domain}` runs every stage that is missing."
        )

    def has_current(self, domain: str, stage: str) -> bool:
        try:
            self.current(domain, stage)
        except StageError:
            return False
        return True

    def forget(self, domain: str, name: str) -> None:
        """Let `current` find nothing under `name`; the artifact itself is left to `gc`."""
        self._pointer(domain, name).unlink(missing_ok=True)

    def pointers(self, domain: str) -> list[str]:
        """The names under which `current` may find something."""
        return sorted(path.stem for path in (self.root / domain / "current").glob("*.json"))

    def history(self, domain: str, stage: str) -> list[Artifact]:
        """Every finished artifact of a stage, oldest first."""
        folder = self.folder(domain, stage)
        manifests = sorted(folder.glob(f"[!.]*/{MANIFEST}"), key=lambda path: path.stat().st_mtime)
        return [self.load(path.parent) for path in manifests]

    def workspace(self, question: Question) -> Path:
        """A folder that outlives a kill; removed when the artifact is finished."""
        return self.folder(question.domain, question.stage) / f".work-{question.key}"

    def _find(self, path: Path, key: str) -> Artifact | None:
        if not (path / MANIFEST).is_file():
            return None
        artifact = self.load(path)
        if artifact.key != key:
            return None
        _check_files(path, contents=path.is_relative_to(self.root))
        return artifact

    def _build(self, question: Question, build: Build, path: Path) -> Artifact:
        workspace = self.workspace(question)
        workspace.mkdir(parents=True, exist_ok=True)
        started = time.monotonic()
        with new_folder(path) as folder:
            summary = build(folder, workspace)
            files = sha256_folder(folder)
            write_json(
                folder / MANIFEST,
                {
                    "domain": question.domain,
                    "stage": question.stage,
                    "key": question.key,
                    "version": question.version,
                    "inputs": dict(question.inputs),
                    "parameters": dict(question.parameters),
                    "summary": dict(summary),
                    "files": files,
                    "sizes": {name: (folder / name).stat().st_size for name in files},
                },
            )
        shutil.rmtree(workspace, ignore_errors=True)
        seconds = round(time.monotonic() - started, 3)
        return replace(self.load(path), seconds=seconds, reused=False)

    def _pointer(self, domain: str, name: str) -> Path:
        return self.root / domain / "current" / f"{name}.json"


def _check_files(path: Path, *, contents: bool = True) -> None:
    """Check an artifact's files against its manifest.

    Args:
        contents: hash them, which finds what was edited or went bad on the disk; else only that
            nothing was removed or cut (corpora, which may be large: a row has its audio's hash).

    Raises:
        IntegrityError: a file is not what the manifest says.
    """
    manifest = read_json(path / MANIFEST)
    for name, size in manifest["sizes"].items():
        file = path / name
        if not file.is_file() or file.stat().st_size != size:
            wrong = "is missing or has another size than"
        elif contents and sha256_file(file) != manifest["files"][name]:
            wrong = "has other content than"
        else:
            continue
        raise IntegrityError(
            f"{file} {wrong} {path / MANIFEST} says. Delete the folder {path} and run again: "
            "it will be made anew."
        )
