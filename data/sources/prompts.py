"""Telephone prompts of the Asterisk project: real people, recorded in a studio, with transcripts.

A folder holds what two Debian packages unpack to: `usr/share/asterisk/sounds/LANGUAGE_NAME/` with
16 kHz G.722 audio, and `usr/share/doc/*/core-sounds-LANGUAGE.txt.gz` with a line `key: text` for
each. The transcripts were written for people who order recordings, so they hold stage directions,
and some lost their accented letters; what cannot be trusted as a reference is rejected.
"""

from __future__ import annotations

import gzip
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data import catalogue
from data.fetch import fetch
from data.sources.base import FileAudio, Plan, Reach, Recording, Refused, Reject, clean_text, slug
from voiceforge.errors import IntegrityError

_TONES = frozenset({"beep", "beeperr", "ascending-2tone", "descending-2tone", "tt-monkeys"})
"""Sounds that are not speech; some transcripts describe them without brackets."""

_READING = 2
"""Raised when the same files give other texts."""

_SPEAKER = re.compile(r"(?P<language>[a-z]{2})_(?P<region>[A-Z]{2})_[fm]_(?P<name>\w+)")
_ALL_BRACKETS = re.compile(r"\s*(\[[^\]]*\]|\([^)]*\)|<[^>]*>)\s*")
_DIRECTIONS = re.compile(r"\([^)]*\)|\[[^\w\]]*\]")
_ELLIPSIS = re.compile(r"\.{2,}|…")
"""Another recording goes before or after: nobody speaks it, and a model would learn to write it."""
_LOST_LETTER = re.compile(r"\?(?=\s+[^\W\d_A-Z])|(?<=\s)\?|�")


@dataclass(frozen=True, slots=True)
class Prompts:
    """One language's prompts, fetched by their name in the catalogue."""

    language: str

    @property
    def name(self) -> str:
        return f"prompts-{self.language}"

    def plan(self, reach: Reach) -> Plan:
        """List the prompts; see `data.fetch.fetch` for what it raises."""
        folder = fetch(self.name, cache=reach.cache, offline=reach.offline, timeout=reach.timeout)
        return plan_prompts(folder, self.language, catalogue.entry(self.name).licence)

    def fingerprint(self) -> Any:
        entry = catalogue.entry(self.name)
        return {
            "prompts": entry.name,
            "content": entry.pin,
            "licence": entry.licence,
            "reading": _READING,
        }


def plan_prompts(folder: Path, language: str, licence: str) -> Plan:
    """Join audio and transcripts of one unpacked language.

    Raises:
        IntegrityError: the folder does not hold one speaker's sounds and one transcript.
    """
    sounds, transcript = _parts(folder, language)
    parts = _SPEAKER.fullmatch(sounds.name)
    accent = f"{parts['language']}-{parts['region']}".lower() if parts else language
    speaker = f"prompts:{language}:{(parts['name'] if parts else sounds.name).lower()}"
    audio = {
        path.relative_to(sounds).with_suffix("").as_posix(): path
        for path in sorted(sounds.rglob("*.g722"))
    }
    texts = read_transcript(transcript)
    source = f"prompts:{language}"
    skipped = Counter({"audio without a transcript": len(audio.keys() - texts.keys())})
    recordings: list[Recording] = []
    refused: list[Refused] = []
    for key, text in sorted(texts.items()):
        if key in _TONES or _ALL_BRACKETS.fullmatch(text):
            skipped["tones and silence"] += 1
        elif key not in audio:
            skipped["transcripts without audio"] += 1
        else:
            name, where = slug(f"prompts-{language}-{key}"), audio[key].relative_to(sounds)
            if problem := _problem(text):
                reject = Reject(name, source, where.as_posix(), *problem)
                refused.append(Refused(reject, speaker, audio[key]))
                continue
            recordings.append(
                Recording(
                    id=name,
                    text=clean_text(_ELLIPSIS.sub(" ", _DIRECTIONS.sub(" ", text))),
                    language=language,
                    accent=accent,
                    speaker=speaker,
                    source=source,
                    licence=licence,
                    consent="granted",
                    is_synthetic=False,
                    where=where.as_posix(),
                    audio=FileAudio(audio[key]),
                )
            )
    return Plan(tuple(recordings), tuple(refused), {k: n for k, n in skipped.items() if n})


def read_transcript(path: Path) -> dict[str, str]:
    """The lines `key: text` of a gzipped transcript; comments begin with a semicolon."""
    with gzip.open(path, "rt", encoding="utf-8-sig", errors="replace") as stream:
        lines = [line.strip() for line in stream]
    pairs = (line.split(":", 1) for line in lines if ":" in line and not line.startswith(";"))
    return {key.strip(): text.strip() for key, text in pairs}


def _parts(folder: Path, language: str) -> tuple[Path, Path]:
    sounds = sorted((folder / "usr/share/asterisk/sounds").glob(f"{language}_*"))
    transcripts = sorted((folder / "usr/share/doc").glob(f"*/core-sounds-{language}.txt.gz"))
    if len(sounds) != 1 or len(transcripts) != 1:
        raise IntegrityError(
            f"{folder} does not hold the {language} prompts: found {len(sounds)} folders of sounds "
            f"and {len(transcripts)} transcripts where one each belongs. Delete it and run again."
        )
    return sounds[0], transcripts[0]


def _problem(text: str) -> tuple[str, str] | None:
    """Why a transcript cannot be a reference: reason code and sentence."""
    if _LOST_LETTER.search(text):
        return "damaged-text", f"The transcript lost letters to its encoding: {text!r}."
    rest = _DIRECTIONS.sub(" ", text)
    if re.search(r"[\[\]<>]", rest):
        return "uncertain-text", f"Bracketed words may or may not be spoken: {text!r}."
    if re.search(r"[#*@&+=$%]", rest):
        return "uncertain-text", f"A symbol may be spoken in more than one way: {text!r}."
    if not any(letter.isalnum() for letter in rest):
        return "empty-text", f"The transcript holds no words: {text!r}."
    return None
