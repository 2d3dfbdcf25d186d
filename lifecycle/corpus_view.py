"""A corpus as people look at it: each of its tables is read when it is first asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from data.measurement import Measurement
from data.sources.base import Reject
from data.utterance import Utterance
from lifecycle import corpus, splits, validation
from lifecycle.artifacts import MANIFEST, Artifact
from lifecycle.workspace import Workspace
from voiceforge.errors import UsageError
from voiceforge.files import read_json


@dataclass(frozen=True)
class CorpusView:
    """A corpus and what became of its recordings.

    Attributes:
        workspace: of its domain.
        made: its validation.
    """

    workspace: Workspace
    made: Artifact

    @property
    def name(self) -> str:
        return self.workspace.domain.name

    @property
    def folder(self) -> Path:
        return self.workspace.corpus

    @cached_property
    def utterances(self) -> Sequence[Utterance]:
        """What may be trained and tested on; with their splits where those were made."""
        from data.tables import read_utterances

        split = _splits_of(self.workspace, self.made)
        if split:
            return read_utterances(split.path / splits.TABLE)
        return read_utterances(self.made.path / validation.TABLE)

    @cached_property
    def recordings(self) -> Mapping[str, Utterance]:
        """Every recording that could be decoded, quarantined ones included, by id."""
        from data.tables import load_corpus

        return {row.id: row for row in load_corpus(self.folder)}

    @cached_property
    def measurements(self) -> Mapping[str, Measurement]:
        """By utterance id."""
        from data.tables import MEASUREMENTS, read_measurements

        return {row.id: row for row in read_measurements(self.folder / MEASUREMENTS)}

    @cached_property
    def rejects(self) -> Sequence[Reject]:
        """The quarantine, a row for each recording and reason."""
        from data.tables import read_rejects

        return read_rejects(self.made.path / validation.QUARANTINE)

    @property
    def quarantined(self) -> int:
        """Recordings in quarantine."""
        return int(self.made.summary["quarantined"])

    @property
    def quarantined_share(self) -> float:
        return self.quarantined / max(1, self.quarantined + int(self.made.summary["utterances"]))

    @property
    def released(self) -> int:
        """Utterances that a person let back in."""
        return int(self.made.summary["released"])

    @cached_property
    def versions(self) -> Sequence[Mapping[str, Any]]:
        """Recorded by DVC, newest first: md5, files, bytes, `time`."""
        return recorded_versions(self.workspace)

    @property
    def data_docs(self) -> Path:
        """Great Expectations' pages."""
        return validation.docs_page(self.made)


def view_corpus(workspace: Workspace) -> CorpusView:
    """A domain's corpus as its last run left it; tables that are gone or damaged raise
    StorageError or IntegrityError when they are asked for.

    Raises:
        UsageError: it was never built.
        StageError: it was validated in another version.
    """
    name = workspace.domain.name
    if not is_built(workspace):
        raise UsageError(
            f"The corpus {name} has not been built and validated yet. `voiceforge corpus validate "
            f"{name}` does both."
        )
    return CorpusView(workspace, validation.current_validation(workspace))


def is_built(workspace: Workspace) -> bool:
    """Whether the corpus lies in its folder and has been validated."""
    validated = workspace.store.has_current(workspace.domain.name, validation.STAGE)
    return validated and (workspace.corpus / MANIFEST).is_file()


def recorded_versions(workspace: Workspace) -> list[Mapping[str, Any]]:
    """What DVC recorded of a corpus, newest first, as in `CorpusView.versions`."""
    folder = workspace.store.folder(workspace.domain.name, corpus.STAGE) / "versions"
    records = sorted(
        folder.glob("*/version.json"), key=lambda path: path.stat().st_mtime, reverse=True
    )
    return [{**read_json(path), "time": path.stat().st_mtime} for path in records]


def _splits_of(workspace: Workspace, made: Artifact) -> Artifact | None:
    """The splits, where they were made of these very utterances."""
    if not workspace.store.has_current(workspace.domain.name, splits.STAGE):
        return None
    split = workspace.current(splits.STAGE)
    return split if split.inputs.get(validation.STAGE) == made.sha256 else None
