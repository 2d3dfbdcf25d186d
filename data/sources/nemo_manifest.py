"""A NeMo manifest: a JSON object a line, as NVIDIA NeMo trains from.

Needed are audio_filepath, text and duration (s); offset (s) makes the row a part of a longer file.
lang (or language), speaker, accent, licence, consent and id may be there; other keys are ignored.
A relative audio_filepath starts at the manifest's folder and stays in it; an absolute one must lie
in the source's `audio_root`.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data.sources.audio_paths import below
from data.sources.base import Plan, Reach, slug
from data.sources.rows import Origin, Row, Rows, fingerprint_rows, plan_rows, rows_of
from data.sources.text_tables import Line, Unusable, number_cell, read_jsonl, text_cell
from voiceforge.errors import UsageError
from voiceforge.files import sha256_file
from voiceforge.params import NemoManifestSource
from voiceforge.settings import from_project

_TEXTS = ("speaker", "accent", "licence", "consent", "id")
_TARRED = re.compile(r"_OP_\d+\.\.\d+_CL_|^(tarred|sharded)_")


@dataclass(frozen=True, slots=True)
class NemoManifest:
    """A manifest and its audio; relative paths in params.yaml start at the project."""

    params: NemoManifestSource
    project: Path

    @property
    def path(self) -> Path:
        return from_project(self.project, self.params.path)

    @property
    def name(self) -> str:
        """First part of its ids: the name of the manifest and its folder, wherever it lies."""
        path = self.path.resolve()
        return slug(f"{path.parent.name}-{path.stem}")

    def plan(self, reach: Reach) -> Plan:
        """Read the manifest.

        Raises:
            UsageError: it is not there, no text, or one of a tarred dataset; `audio_root` is not
                there.
        """
        name, params = self.name, self.params
        origin = Origin(
            f"nemo-manifest:{name}", name, name, params.language, params.licence, params.consent
        )
        return plan_rows(origin, self._rows())

    def fingerprint(self) -> Any:
        """The manifest's bytes, and name, size and time of change of every file it names."""
        return {
            "nemo-manifest": self.params.model_dump(mode="json"),
            "files": fingerprint_rows(self._rows()),
            "manifest": sha256_file(self.path),
        }

    def _rows(self) -> Rows:
        if self.path.is_dir():
            there = ", ".join(sorted(path.name for path in self.path.glob("*.json*"))) or "none"
            raise UsageError(
                f"{self.path} is a folder; give the manifest itself as the `path` of the source. "
                f"Files in it that may be one: {there}."
            )
        if not self.path.is_file():
            raise UsageError(
                f"The manifest {self.path} does not exist. Give `path` of the source in "
                "params.yaml as a NeMo manifest, absolute or relative to the project."
            )
        if _TARRED.search(self.path.name):
            raise UsageError(_tarred(self.path, "its name is that of a shard"))
        audio_root = self._audio_root()
        return rows_of(read_jsonl(self.path), lambda line: self._row(line, audio_root))

    def _audio_root(self) -> Path | None:
        if self.params.audio_root is None:
            return None
        root = from_project(self.project, self.params.audio_root)
        if not root.is_dir():
            raise UsageError(
                f"The folder {root} does not exist. Give `audio_root` of the source in params.yaml "
                "as the folder that the manifest's absolute paths lie in, or leave it out."
            )
        return root

    def _row(self, line: Line, audio_root: Path | None) -> Row:
        if "shard_id" in line.cells:
            raise UsageError(_tarred(self.path, f"{line.place} has a shard_id"))
        audio = text_cell(line, "audio_filepath", needed=True)
        text = text_cell(line, "text", needed=True)
        duration, offset = number_cell(line, "duration"), number_cell(line, "offset")
        if duration is None:
            raise Unusable("bad-duration", "duration is missing.")
        if not (math.isfinite(duration) and duration > 0.0):
            raise Unusable("bad-duration", f"duration is {duration} s; it is more than 0.")
        root = self.path.parent
        if audio_root is not None and Path(audio).is_absolute():
            root, audio = audio_root, below(audio, audio_root)
        return Row(
            place=line.place,
            root=root,
            audio=audio,
            text=text,
            language=text_cell(line, "lang") or text_cell(line, "language"),
            start=offset or 0.0,
            seconds=None if offset is None else duration,
            **{key: text_cell(line, key) for key in _TEXTS},
        )


def _tarred(path: Path, why: str) -> str:
    return (
        f"{path} is a manifest of a tarred dataset ({why}), which is not read. Give the manifest "
        "of the same recordings as files, or unpack the archives beside it."
    )
