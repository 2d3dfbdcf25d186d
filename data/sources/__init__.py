"""Where recordings come from, behind one interface: a plan without decoding, samples on demand."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from data.audio import SAMPLE_RATE, Span, decode_file
from data.decoding import Decoded
from data.signals import clipped_share
from data.sources import piper_voice
from data.sources.base import CorpusSource, FileAudio, Recording
from data.sources.common_voice import CommonVoice
from data.sources.corrections import Corrections
from data.sources.espeak import Espeak
from data.sources.espeak_library import speak
from data.sources.folder import Folder
from data.sources.huggingface import HuggingFace
from data.sources.librispeech import LibriSpeech
from data.sources.nemo_manifest import NemoManifest
from data.sources.piper import Piper
from data.sources.prompts import Prompts
from data.sources.readings import Readings
from data.sources.terms import Terms
from voiceforge.errors import UsageError
from voiceforge.params import (
    CommonVoiceSource,
    CorrectionsSource,
    DomainParams,
    EspeakSource,
    FolderSource,
    HuggingFaceSource,
    LibriSpeechSource,
    NemoManifestSource,
    PromptsSource,
    ReadingsSource,
    Source,
    TermsSource,
)


def open_sources(domain: DomainParams, project: Path) -> list[CorpusSource]:
    """The domain's sources, in the order of params.yaml; nothing is fetched or read yet.

    Raises:
        UsageError: two folders or manifests of one name.
    """
    sources = [open_source(params, domain, project) for params in domain.sources]
    _refuse_namesakes(sources, domain.name)
    return sources


def _refuse_namesakes(sources: Sequence[CorpusSource], domain: str) -> None:
    """Different folders of one name would share ids, and speakers who are different people.

    Telling them apart by their order would give speakers other names when a source is added or
    removed, also those who were forgotten. Several tables of one folder are no namesakes.
    """
    paths: dict[str, Path] = {}
    for source in sources:
        if isinstance(source, Folder | Corrections | NemoManifest | HuggingFace):
            path = source.path.resolve()
            if (other := paths.setdefault(source.name, path)) != path:
                raise UsageError(
                    f"Two sources of {domain} have the same name: {other} and {path}. Ids and "
                    f"speakers of both would begin with {source.name!r}. Rename one of the "
                    "folders, and give its new path in params.yaml."
                )


def open_source(params: Source, domain: DomainParams, project: Path) -> CorpusSource:
    """One source; its paths start at the project.

    `splits` of the domain say who speaks which text, `vocabulary` which terms are spoken.
    """
    if isinstance(params, PromptsSource):
        return Prompts(params.language)
    if isinstance(params, ReadingsSource):
        return Readings(params)
    if isinstance(params, EspeakSource):
        return Espeak(params, domain.splits)
    if isinstance(params, FolderSource):
        return Folder(params, project)
    if isinstance(params, CommonVoiceSource):
        return CommonVoice(params, project)
    if isinstance(params, LibriSpeechSource):
        return LibriSpeech(params, project)
    if isinstance(params, NemoManifestSource):
        return NemoManifest(params, project)
    if isinstance(params, HuggingFaceSource):
        return HuggingFace(params, project)
    if isinstance(params, CorrectionsSource):
        return Corrections(params, project)
    if isinstance(params, TermsSource):
        return Terms(params, domain.vocabulary, domain.splits, project)
    return Piper(params, project)


def render(recording: Recording, longest: float) -> Decoded:
    """The samples of a planned recording, decoded or spoken, and what they were before.

    Raises:
        AudioError: it cannot be read, or is longer than `longest` seconds.
    """
    audio = recording.audio
    if isinstance(audio, FileAudio):
        return decode_file(audio.path, Span(audio.start, audio.seconds), longest=longest)
    spoken = audio.spoken or recording.text
    if audio.synthesizer == "piper":
        samples = piper_voice.speak(spoken, audio.voice)
    else:
        samples = speak(spoken, audio.voice)
    return Decoded(samples, SAMPLE_RATE, 1, clipped_share(samples))
