"""A stream of audio in, interim and final results out: no sockets, no threads, no clock.

The open segment is decoded again as it grows (interim results) and once more when an endpoint,
half a second of silence, closes it (the final result). Every decision hangs on positions in the
audio alone, so that the same audio gives the same finals however it was cut into chunks.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from data.features import SAMPLE_RATE
from serving.engines.contracts import DecodingOptions, Samples, Transcript, Word
from serving.segments import cut
from serving.streaming.endpointing import FRAME, EnergyDetector
from serving.transcription import confidence

Decode = Callable[[Samples, DecodingOptions], Transcript]
"""Transcribes one clip of at most 30 s."""


@dataclass(frozen=True, slots=True)
class StreamOptions:
    """How a stream is cut and how often it is decoded; all in seconds.

    Attributes:
        hop: an interim result is due whenever the open segment has grown by this much.
        endpoint_silence: silence that closes a segment.
        longest: a segment is cut at its quietest place in its last quarter when it gets longer.
        onset: speech that opens a segment; less is a click.
        padding: silence kept before and after the speech of a segment.
    """

    hop: float = 0.3
    endpoint_silence: float = 0.5
    longest: float = 20.0
    onset: float = 0.06
    padding: float = 0.2

    def __post_init__(self) -> None:
        if not (0.0 < self.onset <= self.hop and 0.0 <= self.padding <= self.endpoint_silence):
            raise ValueError("0 < onset <= hop and 0 <= padding <= endpoint_silence must hold")
        if not 2.0 <= self.longest <= 25.0:
            raise ValueError(f"longest is {self.longest}; an engine needs 2 to 25 s")


@dataclass(frozen=True, slots=True)
class Interim:
    """The text of the open segment so far; the next one, or its final, replaces it.

    Attributes:
        segment: number of the segment, from 0.
        start: seconds from the start of the stream.
        end: seconds up to which the text was heard.
    """

    segment: int
    text: str
    start: float
    end: float

    def as_dict(self) -> dict[str, Any]:
        return {"type": "interim", **asdict(self)}


@dataclass(frozen=True, slots=True)
class Final:
    """The result of a closed segment, which nothing changes any more.

    Attributes:
        segment: number of the segment, from 0.
        words: with times from the start of the stream.
        confidence: mean probability of the text tokens, 0..1.
        calibrated: whose confidences were made probabilities since (`serving.confidence`).
        start: seconds from the start of the stream; no segment overlaps another, and what lies
            between two segments was silence.
    """

    segment: int
    text: str
    words: tuple[Word, ...]
    confidence: float
    start: float
    end: float
    calibrated: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        return {"type": "final", **asdict(self)}


StreamEvent = Interim | Final


class StreamSession:
    """One stream. Not safe to share between threads.

    Args:
        decode: transcribes one clip.
        options: how the stream is cut.
        decoding: how finals are decoded; interims go without word times.
    """

    def __init__(
        self,
        decode: Decode,
        options: StreamOptions | None = None,
        decoding: DecodingOptions | None = None,
    ) -> None:
        self._decode = decode
        self._options = options or StreamOptions()
        self._final = decoding or DecodingOptions(word_times=True)
        self._interim = replace(self._final, word_times=False)
        self._detector = EnergyDetector()
        self._audio: Samples = np.zeros(0, np.float32)
        self._offset = 0  # position in the stream of the first sample of _audio
        self._seen = 0  # samples that were classified
        self._open: int | None = None  # start of the open segment
        self._closed = 0  # end of the last segment
        self._speech_run = 0
        self._last_speech = 0  # end of the last frame of speech
        self._decoded = 0  # where the last interim of the open segment was due
        self._shown = ""
        self._segment = 0
        self._finished = False

    def accept(self, samples: Samples) -> list[StreamEvent]:
        """Take the next chunk, float32 of shape [samples], of any length.

        Returns the finals of the segments that it closed and at most one interim.

        Raises:
            ValueError: samples are NaN or infinite, or the session is finished.
        """
        if self._finished:
            raise ValueError("the session is finished; open a new one")
        if samples.ndim != 1 or not np.isfinite(samples).all():
            raise ValueError("a chunk must be mono and free of NaN and infinity")
        self._audio = np.concatenate([self._audio, samples.astype(np.float32, copy=False)])
        events: list[StreamEvent] = []
        while self._offset + len(self._audio) - self._seen >= FRAME:
            events += self._step(FRAME)
        events += self._interim_event()
        self._forget()
        return events

    def finish(self) -> list[StreamEvent]:
        """End the stream: close the open segment. Further audio is refused."""
        events: list[StreamEvent] = []
        if not self._finished:
            end = self._offset + len(self._audio)
            if end > self._seen:
                events += self._step(end - self._seen)
            if self._open is not None:
                events.append(self._close(end))
            self._finished = True
        return events

    def _step(self, length: int) -> list[StreamEvent]:
        """Classify the next frame and move on."""
        frame = self._between(self._seen, self._seen + length)
        self._seen += length
        if self._detector.is_speech(frame):
            self._speech_run += length
            self._last_speech = self._seen
        else:
            self._speech_run = 0
        if self._open is None:
            if self._speech_run >= _samples(self._options.onset):
                onset = self._seen - self._speech_run - _samples(self._options.padding)
                self._open = max(self._closed, onset)
                self._decoded = self._open
            return []
        if self._seen - self._last_speech >= _samples(self._options.endpoint_silence):
            return [self._close(self._last_speech + _samples(self._options.padding))]
        if self._seen - self._open > _samples(self._options.longest):
            return [self._cut()]
        return []

    def _cut(self) -> Final:
        """Close the open segment at its quietest place and go on with the rest of it."""
        assert self._open is not None  # noqa: S101
        longest = self._options.longest
        audio = self._between(self._open, self._seen)
        place = self._open + cut(audio, longest=longest, earliest=0.75 * longest)[0].end
        final = self._close(place)
        if self._last_speech > place:
            self._open = self._decoded = place
        return final

    def _close(self, end: int) -> Final:
        assert self._open is not None  # noqa: S101
        start, self._open, self._closed = self._open, None, end
        transcript = self._decode(self._between(start, end), self._final)
        begin = start / SAMPLE_RATE
        words = tuple(
            replace(word, start=round(word.start + begin, 2), end=round(word.end + begin, 2))
            for word in transcript.words
        )
        final = Final(
            segment=self._segment,
            text=transcript.text,
            words=words,
            confidence=confidence(transcript.token_logprobs),
            start=begin,
            end=end / SAMPLE_RATE,
        )
        self._segment += 1
        self._shown = ""
        return final

    def _interim_event(self) -> list[StreamEvent]:
        """Decode the open segment where an interim is due; silent where the text is the same."""
        hop = _samples(self._options.hop)
        if self._open is None or self._seen - self._decoded < hop:
            return []
        self._decoded = self._seen
        text = self._decode(self._between(self._open, self._seen), self._interim).text
        if text == self._shown:
            return []
        self._shown = text
        return [Interim(self._segment, text, self._open / SAMPLE_RATE, self._seen / SAMPLE_RATE)]

    def _between(self, start: int, end: int) -> Samples:
        return self._audio[start - self._offset : end - self._offset]

    def _forget(self) -> None:
        """Drop the audio that no segment can need any more."""
        margin = _samples(self._options.padding + self._options.onset) + FRAME
        keep = self._seen - margin if self._open is None else self._open
        keep = max(keep, self._offset)
        self._audio = self._audio[keep - self._offset :].copy()
        self._offset = keep


def _samples(seconds: float) -> int:
    return round(seconds * SAMPLE_RATE)
