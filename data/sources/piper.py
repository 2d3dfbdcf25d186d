"""A natural synthetic voice: Piper speaks the telephone prompts, or everyday sentences.

A voice is an ONNX model with its configuration beside it, of the catalogue or one's own, and one
speaker. It speaks texts of all splits: a source of so few speakers is split by text alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from data import catalogue
from data.fetch import fetch
from data.sources.base import Plan, Reach, Recording, Speech, slug
from data.sources.piper_voice import VoiceFacts, piper_version, read_facts
from data.sources.spoken_texts import (
    SpokenText,
    short_id,
    shuffled,
    speakable,
    texts_fingerprint,
    texts_of,
)
from voiceforge.errors import UsageError
from voiceforge.params import PiperSource
from voiceforge.settings import from_project


def find_voice(voice: str, language: str, project: Path, reach: Reach) -> VoiceFacts:
    """A voice of the catalogue, fetched where need be, or a user's own.

    Args:
        voice: name in the catalogue, or a path that starts at the project.
        language: the one that it must speak.

    Raises:
        UsageError: the extra `piper` is not installed, there is no such voice, or it speaks
            another language.
        SourceError, IntegrityError: it cannot be had.
    """
    piper_version()
    if voice in catalogue.names("piper"):
        folder = fetch(voice, cache=reach.cache, offline=reach.offline, timeout=reach.timeout)
        model = next(folder.glob("*.onnx"))
    else:
        model = _own(voice, project)[0]
    facts = read_facts(model)
    if facts.language and facts.language.split("-")[0] != language:
        raise UsageError(
            f"The Piper voice {facts.name} speaks {facts.language!r}, and the source in "
            f"params.yaml says {language!r}. Name a voice of that language."
        )
    return facts


def voice_fingerprint(voice: str, project: Path) -> dict[str, Any]:
    """What decides how a voice sounds: its files and the versions of what speaks."""
    if voice in catalogue.names("piper"):
        state: Any = catalogue.entry(voice).pin
    else:
        state = [[one.st_size, one.st_mtime_ns] for one in map(Path.stat, _own(voice, project))]
    return {"library": [piper_version(), version("onnxruntime")], "voice": state}


def _own(voice: str, project: Path) -> tuple[Path, Path]:
    """A user's own voice and its configuration."""
    model = from_project(project, voice).resolve()
    config = model.with_name(f"{model.name}.json")
    for path in (model, config):
        if not path.is_file():
            raise UsageError(
                f"{path} does not exist. Give `voice` of the source in params.yaml as the path "
                "of an .onnx file with its .onnx.json beside it, or as one of: "
                f"{', '.join(catalogue.names('piper'))}."
            )
    return model, config


@dataclass(frozen=True, slots=True)
class Piper:
    """Piper as a source; a relative path of a voice starts at the project."""

    params: PiperSource
    project: Path

    def plan(self, reach: Reach) -> Plan:
        """Choose the texts, fetching them and the voice.

        Raises:
            UsageError: the extra `piper` is not installed, there is no such voice, or it speaks
                another language.
            SourceError, IntegrityError: the voice or the texts cannot be had.
        """
        facts = find_voice(self.params.voice, self.params.language, self.project, reach)
        texts, skipped = speakable(texts_of(self.params.texts, self.params.language, reach))
        chosen = shuffled(list(texts.items()), facts.name)[: self.params.clips]
        return Plan(tuple(self._spoken(text, facts) for text in chosen), skipped=skipped)

    def fingerprint(self) -> Any:
        return {
            "piper": self.params.model_dump(mode="json"),
            **voice_fingerprint(self.params.voice, self.project),
            "texts": texts_fingerprint(self.params.texts, self.params.language),
        }

    def _licence(self) -> str:
        if self.params.licence is not None:
            return self.params.licence
        if self.params.voice in catalogue.names("piper"):
            return catalogue.entry(self.params.voice).licence
        return "unknown"

    def _spoken(self, text: SpokenText, facts: VoiceFacts) -> Recording:
        return Recording(
            id=slug(f"piper-{facts.name}-{short_id(text)}"),
            text=text.text,
            language=text.language,
            accent=facts.language or text.language,
            speaker=f"piper:{facts.name}",
            source="piper",
            licence=self._licence(),
            consent="granted",
            is_synthetic=True,
            where=facts.name,
            audio=Speech("piper", str(facts.model)),
        )
