"""From an audio file to what a person or program wants to know of it."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from data.audio import decode, decode_bytes
from data.features import SAMPLE_RATE
from serving.engines.contracts import DecodingOptions, Engine, Samples, Word
from serving.longform import transcribe

AUTO = "auto"
"""As language of the options: whatever language the recording is in."""

WITH_WORDS = DecodingOptions(word_times=True)


@dataclass(frozen=True, slots=True)
class FileTranscript:
    """The transcript of one recording.

    Attributes:
        words: with times in seconds from the recording's start.
        confidence: mean probability of the text tokens, 0..1; 0 for an empty text. It orders
            transcripts of one model and is not calibrated.
        duration: seconds of audio.
        seconds: wall time of decoding the file and transcribing it.
    """

    text: str
    words: tuple[Word, ...]
    confidence: float
    language: str
    duration: float
    seconds: float

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


_HEARD_AT_ONCE = 30


def transcribe_file(
    engine: Engine, path: Path, *, options: DecodingOptions = WITH_WORDS
) -> FileTranscript:
    """Transcribe an audio file of any length.

    Args:
        options: their language may be `AUTO`, which listens to the first 30 s.

    Raises:
        AudioError: it cannot be read as audio.
        UsageError: the model does not know the language that the options ask for.
    """
    began = time.perf_counter()
    return _transcribe(engine, decode(path), options, began)


def transcribe_upload(
    engine: Engine,
    content: bytes,
    name: str,
    *,
    options: DecodingOptions = WITH_WORDS,
    longest: float | None = None,
) -> FileTranscript:
    """Transcribe the bytes of an audio file; `longest` is the most seconds of audio allowed.

    Raises:
        AudioError: they cannot be read as audio, or are longer.
    """
    began = time.perf_counter()
    return _transcribe(engine, decode_bytes(content, name, longest=longest), options, began)


def confidence(token_logprobs: tuple[float, ...]) -> float:
    """Mean probability of the tokens, 0 where there are none."""
    return float(np.mean(np.exp(token_logprobs))) if token_logprobs else 0.0


def _transcribe(
    engine: Engine, samples: Samples, options: DecodingOptions, began: float
) -> FileTranscript:
    if options.language == AUTO:
        heard = engine.detect_language(samples[: _HEARD_AT_ONCE * SAMPLE_RATE])
        options = replace(options, language=heard)
    transcript = transcribe(engine, samples, options)
    return FileTranscript(
        text=transcript.text,
        words=transcript.words,
        confidence=confidence(transcript.token_logprobs),
        language=transcript.language,
        duration=len(samples) / SAMPLE_RATE,
        seconds=time.perf_counter() - began,
    )
