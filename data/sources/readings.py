"""Real people whose recordings packages ship with their texts: for testing, never for training.

A model that is fine-tuned to one speaker or domain has to go on understanding others. These are few
and small, so they are all held out: `held_out_speakers` says so to the split stage, whatever the
texts.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data import catalogue
from data.fetch import fetch
from data.sources.base import FileAudio, Plan, Reach, Recording, clean_text, slug
from data.sources.extracted import keep
from data.sources.reading_sets import SETS, Clip, ReadingSet
from voiceforge.errors import IntegrityError
from voiceforge.params import ReadingsSource

VERSION = 1
"""Raised when equal packages come to give other clips or texts."""


@dataclass(frozen=True, slots=True)
class Readings:
    """One set of readings in one language."""

    params: ReadingsSource

    @property
    def _set(self) -> ReadingSet:
        return SETS[self.params.set]

    def plan(self, reach: Reach) -> Plan:
        """List the clips; see `data.fetch.fetch` for what it raises.

        Raises:
            IntegrityError: the package does not hold what it held when it was entered here.
        """
        entry = catalogue.entry(self._set.entry)
        folder = fetch(entry.name, cache=reach.cache, offline=reach.offline, timeout=reach.timeout)
        clips = list(self._set.clips(folder, self.params.language))
        if not clips:
            raise IntegrityError(
                f"{folder} holds no clip of {self.params.set} in {self.params.language!r}. Delete "
                "it and run again."
            )
        speakers = self._set.speakers[self.params.language]
        if strangers := {clip.speaker for clip in clips} - set(speakers):
            raise IntegrityError(
                f"{folder} has clips of {', '.join(sorted(strangers))}, whom nobody has declared "
                "to be held out. Name them in data/sources/reading_sets.py."
            )
        root = folder
        if self._set.archive:
            root = reach.cache / "readings" / f"{entry.name}-{entry.pin[:12]}"
            _extract(folder / self._set.archive, root, (clip.path for clip in clips))
        return Plan(tuple(self._recording(clip, root, entry.licence) for clip in clips))

    def fingerprint(self) -> Any:
        entry = catalogue.entry(self._set.entry)
        return {
            "readings": self.params.model_dump(mode="json"),
            "content": entry.pin,
            "licence": entry.licence,
            "version": VERSION,
        }

    def _recording(self, clip: Clip, root: Path, licence: str) -> Recording:
        name, language = self.params.set, self.params.language
        at = f"-{round(1000 * clip.start)}" if clip.start else ""
        return Recording(
            id=slug(f"readings-{name}-{language}-{Path(clip.path).with_suffix('')}{at}"),
            text=clean_text(clip.text),
            language=language,
            accent=clip.accent or language,
            speaker=speaker_id(name, language, clip.speaker),
            source=f"readings:{name}",
            licence=licence,
            consent="granted",
            is_synthetic=False,
            where=clip.path,
            audio=FileAudio(root / clip.path, clip.start, clip.seconds),
        )


def speaker_id(name: str, language: str, speaker: str) -> str:
    """The speaker in `Utterance.speaker`."""
    return f"readings:{name}:{language}:{speaker}"


def held_out_speakers(params: ReadingsSource) -> list[str]:
    """Everybody of a set: none of them may train or tune."""
    speakers = SETS[params.set].speakers[params.language]
    return [speaker_id(params.set, params.language, speaker) for speaker in speakers]


def _extract(archive: Path, root: Path, members: Iterable[str]) -> None:
    with zipfile.ZipFile(archive) as opened:
        for member in members:
            target = root / member
            if not target.is_file():
                keep(opened.read(member), target)
