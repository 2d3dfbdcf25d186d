"""What every source of recordings offers: a plan made without decoding, and samples on demand."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

from voiceforge.params import Consent

_LONGEST_ID = 120


@dataclass(frozen=True, slots=True)
class FileAudio:
    """A file to decode, or a part of it: `seconds` (to the end where None) from `start` on."""

    path: Path
    start: float = 0.0
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Speech:
    """The recording's text, spoken by a machine.

    Attributes:
        synthesizer: which.
        voice: eSpeak NG's accent and variant, such as "en-gb-scotland+f2", or Piper's model file.
        spoken: what is said instead, where the text is not written as it sounds.
    """

    synthesizer: Literal["espeak", "piper"]
    voice: str
    spoken: str = ""


@dataclass(frozen=True, slots=True)
class Recording:
    """One recording that a source can deliver.

    Attributes:
        id: unique in the corpus, stable across rebuilds, safe as a file name.
        text: the reference transcript, Unicode NFC, spaces collapsed.
        language, accent, speaker, source, licence, consent, is_synthetic: as in
            `data.utterance.Utterance`.
        where: where a person finds it: a path in its source, or the voice that speaks it.
        audio: what it is made from.
    """

    id: str
    text: str
    language: str
    accent: str
    speaker: str
    source: str
    licence: str
    consent: Consent
    is_synthetic: bool
    where: str
    audio: FileAudio | Speech


@dataclass(frozen=True, slots=True)
class Reject:
    """A recording that cannot enter the corpus: a row of quarantine.parquet.

    Attributes:
        id: the id that the utterance would have had.
        source: as in `Recording`.
        where: as in `Recording`.
        reason: a stable short code, such as "too-short".
        detail: a sentence for people.
    """

    id: str
    source: str
    where: str
    reason: str
    detail: str


def recordings_in(rejects: Iterable[Reject]) -> int:
    """How many recordings rows of quarantine tell of; one with several reasons has several rows."""
    return len({(one.id, one.source, one.where) for one in rejects})


@dataclass(frozen=True, slots=True)
class Refused:
    """A reject of a plan, with what its row of quarantine.parquet does not say.

    Attributes:
        reject: that row.
        speaker: as in `Recording`; "" where nothing tells who it is.
        path: the file of its audio, there or not; None where none inside its source is named.
    """

    reject: Reject
    speaker: str
    path: Path | None


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything a source has to offer.

    Attributes:
        recordings: in a stable order.
        refused: what can be told to be unusable without decoding.
        skipped: what was never meant to be an utterance (tones, silence): a reason and how many.
    """

    recordings: tuple[Recording, ...]
    refused: tuple[Refused, ...] = ()
    skipped: Mapping[str, int] = field(default_factory=dict)

    @property
    def rejects(self) -> tuple[Reject, ...]:
        return tuple(one.reject for one in self.refused)

    def files_of(self, theirs: Callable[[str], bool]) -> set[Path]:
        """Audio files of the speakers for whom `theirs` is true, of refused rows, too."""
        named = {
            one.audio.path
            for one in self.recordings
            if isinstance(one.audio, FileAudio) and theirs(one.speaker)
        }
        return named | {one.path for one in self.refused if one.path and theirs(one.speaker)}


def _nobody(speaker: str) -> bool:
    return False


@dataclass(frozen=True, slots=True)
class Reach:
    """Where downloads lie and whether more may be made; as in `data.fetch.fetch`.

    Attributes:
        forgotten: whether a speaker is: nothing of theirs is written while planning.
    """

    cache: Path
    offline: bool
    timeout: float
    forgotten: Callable[[str], bool] = _nobody


class CorpusSource(Protocol):
    """A source of recordings."""

    def plan(self, reach: Reach) -> Plan:
        """List the recordings, fetching what must be fetched but decoding nothing."""
        ...

    def fingerprint(self) -> Any:
        """A JSON value that changes when a new plan or its audio would; cheap, no network."""
        ...


def slug(name: str) -> str:
    """A name as a part of a file name: lower-case ASCII letters, digits, dots and hyphens.

    Where that loses something (other scripts, very long names), a few digits of the name's hash
    keep it apart from its neighbours.
    """
    plain = re.sub(r"[^a-z0-9.]+", "-", name.casefold()).strip("-.")
    if name.isascii() and plain and len(plain) <= _LONGEST_ID:
        return plain
    tail = hashlib.sha256(unicodedata.normalize("NFC", name).encode()).hexdigest()[:8]
    return f"{plain[:_LONGEST_ID]}-{tail}".lstrip("-.")


def clean_text(text: str) -> str:
    """Unicode NFC with every run of white space as one space."""
    return " ".join(unicodedata.normalize("NFC", text).split())
