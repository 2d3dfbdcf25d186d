"""Audio of any length: cut at silences into segments that an engine can hear, and join the results.

The segments lie side by side and cover every sample, so that nothing is lost: a cut is only ever
a boundary, at the quietest place near the end of what an engine can hear.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from data.features import HEARD_WHOLE, SAMPLE_RATE
from serving.engines.contracts import DecodingOptions, Engine, Samples, Transcript, Word

LONGEST = HEARD_WHOLE
"""Seconds that a segment may last."""

EARLIEST = 8.0
"""Seconds before which a segment is not cut, so that every part has context."""

_FRAME = SAMPLE_RATE // 100
_WINDOW = 30 * SAMPLE_RATE
_SMOOTHING = 31


@dataclass(frozen=True, slots=True)
class Segment:
    """Samples `start` to `end` (exclusive) of a recording."""

    start: int
    end: int


def cut(samples: Samples, *, longest: float = LONGEST, earliest: float = EARLIEST) -> list[Segment]:
    """Cut a recording into segments of at most `longest` seconds, at its quietest places.

    Each cut is at the middle of the quietest 0.3 s between `earliest` and `longest` after the
    last one; among equally quiet places the latest.

    Returns:
        Segments in order, without gap or overlap, from 0 to len(samples); none for no samples.
    """
    segments: list[Segment] = []
    most, least = int(longest * SAMPLE_RATE), int(earliest * SAMPLE_RATE)
    loudness = _loudness(samples) if len(samples) > most else np.zeros(0)
    start = 0
    while len(samples) - start > most:
        first, last = (start + least) // _FRAME + 1, (start + most) // _FRAME
        window = loudness[first:last]
        quietest = first + len(window) - 1 - int(np.argmin(window[::-1]))
        end = quietest * _FRAME
        segments.append(Segment(start, end))
        start = end
    if len(samples) > start:
        segments.append(Segment(start, len(samples)))
    return segments


def _loudness(samples: Samples) -> npt.NDArray[np.float64]:
    """Energy around each 10 ms boundary, averaged over 0.3 s; index i is at sample 160 i."""
    frames = len(samples) // _FRAME
    energy = np.square(samples[: frames * _FRAME].astype(np.float64)).reshape(frames, _FRAME)
    kernel = np.ones(_SMOOTHING) / _SMOOTHING
    return np.convolve(energy.mean(axis=1), kernel, mode="same")


def transcribe(
    engine: Engine, samples: Samples, options: DecodingOptions | None = None
) -> Transcript:
    """Transcribe a recording of any length; word times are from its start.

    Raises:
        ValueError: the samples hold NaN or infinity.
    """
    options = options or DecodingOptions()
    segments = cut(samples)
    clips = [samples[segment.start : segment.end] for segment in segments]
    transcripts = engine.transcribe(clips, options)
    return join(
        transcripts,
        [segment.start / SAMPLE_RATE for segment in segments],
        options.language or engine.description.language,
    )


def join(transcripts: Sequence[Transcript], starts: Sequence[float], language: str) -> Transcript:
    """Join the transcripts of consecutive segments that start at `starts` seconds.

    The no-speech probability of the whole is the least of its parts: there is speech where any
    part has some. It is 1 for no parts.
    """
    words: list[Word] = []
    for transcript, start in zip(transcripts, starts, strict=True):
        words += [
            replace(word, start=round(word.start + start, 2), end=round(word.end + start, 2))
            for word in transcript.words
        ]
    return Transcript(
        text=" ".join(transcript.text for transcript in transcripts if transcript.text),
        language=language,
        token_logprobs=tuple(p for transcript in transcripts for p in transcript.token_logprobs),
        no_speech_probability=min(
            (transcript.no_speech_probability for transcript in transcripts), default=1.0
        ),
        words=tuple(words),
    )


class AnyLength:
    """An engine that takes clips of any length: longer ones are cut as `transcribe` does."""

    def __init__(self, engine: Engine) -> None:
        self.description = engine.description
        self._engine = engine

    def transcribe(self, clips: Sequence[Samples], options: DecodingOptions) -> list[Transcript]:
        """As `Engine.transcribe`; clips that the engine takes whole are heard as it hears them."""
        short = [index for index, clip in enumerate(clips) if len(clip) <= _WINDOW]
        heard = self._engine.transcribe([clips[index] for index in short], options) if short else []
        said = dict(zip(short, heard, strict=True))
        return [
            said[index] if index in said else transcribe(self._engine, clip, options)
            for index, clip in enumerate(clips)
        ]

    def detect_language(self, clip: Samples) -> str:
        """As `Engine.detect_language`, by the clip's first 30 s."""
        return self._engine.detect_language(clip[:_WINDOW])
