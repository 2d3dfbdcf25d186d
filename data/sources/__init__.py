"""Where recordings come from, behind one interface: a plan without decoding, samples on demand."""

from __future__ import annotations

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
    Source,
    SplitParams,
)


def open_sources(domain: DomainParams, project: Path) -> list[CorpusSource]:
    """The domain's sources, in the order of params.yaml; nothing is fetched or read yet."""
    return [open_source(params, domain.splits, project) for params in domain.sources]


def open_source(params: Source, splits: SplitParams, project: Path) -> CorpusSource:
    """One source; its paths start at the project, and `splits` says who speaks which text."""
    if isinstance(params, PromptsSource):
        return Prompts(params.language)
    if isinstance(params, EspeakSource):
        return Espeak(params, splits)
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
    return Piper(params, project)


def render(recording: Recording, longest: float) -> Decoded:
    """The samples of a planned recording, decoded or spoken, and what they were before.

    Raises:
        AudioError: it cannot be read, or is longer than `longest` seconds.
    """
    audio = recording.audio
    if isinstance(audio, FileAudio):
        return decode_file(audio.path, Span(audio.start, audio.seconds), longest=longest)
    if audio.synthesizer == "piper":
        samples = piper_voice.speak(recording.text, audio.voice)
    else:
        samples = speak(recording.text, audio.voice)
    return Decoded(samples, SAMPLE_RATE, 1, clipped_share(samples))
