"""From an audio file to what a person or program wants to know of it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from data.audio import decode, decode_bytes
from data.features import SAMPLE_RATE
from evaluation.confidence import Level
from evaluation.model_calibrator import ModelCalibrator
from serving.confidence import calibrated
from serving.engines.contracts import DecodingOptions, Engine, Samples, Transcript, Word
from serving.longform import Segmentation, transcribe

AUTO = "auto"
"""As language of the options: whatever language the recording is in."""

WITH_WORDS = DecodingOptions(word_times=True)


@dataclass(frozen=True, slots=True)
class FileTranscript:
    """The transcript of one recording.

    Attributes:
        words: with times in seconds from the recording's start.
        confidence: 0..1; 0 for an empty text.
        calibrated: whose confidences are probabilities of being right, "utterance" or "word"
            (`serving.confidence`). Else they are mean probabilities of tokens: they order the
            transcripts of one model.
        duration: seconds of audio.
        seconds: wall time of decoding the file and transcribing it.
    """

    text: str
    words: tuple[Word, ...]
    confidence: float
    language: str
    duration: float
    seconds: float
    calibrated: tuple[Level, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


_HEARD_AT_ONCE = 30


def transcribe_file(
    engine: Engine,
    path: Path,
    *,
    options: DecodingOptions = WITH_WORDS,
    calibrator: ModelCalibrator | None = None,
    segmentation: Segmentation = "speech",
    tell: Callable[[float, float], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> FileTranscript:
    """Transcribe an audio file of any length.

    Args:
        calibrator: the model's, where it has one. It knows greedy texts, so that it is left aside
            where the options have a fallback.
        options: their language may be `AUTO`, which listens to the first 30 s.
        segmentation, tell, cancelled: as for `serving.longform.transcribe`.

    Raises:
        AudioError: it cannot be read as audio.
        GivenUpError: `cancelled` said so.
        UsageError: the model does not know the language that the options ask for.
    """
    began = time.perf_counter()
    hear = partial(transcribe, segmentation=segmentation, tell=tell, cancelled=cancelled)
    return _transcribe(engine, decode(path), options, calibrator, began, hear)


def transcribe_upload(
    engine: Engine,
    content: bytes,
    name: str,
    *,
    options: DecodingOptions = WITH_WORDS,
    longest: float | None = None,
    calibrator: ModelCalibrator | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> FileTranscript:
    """Transcribe the bytes of an audio file; `longest` is the most seconds of audio allowed.

    Raises:
        AudioError: they cannot be read as audio, or are longer.
        GivenUpError: `cancelled` said so.
    """
    began = time.perf_counter()
    samples = decode_bytes(content, name, longest=longest)
    hear = partial(transcribe, cancelled=cancelled)
    return _transcribe(engine, samples, options, calibrator, began, hear)


def confidence(token_logprobs: tuple[float, ...]) -> float:
    """Mean probability of the tokens, 0 where there are none."""
    return float(np.mean(np.exp(token_logprobs))) if token_logprobs else 0.0


def _transcribe(
    engine: Engine,
    samples: Samples,
    options: DecodingOptions,
    calibrator: ModelCalibrator | None,
    began: float,
    hear: Callable[[Engine, Samples, DecodingOptions], Transcript],
) -> FileTranscript:
    if options.language == AUTO:
        heard = engine.detect_language(samples[: _HEARD_AT_ONCE * SAMPLE_RATE])
        options = replace(options, language=heard)
    transcript = hear(engine, samples, options)
    duration = len(samples) / SAMPLE_RATE
    sure = calibrated(
        confidence(transcript.token_logprobs),
        transcript.words,
        duration,
        transcript.language,
        calibrator if options.fallback is None else None,
    )
    return FileTranscript(
        text=transcript.text,
        words=sure.words,
        confidence=sure.text,
        language=transcript.language,
        duration=duration,
        seconds=time.perf_counter() - began,
        calibrated=sure.calibrated,
    )
