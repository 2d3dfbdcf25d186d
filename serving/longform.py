"""Audio of any length: segments that an engine can hear, decoded some at a time, joined again.

By default a recording is cut to the speech in it ("speech"). The other way ("quiet") covers every
sample and needs no other model; evaluations cut so. Of 20 minutes with pauses of 2 to 8 s between
prompts, tiny.en got 3.0% of 1,522 words wrong with "speech" and 4.3% with "quiet", in less than
half the time, and invented nothing where nobody speaks (docs/benchmarks.md, benchmarks.longform).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Literal

import numpy as np

from data.features import SAMPLE_RATE
from serving.engines.contracts import DecodingOptions, Engine, Samples, Transcript, Word
from serving.segments import LONGEST, Packed, cut, speech_segments
from voiceforge.errors import GivenUpError

Segmentation = Literal["quiet", "speech"]
"""Segments side by side, cut at the quietest places; or speech alone, by voice activity."""

AT_ONCE = 16
"""Segments that an engine is given at once: seven minutes at most, then others may have a word."""

_WINDOW = 30 * SAMPLE_RATE


def transcribe(
    engine: Engine,
    samples: Samples,
    options: DecodingOptions | None = None,
    *,
    segmentation: Segmentation = "speech",
    tell: Callable[[float, float], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> Transcript:
    """Transcribe a recording of any length; word times are from its start.

    Args:
        segmentation: how a recording of more than `LONGEST` seconds is cut; a shorter one is
            heard whole.
        tell: called with the seconds that have been heard, and those of the recording.
        cancelled: asked before every `AT_ONCE` segments whether to give up.

    Raises:
        ValueError: the samples hold NaN or infinity.
        GivenUpError: `cancelled` said so.
        StageError: speech was to be found, and the package silero-vad is not there.
    """
    options = options or DecodingOptions()
    heard: list[Transcript] = []
    for segment, transcript in heard_in_parts(
        engine, samples, options, segmentation=segmentation, cancelled=cancelled
    ):
        heard.append(transcript)
        if tell is not None:
            tell(segment.end / SAMPLE_RATE, len(samples) / SAMPLE_RATE)
    return join(heard, options.language or engine.description.language)


def heard_in_parts(
    engine: Engine,
    samples: Samples,
    options: DecodingOptions,
    *,
    segmentation: Segmentation = "speech",
    cancelled: Callable[[], bool] | None = None,
) -> Iterator[tuple[Packed, Transcript]]:
    """The segments of a recording in order, each with its transcript on the recording's clock.

    At most `AT_ONCE` are decoded at a time, so that memory does not grow with the recording.
    Arguments and errors as for `transcribe`.
    """
    segments = _segments(samples, segmentation)
    for first in range(0, len(segments), AT_ONCE):
        if cancelled is not None and cancelled():
            raise GivenUpError("The transcription was given up before the recording's end.")
        some = segments[first : first + AT_ONCE]
        clips = [segment.clip(samples) for segment in some]
        for segment, transcript in zip(some, engine.transcribe(clips, options), strict=True):
            yield segment, _placed(transcript, segment)


def _segments(samples: Samples, segmentation: Segmentation) -> list[Packed]:
    if segmentation == "speech" and len(samples) > LONGEST * SAMPLE_RATE:
        if not math.isfinite(samples.sum(dtype=np.float64)):
            raise ValueError("the recording holds samples that are NaN or infinite")
        return speech_segments(samples)
    return [Packed((segment,)) for segment in cut(samples)]


def _placed(transcript: Transcript, segment: Packed) -> Transcript:
    words: list[Word] = []
    for word in transcript.words:
        start, end = segment.on_the_clock(word.start, word.end)
        words.append(replace(word, start=round(start, 2), end=round(end, 2)))
    return replace(transcript, words=tuple(words))


def join(transcripts: Sequence[Transcript], language: str) -> Transcript:
    """Join the transcripts of consecutive segments, whose words lie on the recording's clock.

    The no-speech probability of the whole is the least of its parts: there is speech where any
    part has some. It is 1 for no parts.
    """
    return Transcript(
        text=" ".join(transcript.text for transcript in transcripts if transcript.text),
        language=language,
        token_logprobs=tuple(p for transcript in transcripts for p in transcript.token_logprobs),
        no_speech_probability=min(
            (transcript.no_speech_probability for transcript in transcripts), default=1.0
        ),
        words=tuple(word for transcript in transcripts for word in transcript.words),
    )


class AnyLength:
    """An engine that takes clips of any length: longer ones are cut at their quietest places.

    Comparisons hear recordings so, all of a recording and by the model alone.
    """

    def __init__(self, engine: Engine) -> None:
        self.description = engine.description
        self._engine = engine

    def transcribe(self, clips: Sequence[Samples], options: DecodingOptions) -> list[Transcript]:
        """As `Engine.transcribe`; clips that the engine takes whole are heard as it hears them."""
        short = [index for index, clip in enumerate(clips) if len(clip) <= _WINDOW]
        heard = self._engine.transcribe([clips[index] for index in short], options) if short else []
        said = dict(zip(short, heard, strict=True))
        return [
            said[index]
            if index in said
            else transcribe(self._engine, clip, options, segmentation="quiet")
            for index, clip in enumerate(clips)
        ]

    def detect_language(self, clip: Samples) -> str:
        """As `Engine.detect_language`, by the clip's first 30 s."""
        return self._engine.detect_language(clip[:_WINDOW])
