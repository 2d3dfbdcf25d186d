"""A corpus as people look at it: every table of it that is there, read once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
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
        name, folder: of the corpus.
        utterances: what may be trained and tested on; with their splits where those were made.
        recordings: every recording that could be decoded, quarantined ones included, by id.
        measurements: by utterance id.
        rejects: the quarantine, a row for each recording and reason.
        quarantined: recordings in quarantine.
        released: utterances that a person let back in.
        versions: recorded by DVC, newest first.
        data_docs: Great Expectations' pages.
    """

    name: str
    folder: Path
    utterances: Sequence[Utterance]
    recordings: Mapping[str, Utterance]
    measurements: Mapping[str, Measurement]
    rejects: Sequence[Reject]
    quarantined: int
    released: int
    versions: Sequence[Mapping[str, Any]]
    data_docs: Path

    @property
    def quarantined_share(self) -> float:
        return self.quarantined / max(1, self.quarantined + len(self.utterances))


def view_corpus(workspace: Workspace) -> CorpusView:
    """Read a domain's corpus as its last run left it.

    Raises:
        UsageError: it was never built.
        StageError: it was validated in another version.
        StorageError, IntegrityError: one of its tables is gone or damaged.
    """
    from data.tables import (
        MEASUREMENTS,
        load_corpus,
        read_measurements,
        read_rejects,
        read_utterances,
    )

    name = workspace.domain.name
    if not is_built(workspace):
        raise UsageError(
            f"The corpus {name} has not been built and validated yet. `voiceforge corpus validate "
            f"{name}` does both."
        )
    made = validation.current_validation(workspace)
    split = _splits_of(workspace, made)
    accepted = read_utterances(split.path / splits.TABLE if split else made.path / validation.TABLE)
    return CorpusView(
        name=name,
        folder=workspace.corpus,
        utterances=accepted,
        recordings={row.id: row for row in load_corpus(workspace.corpus)},
        measurements={row.id: row for row in read_measurements(workspace.corpus / MEASUREMENTS)},
        rejects=read_rejects(made.path / validation.QUARANTINE),
        quarantined=int(made.summary["quarantined"]),
        released=int(made.summary["released"]),
        versions=recorded_versions(workspace),
        data_docs=validation.docs_page(made),
    )


def is_built(workspace: Workspace) -> bool:
    """Whether the corpus lies in its folder and has been validated."""
    validated = workspace.store.has_current(workspace.domain.name, validation.STAGE)
    return validated and (workspace.corpus / MANIFEST).is_file()


def recorded_versions(workspace: Workspace) -> list[Mapping[str, Any]]:
    """Every version that runs recorded with DVC, newest first: md5, files, bytes, `time`."""
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
