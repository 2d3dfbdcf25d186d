"""LibriSpeech: folders of subsets, speakers and chapters, with a transcript file in each chapter.

A line of `SUBSET/SPEAKER/CHAPTER/SPEAKER-CHAPTER.trans.txt` is an utterance's id and its words,
`SPEAKER-CHAPTER-NUMBER THE WORDS`; the audio is `SPEAKER-CHAPTER-NUMBER.flac` beside it. The
transcripts are upper-case without punctuation; they are lowered, since a model that learned
capitals would shout, and punctuation cannot be had back. SPEAKERS.TXT is not needed: the folder's
name is the speaker.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data.sources.base import Plan, Reach, slug
from data.sources.rows import Origin, Row, Skipped, fingerprint_rows, plan_rows, require_folder
from data.sources.text_tables import BadRow, read_text
from voiceforge.errors import UsageError
from voiceforge.files import sha256_file
from voiceforge.params import LibriSpeechSource
from voiceforge.settings import from_project

_TRANSCRIPTS = "*/*/*.trans.txt"


@dataclass(frozen=True, slots=True)
class LibriSpeech:
    """A folder in the layout of LibriSpeech; a relative path starts at the project."""

    params: LibriSpeechSource
    project: Path

    @property
    def path(self) -> Path:
        return from_project(self.project, self.params.path)

    def plan(self, reach: Reach) -> Plan:
        """Read the transcripts.

        Raises:
            UsageError: no folder, no such subset, or a transcript file that is no text.
        """
        params = self.params
        origin = Origin(
            f"librispeech:{slug(self.path.resolve().name)}",
            "librispeech",
            "librispeech",
            params.language,
            params.licence,
            params.consent,
        )
        return plan_rows(origin, self._rows())

    def fingerprint(self) -> Any:
        """The transcripts' bytes, and name, size and time of change of every file they name."""
        tables = hashlib.sha256()
        for table in self._transcripts():
            tables.update(f"{table.relative_to(self.path)}\0{sha256_file(table)}\n".encode())
        return {
            "librispeech": self.params.model_dump(mode="json"),
            "transcripts": tables.hexdigest(),
            "files": fingerprint_rows(self._rows()),
        }

    def _transcripts(self) -> list[Path]:
        require_folder(self.path, "the folder that holds the subsets")
        there = sorted(
            path.name for path in self.path.iterdir() if next(path.glob(_TRANSCRIPTS), None)
        )
        wanted = there if self.params.subsets is None else list(self.params.subsets)
        for subset in wanted:
            if subset not in there:
                raise UsageError(
                    f"{self.path} holds no subset {subset!r}. `subsets` of the source in "
                    f"params.yaml may name: {', '.join(there) or 'none'}."
                )
        if not wanted:
            raise UsageError(
                f"{self.path} holds no SUBSET/SPEAKER/CHAPTER/*.trans.txt. Give `path` of the "
                "source in params.yaml as the folder that holds subsets such as train-clean-100."
            )
        return sorted(path for subset in wanted for path in (self.path / subset).glob(_TRANSCRIPTS))

    def _rows(self) -> Iterator[Row | BadRow | Skipped]:
        for transcript in self._transcripts():
            chapter = transcript.parent
            where = chapter.relative_to(self.path).as_posix()
            named = set()
            for number, line in enumerate(read_text(transcript).split("\n"), 1):
                if not line.strip():
                    continue
                place = f"{where}/{transcript.name}, line {number}"
                key, _, words = line.strip().partition(" ")
                if not re.fullmatch(r"[\w.-]+", key):
                    problem = f"It begins with {key!r:.60}, not with an id."
                    yield BadRow(place, "bad-row", problem, chapter.parent.name)
                    continue
                named.add(f"{key}.flac")
                yield Row(
                    place=place,
                    root=self.path,
                    audio=f"{where}/{key}.flac",
                    text=words.lower(),
                    speaker=chapter.parent.name,
                    id=key,
                )
            for path in sorted(chapter.glob("*.flac")):
                if path.name not in named:
                    yield Skipped("audio without a transcript")
