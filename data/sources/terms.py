"""Custom vocabulary: sentences around each term of a domain, spoken by machines.

A carrier sentence belongs to one split with all its terms, and so does a voice: what is held out
has neither words around the term nor a voice that training has heard, only the term itself.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from itertools import islice
from pathlib import Path
from typing import Any

from data.ledger import Heard
from data.sources.base import Plan, Reach, Recording, Speech, slug
from data.sources.carriers import Carrier, carriers
from data.sources.espeak import check_voices, rotation, speaker_id
from data.sources.piper import find_voice, voice_fingerprint
from data.sources.prompts import Prompts
from data.vocabulary import read_lines, read_terms
from voiceforge.errors import UsageError
from voiceforge.files import sha256_file
from voiceforge.params import (
    PromptsSource,
    SplitParams,
    Term,
    TermsSource,
    VocabularyParams,
)
from voiceforge.settings import from_project

NAME = "terms"
LICENCE = "CC0-1.0"
"""Of clips whose words and voice are nobody's: templates and eSpeak's voices ask for nothing."""


@dataclass(frozen=True, slots=True)
class _Voice:
    """Who speaks: eSpeak's accent and variant, or a voice of Piper."""

    accent: str
    speaker: str
    audio: Speech


@dataclass(frozen=True, slots=True)
class Terms:
    """The terms of a domain as a source of speech."""

    params: TermsSource
    vocabulary: VocabularyParams
    splits: SplitParams
    project: Path

    def plan(self, reach: Reach) -> Plan:
        """Choose sentence and voice of every clip.

        Raises:
            UsageError: the domain names no terms, a voice is unknown, a text file is missing, or
                there are too few sentences.
            SourceError, IntegrityError: texts or voices cannot be had.
        """
        terms = read_terms(self.vocabulary, self.project)
        if not terms:
            raise UsageError(
                "A source of the kind terms speaks the domain's `vocabulary`, which is empty. List "
                "terms under `vocabulary.terms` in params.yaml or name a file of them."
            )
        check_voices(self.params)
        sentences = carriers(self.params.language, self._texts(reach), self.splits)
        heard = self._voices(reach)
        counts = self.params.clips_per_term
        wanted: dict[Heard, int] = {
            "train": counts.train, "dev": counts.dev, "test": counts.test,
        }  # fmt: skip
        return Plan(
            tuple(
                self._spoken(term, carrier, voice)
                for term in terms
                for split, voices in heard.items()
                for carrier, voice in islice(
                    self._pairs(term, split, sentences, voices), wanted[split]
                )
            )
        )

    def fingerprint(self) -> Any:
        own = self.params.texts
        texts: Any = None
        if own == "prompts":
            texts = Prompts(self.params.language).fingerprint()
        elif own is not None:
            path = from_project(self.project, own)
            texts = sha256_file(path) if path.is_file() else "missing"
        return {
            "terms": self.params.model_dump(mode="json"),
            "vocabulary": [
                [term.text, term.spoken] for term in read_terms(self.vocabulary, self.project)
            ],
            "splits": self.splits.model_dump(mode="json"),
            "library": version("espeakng-loader"),
            "texts": texts,
            "piper": [voice_fingerprint(voice, self.project) for voice in self.params.piper_voices],
        }

    def _texts(self, reach: Reach) -> list[str]:
        own = self.params.texts
        if own is None:
            return []
        if own == "prompts":
            _check_prompts(self.params.language)
            return [one.text for one in Prompts(self.params.language).plan(reach).recordings]
        return [line for _, line in read_lines(from_project(self.project, own))]

    def _voices(self, reach: Reach) -> dict[Heard, list[_Voice]]:
        """The voices of each split; a Piper voice as often as there are variants of an accent."""
        params = self.params.voices
        variants: dict[Heard, tuple[str, ...]] = {
            "train": params.train, "dev": params.dev, "test": params.test,
        }  # fmt: skip
        heard = {
            split: [_espeak(accent, one) for accent in self.params.accents for one in known]
            for split, known in variants.items()
        }
        for name in self.params.piper_voices:
            facts = find_voice(name, self.params.language, self.project, reach)
            speech = Speech("piper", str(facts.model))
            voice = _Voice(facts.language or self.params.language, _piper_speaker(name), speech)
            heard["train"] += [voice] * len(params.train)
        return heard

    def _pairs(
        self, term: Term, split: Heard, sentences: Sequence[Carrier], voices: Sequence[_Voice]
    ) -> Iterator[tuple[Carrier, _Voice]]:
        """Sentence and voice, each sentence once before any comes again, no pair twice."""

        def order(name: str) -> str:
            return hashlib.sha256(f"{self.splits.seed}:{term.text}:{name}".encode()).hexdigest()

        mine = sorted((s for s in sentences if s.split == split), key=lambda s: order(s.text))
        speakers = sorted(
            enumerate(voices), key=lambda place: order(f"{place[0]}:{place[1].speaker}")
        )
        seen = set()
        for sentence, voice in rotation(mine, [voice for _, voice in speakers]):
            if (sentence.text, voice.speaker) not in seen:
                seen.add((sentence.text, voice.speaker))
                yield sentence, voice

    def _spoken(self, term: Term, carrier: Carrier, voice: _Voice) -> Recording:
        text = carrier.with_term(term.text)
        digest = hashlib.sha256(text.encode()).hexdigest()[:8]
        spoken = carrier.with_term(term.spoken)
        audio = voice.audio
        if spoken != text:
            audio = Speech(audio.synthesizer, audio.voice, spoken)
        return Recording(
            id=slug(f"terms-{voice.speaker.replace(':', '-')}-{term.text}-{digest}"),
            text=text,
            language=self.params.language,
            accent=voice.accent,
            speaker=voice.speaker,
            source=NAME,
            licence=self._licence(),
            consent="granted",
            is_synthetic=True,
            where=f"{term.text}, {voice.speaker}",
            audio=audio,
        )

    def _licence(self) -> str:
        """What the sentences ask for: those of the prompts are under the prompts' licence."""
        if self.params.texts == "prompts":
            from data import catalogue

            return catalogue.entry(Prompts(self.params.language).name).licence
        return LICENCE if self.params.texts is None else "unknown"


def speaker_splits_of(source: TermsSource) -> dict[str, Heard]:
    """The voices of a source and the split that each belongs to."""
    declared: dict[str, Heard] = {}
    splits: tuple[Heard, ...] = ("train", "dev", "test")
    for split in splits:
        for accent in source.accents:
            for voice in getattr(source.voices, split):
                declared[speaker_id(accent, voice)] = split
    for voice in source.piper_voices:
        declared[_piper_speaker(voice)] = "train"
    return declared


def _espeak(accent: str, variant: str) -> _Voice:
    return _Voice(accent, speaker_id(accent, variant), Speech("espeak", f"{accent}+{variant}"))


def _piper_speaker(voice: str) -> str:
    """Named as params.yaml names the voice, so that its split is known without fetching it."""
    return f"piper:{Path(voice).name.removesuffix('.onnx')}"


def _check_prompts(language: str) -> None:
    known = PromptsSource.model_fields["language"].annotation.__args__  # type: ignore[union-attr]
    if language not in known:
        raise UsageError(
            f"There are no prompts in {language!r}, whose texts terms could be put into. There "
            f"are: {', '.join(known)}. Give `texts` as a text file with a sentence a line instead."
        )
