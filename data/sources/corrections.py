"""Corrections: what users of the service put right, exported for training.

The folder holds `corrections.jsonl` and the audio that it names. A line is a JSON object with these
keys, all of them needed, in which others are ignored:

    id            text     names the utterance; a later correction of it replaces the line
    audio         text     path of the audio, inside the folder
    text          text     the words as the user left them: the reference
    hypothesis    text     the words as the model gave them
    user          text     who corrected, a pseudonym that is stable; also who is heard
    language      text     BCP 47 tag
    accent        text     BCP 47 tag, or null where it is not known
    consent       text     "granted", "unknown" or "refused"
    licence       text     SPDX identifier, or "unknown"
    corrected_at  text     ISO 8601 date and time with its offset from UTC
    model         text     the model version that gave the hypothesis

Only what a user granted enters; the rest is rejected as "no-consent". A text that equals its
hypothesis confirms the model's words and is kept like any other.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from data.sources.base import Plan, Reach, slug
from data.sources.rows import (
    Origin,
    Row,
    Rows,
    Skipped,
    fingerprint_rows,
    is_tag,
    plan_rows,
    require_folder,
    rows_of,
)
from data.sources.text_tables import Line, Unusable, read_jsonl, text_cell
from voiceforge.errors import UsageError
from voiceforge.files import sha256_file
from voiceforge.params import CorrectionsSource
from voiceforge.settings import from_project

TABLE = "corrections.jsonl"


@dataclass(frozen=True, slots=True)
class Corrections:
    """An exported folder; a relative path starts at the project."""

    params: CorrectionsSource
    project: Path

    @property
    def path(self) -> Path:
        return from_project(self.project, self.params.path)

    @property
    def name(self) -> str:
        """First part of its ids: the name of the folder, wherever it lies."""
        return slug(self.path.resolve().name)

    def plan(self, reach: Reach) -> Plan:
        """Read the corrections.

        Raises:
            UsageError: no folder, no corrections.jsonl, or one that is no text.
        """
        name = self.name
        origin = Origin(
            f"corrections:{name}",
            name,
            "corrections",
            self.params.language,
            licence="unknown",
            consent="unknown",
            needs_consent=True,
        )
        return plan_rows(origin, self._rows())

    def fingerprint(self) -> Any:
        """The table's bytes, and name, size and time of change of every file that it names."""
        return {
            "corrections": self.params.model_dump(mode="json"),
            "files": fingerprint_rows(self._rows()),
            "table": sha256_file(self.path / TABLE),
        }

    def _rows(self) -> Rows:
        require_folder(self.path, f"a folder with {TABLE}")
        table = self.path / TABLE
        if not table.is_file():
            raise UsageError(
                f"{table} does not exist. Give `path` of the source in params.yaml as a folder "
                "that the service exported."
            )
        return rows_of(read_jsonl(table), self._row, "user")

    def _row(self, line: Line) -> Row | Skipped:
        name, user, language, consent, licence, text = (
            _filled(line, key) for key in ("id", "user", "language", "consent", "licence", "text")
        )
        text_cell(line, "hypothesis", needed=True)
        _filled(line, "model")
        _check_time(_filled(line, "corrected_at"))
        if "accent" not in line.cells:
            raise Unusable("bad-row", "accent is missing; null where it is not known.")
        tag = language.strip().lower()
        if is_tag(tag) and tag.split("-")[0] != self.params.language:
            return Skipped(f"corrections in other languages than {self.params.language}")
        return Row(
            place=line.place,
            root=self.path,
            audio=text_cell(line, "audio", needed=True),
            text=text,
            speaker=user,
            accent=text_cell(line, "accent"),
            language=language,
            licence=licence,
            consent=consent,
            id=name,
        )


def _filled(line: Line, name: str) -> str:
    value = text_cell(line, name, needed=True)
    if name != "text" and not value.strip():
        raise Unusable("bad-row", f"{name} is empty.")
    return value


def _check_time(given: str) -> None:
    try:
        when = datetime.fromisoformat(given)
    except ValueError as error:
        raise Unusable("bad-row", f"corrected_at is {given!r:.60} ({error}).") from error
    if when.tzinfo is None:
        raise Unusable("bad-row", f"corrected_at is {given!r:.60}, without an offset from UTC.")
