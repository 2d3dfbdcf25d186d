"""Running a streaming session over recordings and writing down what it said when."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol

import numpy as np

from data.features import SAMPLE_RATE
from data.speech_activity import SPEECH, WINDOW, speech_probabilities
from evaluation.traces import Mode, TimedWord, Trace, TraceEvent
from serving.engines.contracts import DecodingOptions, Engine, Samples, Transcript
from serving.streaming.session import Final, StreamEvent


class Session(Protocol):
    """What `serving.streaming.session.StreamSession` offers."""

    def accept(self, samples: Samples) -> list[StreamEvent]: ...

    def finish(self) -> list[StreamEvent]: ...


class ComputingClock:
    """Seconds of computing and of what is slept through, which takes none of anybody's time.

    With it a stream in real time is recorded as fast as it is computed, and its wall clock is what
    it would have been: computing counts as it happened, waiting for speech as it would have.
    """

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self._clock = clock
        self._slept = 0.0

    def now(self) -> float:
        """Seconds since some moment."""
        return self._clock() + self._slept

    def sleep(self, seconds: float) -> None:
        """Let so many seconds pass without waiting."""
        self._slept += seconds


class RememberedDecoding:
    """Decodes one clip at a time for a session, the same clip once.

    What is asked again takes the time on the clock that it took before: the modes of `record_trace`
    cost little more than one of them, as far as they decode at the same places.
    """

    def __init__(self, engine: Engine, clock: ComputingClock) -> None:
        self._engine = engine
        self._clock = clock
        self._known: dict[tuple[bytes, DecodingOptions], tuple[Transcript, float]] = {}

    def __call__(self, samples: Samples, options: DecodingOptions) -> Transcript:
        key = (samples.tobytes(), options)
        if key in self._known:
            transcript, seconds = self._known[key]
            self._clock.sleep(seconds)
            return transcript
        began = self._clock.now()
        (transcript,) = self._engine.transcribe([samples], options)
        self._known[key] = transcript, self._clock.now() - began
        return transcript


def record_trace(
    session: Session,
    samples: Samples,
    utterance_id: str,
    mode: Mode,
    *,
    chunk_seconds: float = 0.1,
    words: tuple[TimedWord, ...] = (),
    clock: Callable[[], float] = time.perf_counter,
    sleep: Callable[[float], None] = time.sleep,
) -> Trace:
    """Give a recording to a session and trace its events.

    In real time a chunk comes when its last sample has been spoken. Chunks that came while the
    session was computing are given together, as the service does. Compute-unaware, every chunk is
    given by itself, as soon as the session has answered the one before.

    Args:
        session: a new one.
        samples: of the recording, mono at 16 kHz.
        chunk_seconds: audio in a chunk, such as 0.02 to 0.2 for a telephone or a browser.
        words: the reference's, with their times, where an alignment gave them.
        clock: seconds that pass.
        sleep: waits for so many of them.

    Raises:
        ValueError: chunks without a sample, or as the session.
    """
    chunk = round(chunk_seconds * SAMPLE_RATE)
    if chunk < 1:
        raise ValueError(f"chunk_seconds is {chunk_seconds}; a chunk needs a sample.")
    events: list[TraceEvent] = []
    given, computed, began = 0, 0.0, clock()
    while given < len(samples):
        ready = min(given + chunk, len(samples))
        if mode == "real-time":
            if (missing := ready / SAMPLE_RATE - (clock() - began)) > 0.0:
                sleep(missing)
            spoken = int((clock() - began) * SAMPLE_RATE)
            ready = max(ready, min(spoken // chunk * chunk, len(samples)))
        since = clock()
        said = session.accept(samples[given:ready])
        given, now = ready, clock()
        computed += now - since
        events += [_traced(event, given, now - began) for event in said]
    since = clock()
    said = session.finish()
    now = clock()
    events += [_traced(event, given, now - began) for event in said]
    start, end = speech_span(samples)
    return Trace(
        utterance_id=utterance_id,
        mode=mode,
        audio_seconds=len(samples) / SAMPLE_RATE,
        chunk_seconds=chunk_seconds,
        compute_seconds=computed + now - since,
        speech_start=start,
        speech_end=end,
        events=tuple(events),
        words=words,
    )


def speech_span(samples: Samples) -> tuple[float | None, float | None]:
    """Where the first speech of a recording begins and the last ends, to 32 ms, by Silero VAD.

    Returns:
        Seconds from its start; None twice where nobody speaks.
    """
    if not samples.size:
        return None, None
    heard = np.flatnonzero(speech_probabilities(samples) >= SPEECH)
    if not heard.size:
        return None, None
    start, end = int(heard[0]) * WINDOW, min((int(heard[-1]) + 1) * WINDOW, len(samples))
    return start / SAMPLE_RATE, end / SAMPLE_RATE


def _traced(event: StreamEvent, given: int, passed: float) -> TraceEvent:
    is_final = isinstance(event, Final)
    words = event.words if isinstance(event, Final) else ()
    return TraceEvent(
        kind="final" if is_final else "interim",
        segment=event.segment,
        text=event.text,
        audio_seconds=given / SAMPLE_RATE,
        wall_seconds=passed,
        stable_words=len(event.text.split()) if is_final else 0,
        words=tuple(TimedWord(word.text, word.start, word.end) for word in words),
    )
