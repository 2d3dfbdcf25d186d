"""What a streaming recogniser said, and when: the event trace that every streaming figure rests on.

A trace is one stream of one utterance. Its events carry two clocks: how much audio the recogniser
had been given, and how much time had passed since the stream began. On the second clock a trace
says what a user of this machine waits; on the first, what the recogniser would make a user wait if
computing took no time ("compute-unaware"; Ma et al. 2020, "SimulEval", computation-unaware
latency).

An interim result (a partial, in other writings) is the text of the open segment so far and replaces
the one before; a final result closes its segment, and nothing changes it any more.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any, Literal

VERSION = 1
"""Of the stored form; raised when a field comes to mean something else."""

EventKind = Literal["interim", "final"]
Mode = Literal["real-time", "compute-unaware"]
"""Audio came as fast as it was spoken, or as fast as it was asked for."""

_EARLY = 0.02
"""Seconds that a chunk may come before it was spoken: what a clock and a sleep are apart."""


@dataclass(frozen=True, slots=True)
class TimedWord:
    """A word and its place in the audio, in seconds from its start."""

    text: str
    start: float
    end: float


@dataclass(frozen=True, slots=True)
class TraceEvent:
    """One result.

    Attributes:
        kind: interim or final.
        segment: number of its segment, from 0.
        text: of the segment, as it was sent.
        audio_seconds: audio that had been given when it came.
        wall_seconds: time from the stream's begin to when it came.
        stable_words: words at the beginning of the text that the recogniser promises not to change;
            all words of a final.
        words: of a final, its words with times from the start of the stream, where there are any.
    """

    kind: EventKind
    segment: int
    text: str
    audio_seconds: float
    wall_seconds: float
    stable_words: int = 0
    words: tuple[TimedWord, ...] = ()


@dataclass(frozen=True, slots=True)
class Trace:
    """One stream, finished.

    Attributes:
        utterance_id: of the utterance.
        mode: how audio was given.
        audio_seconds: of the utterance.
        chunk_seconds: of audio that were given at a time; latencies are no finer.
        compute_seconds: time that the recogniser computed.
        speech_start: seconds from the start of the audio; None where nobody speaks.
        speech_end: where the last speech ends; None likewise.
        events: in the order in which they came.
        words: what was said, with times from an alignment of the reference, if there is one.

    Raises:
        ValueError: what cannot have happened: clocks that go backwards, audio that was heard before
            it was spoken, a segment without a final; names the utterance and the event.
    """

    utterance_id: str
    mode: Mode
    audio_seconds: float
    chunk_seconds: float
    compute_seconds: float
    speech_start: float | None
    speech_end: float | None
    events: tuple[TraceEvent, ...]
    words: tuple[TimedWord, ...] = ()

    def __post_init__(self) -> None:
        where = f"Trace of {self.utterance_id!r}"
        times = (self.audio_seconds, self.chunk_seconds, self.compute_seconds)
        if not all(math.isfinite(time) and time >= 0.0 for time in times):
            raise ValueError(f"{where}: a duration is negative or no number.")
        speech = (self.speech_start, self.speech_end)
        if (speech[0] is None) != (speech[1] is None) or (
            speech[0] is not None
            and speech[1] is not None
            and not 0.0 <= speech[0] <= speech[1] <= self.audio_seconds + _EARLY
        ):
            raise ValueError(
                f"{where}: speech lies from {speech[0]} to {speech[1]} s, which is no part of "
                f"{self.audio_seconds:g} s of audio."
            )
        audio = wall = 0.0
        segment, is_open = 0, False
        for number, event in enumerate(self.events):
            problem = _problem(event, self, audio, wall, segment)
            if problem:
                raise ValueError(f"{where}, event {number}: {problem}.")
            audio, wall = event.audio_seconds, event.wall_seconds
            is_open = event.kind == "interim"
            segment += not is_open
        if is_open:
            raise ValueError(f"{where}: segment {segment} has no final; finish the stream.")

    @property
    def finals(self) -> tuple[TraceEvent, ...]:
        return tuple(event for event in self.events if event.kind == "final")

    @property
    def text(self) -> str:
        """What the stream said in the end: its finals, joined by spaces."""
        return " ".join(event.text.strip() for event in self.finals if event.text.strip())

    def as_dict(self) -> dict[str, Any]:
        return {"version": VERSION, **asdict(self)}

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> Trace:
        """Read `as_dict`'s form, also after JSON; keys that it does not know are left aside.

        Raises:
            ValueError: another version, a missing or wrong field, or what the class refuses.
        """
        from pydantic import TypeAdapter

        version = fields.get("version")
        if version != VERSION:
            raise ValueError(f"it is of version {version!r}, and this program reads {VERSION}")
        return TypeAdapter(cls).validate_python(fields)


def _problem(event: TraceEvent, trace: Trace, audio: float, wall: float, segment: int) -> str:
    """What is wrong with the next event, "" for nothing."""
    times = [event.audio_seconds, event.wall_seconds]
    times += [time for word in event.words for time in (word.start, word.end)]
    words = len(event.text.split())
    if not all(map(math.isfinite, times)):
        return "a time is no number"
    if event.audio_seconds < audio or event.wall_seconds < wall:
        return "a clock goes backwards"
    if event.audio_seconds > trace.audio_seconds + _EARLY:
        return f"{event.audio_seconds:g} s of audio were given, and there are fewer"
    if trace.mode == "real-time" and event.wall_seconds < event.audio_seconds - _EARLY:
        return "it was heard before it was spoken, so the audio did not come in real time"
    if event.segment != segment:
        return f"it is of segment {event.segment}, and {segment} is open"
    if not 0 <= event.stable_words <= words:
        return f"{event.stable_words} of {words} words are stable"
    if event.kind == "final" and event.stable_words != words:
        return "a final has words that are not stable"
    return ""
