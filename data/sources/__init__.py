"""Where recordings come from, behind one interface: a plan without decoding, samples on demand."""

from __future__ import annotations

from pathlib import Path

from data.audio import Samples, decode
from data.sources.base import CorpusSource, FileAudio, Recording
from data.sources.espeak import Espeak
from data.sources.espeak_library import speak
from data.sources.folder import Folder
from data.sources.prompts import Prompts
from voiceforge.params import DomainParams, EspeakSource, PromptsSource


def open_sources(domain: DomainParams, project: Path) -> list[CorpusSource]:
    """The domain's sources, in the order of params.yaml; nothing is fetched or read yet."""
    sources: list[CorpusSource] = []
    for params in domain.sources:
        if isinstance(params, PromptsSource):
            sources.append(Prompts(params.language))
        elif isinstance(params, EspeakSource):
            sources.append(Espeak(params, domain.splits))
        else:
            sources.append(Folder(params, project))
    return sources


def render(recording: Recording, longest: float) -> Samples:
    """The samples of a planned recording: decoded, or spoken.

    Raises:
        AudioError: it cannot be read, or is longer than `longest` seconds.
    """
    if isinstance(recording.audio, FileAudio):
        return decode(recording.audio.path, longest=longest)
    return speak(recording.text, recording.audio.voice)
