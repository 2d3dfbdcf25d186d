"""Speakers who asked to be forgotten: the ledger that keeps them out of every later corpus.

`data/ledgers/NAME/forgotten.jsonl` is append-only, a line an event. It holds no names and no words:
a speaker is the sha256 of the corpus's name and the speaker's id, a recording the sha256 of the
corpus's name and its audio's sha256. Whoever knows an id can ask whether it was forgotten, which is
what the ledger is for: it is pseudonymous, not anonymous.

A speaker's first line is the tombstone (when, by whom, why), written before anything is removed.
Later lines add what was found on the way, and one says that nothing is left to do.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from data.sources.base import Recording, Refused, Reject
from voiceforge.errors import IntegrityError
from voiceforge.files import sha256_json, write_text

LEDGER = "forgotten.jsonl"
REASON = "forgotten"


@dataclass(frozen=True, slots=True)
class Tombstone:
    """A forgotten speaker.

    Attributes:
        speaker: `Forgotten.speaker_hash` of the speaker's id.
        audio: `Forgotten.audio_hash` of every recording found.
        versions: corpus versions (DVC's md5, ending in ".dir") that held them.
        at: ISO 8601, UTC.
        by, why: who removed them and for what reason, as given.
        finished_at: when everything had been removed; "" while it has not.
    """

    speaker: str
    audio: tuple[str, ...]
    versions: tuple[str, ...]
    at: str
    by: str
    why: str
    finished_at: str


@dataclass(frozen=True)
class Forgotten:
    """The forgotten speakers of one corpus; `corpus` is its name."""

    corpus: str
    tombstones: tuple[Tombstone, ...] = ()

    def speaker_hash(self, speaker: str) -> str:
        return _hash(self.corpus, "speaker", speaker)

    def audio_hash(self, audio_sha256: str) -> str:
        return _hash(self.corpus, "audio", audio_sha256)

    def tombstone(self, speaker: str) -> Tombstone | None:
        """The tombstone of a speaker's id, None for a speaker who was not forgotten."""
        known = self.speaker_hash(speaker)
        return next((stone for stone in self.tombstones if stone.speaker == known), None)

    def holds_speaker(self, speaker: str) -> bool:
        return bool(self._speakers) and self.speaker_hash(speaker) in self._speakers

    def holds_audio(self, audio_sha256: str) -> bool:
        """Whether this very audio was a forgotten speaker's, whatever its name is now."""
        return bool(self._audio) and self.audio_hash(audio_sha256) in self._audio

    @cached_property
    def _speakers(self) -> frozenset[str]:
        return frozenset(stone.speaker for stone in self.tombstones)

    @cached_property
    def _audio(self) -> frozenset[str]:
        return frozenset(one for stone in self.tombstones for one in stone.audio)

    def and_also(self, speaker: str, audio: Iterable[str]) -> Forgotten:
        """As if this speaker, with recordings of these sha256, were forgotten already."""
        hashes = tuple(self.audio_hash(one) for one in audio)
        stone = Tombstone(self.speaker_hash(speaker), hashes, (), "", "", "", "")
        return Forgotten(self.corpus, (*self.tombstones, stone))

    def version(self, md5: str) -> Tombstone | None:
        """The tombstone for which a corpus version was taken apart, if one was."""
        return next((stone for stone in self.tombstones if md5 in stone.versions), None)

    @property
    def identity(self) -> str:
        """Hash of what is kept out, "" where nothing is: an input of the corpus."""
        if not self.tombstones:
            return ""
        return sha256_json([sorted(self._speakers), sorted(self._audio)])

    def divide(self, recordings: Iterable[Recording]) -> tuple[list[Recording], list[Reject]]:
        """What may be decoded, and a reject for each recording of a forgotten speaker."""
        names: dict[str, bool] = {}
        kept, gone = [], []
        for recording in recordings:
            name = recording.speaker
            if name not in names:
                names[name] = self.holds_speaker(name)
            if names[name]:
                gone.append(reject(recording.id, recording.source))
            else:
                kept.append(recording)
        return kept, gone

    def hide(self, refused: Iterable[Refused]) -> list[Reject]:
        """The rejects of a plan, with nothing of what forgotten speakers said or are called."""
        return [
            reject(one.reject.id, one.reject.source)
            if self.holds_speaker(one.speaker)
            else one.reject
            for one in refused
        ]


NOBODY = Forgotten("")
"""No forgotten speakers."""


def reject(identity: str, source: str) -> Reject:
    """The row of a forgotten recording: neither its id nor where it lies, which may be names."""
    hidden = f"forgotten-{hashlib.sha256(identity.encode()).hexdigest()[:16]}"
    detail = "Its speaker asked to be forgotten; data/ledgers holds when and why."
    return Reject(hidden, source, "", REASON, detail)


def read_forgotten(ledgers: Path) -> Forgotten:
    """The forgotten speakers of the corpus whose ledgers lie in this folder (`data/ledgers/NAME`).

    Raises:
        IntegrityError: a line of the ledger is not one.
    """
    path = ledgers / LEDGER
    stones: dict[str, Tombstone] = {}
    if path.is_file():
        for number, line in enumerate(path.read_text().split("\n"), start=1):
            if line.strip():
                _fold(stones, _event(path, number, line))
    return Forgotten(ledgers.name, tuple(stones.values()))


def bury(ledgers: Path, speaker: str, *, at: str, by: str, why: str) -> None:
    """Write a speaker's tombstone, unless there is one.

    Args:
        ledgers: `data/ledgers/NAME`.
        speaker: the id, which is not written.
        at: ISO 8601, UTC.
        by, why: kept as given, every run of white space as one space.

    Raises:
        StorageError: the disk is full or read-only.
    """
    forgotten = read_forgotten(ledgers)
    if not forgotten.holds_speaker(speaker):
        said = {"by": " ".join(by.split()), "why": " ".join(why.split())}
        _append(ledgers / LEDGER, {"speaker": forgotten.speaker_hash(speaker), "at": at, **said})


def add_findings(
    ledgers: Path, speaker: str, *, audio: Iterable[str], versions: Iterable[str]
) -> None:
    """Add what belongs to a forgotten speaker before it is removed; what is known is not repeated.

    Args:
        audio: sha256 of FLAC files, not yet hashed again.
        versions: DVC's md5 of corpus versions that hold them.
    """
    forgotten = read_forgotten(ledgers)
    stone = forgotten.tombstone(speaker)
    hashes = {forgotten.audio_hash(one) for one in audio}
    new = {
        "audio": sorted(hashes - set(stone.audio if stone else ())),
        "versions": sorted(set(versions) - set(stone.versions if stone else ())),
    }
    if new["audio"] or new["versions"]:
        _append(ledgers / LEDGER, {"speaker": forgotten.speaker_hash(speaker), **new})


def finish(ledgers: Path, speaker: str, at: str) -> None:
    """Record that nothing of a forgotten speaker is left to remove."""
    forgotten = read_forgotten(ledgers)
    _append(ledgers / LEDGER, {"speaker": forgotten.speaker_hash(speaker), "finished_at": at})


def _fold(stones: dict[str, Tombstone], event: dict[str, Any]) -> None:
    name = event["speaker"]
    old = stones.get(name, Tombstone(name, (), (), "", "", "", ""))
    stones[name] = replace(
        old,
        audio=_union(old.audio, event.get("audio", ())),
        versions=_union(old.versions, event.get("versions", ())),
        at=old.at or event.get("at", ""),
        by=old.by or event.get("by", ""),
        why=old.why or event.get("why", ""),
        finished_at=event.get("finished_at", old.finished_at),
    )


def _union(old: Sequence[str], new: Sequence[str]) -> tuple[str, ...]:
    return tuple(sorted({*old, *new}))


def _event(path: Path, number: int, line: str) -> dict[str, Any]:
    try:
        event = json.loads(line)
    except ValueError as error:
        event = error
    if not isinstance(event, dict) or not isinstance(event.get("speaker"), str):
        raise IntegrityError(
            f"Line {number} of {path} is not one that VoiceForge writes. Restore the file from "
            "git: it keeps forgotten speakers out of the corpus."
        )
    return event


def _append(path: Path, event: dict[str, Any]) -> None:
    """Whole or not at all: the file is written anew with one more line."""
    before = path.read_text() if path.is_file() else ""
    if before and not before.endswith("\n"):
        before += "\n"
    write_text(path, before + json.dumps(event, ensure_ascii=False) + "\n")


def _hash(corpus: str, kind: str, value: str) -> str:
    # A refused row may name its speaker by what no text can hold.
    named = f"voiceforge:{corpus}:{kind}:{value}".encode(errors="surrogatepass")
    return hashlib.sha256(named).hexdigest()
