"""The utterance: one recording of one text by one speaker, the row of every corpus."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from voiceforge.params import Consent

Split = Literal["", "train", "dev", "test", "left-out"]
SPLITS: tuple[Split, ...] = ("train", "dev", "test", "left-out")


@dataclass(frozen=True, slots=True)
class Utterance:
    """One row of `utterances.parquet`.

    Attributes:
        id: unique in its corpus, stable across rebuilds.
        audio: path of a 16 kHz mono FLAC, relative to the corpus folder, POSIX separators.
        duration: seconds of audio.
        text: the reference transcript as its source gives it, Unicode NFC.
        language: ISO 639-1 code, such as "en".
        accent: BCP 47 tag in lower case, such as "en-gb-scotland"; the language where unknown.
        speaker: unique over all sources: a person or one synthetic voice.
        domain: the domain whose corpus this is.
        source: the source module and origin, such as "prompts:en" or "espeak".
        licence: SPDX identifier, or "unknown".
        consent: "granted", "unknown" or "refused": whether the speaker agreed to this use.
        split: "" until the split stage has run; "left-out" where text and speaker disagree.
        is_synthetic: True for speech made by a machine; reports count it apart from people.
        audio_sha256: of the FLAC file, so that other audio under an old name is another row.
    """

    id: str
    audio: str
    duration: float
    text: str
    language: str
    accent: str
    speaker: str
    domain: str
    source: str
    licence: str
    consent: Consent
    split: Split
    is_synthetic: bool
    audio_sha256: str
