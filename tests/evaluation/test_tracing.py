"""Traces of a real session: on a clock of the test's own, and of a real model."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from data.audio import read_flac
from evaluation.streaming import measure_trace
from evaluation.tracing import ComputingClock, RememberedDecoding, record_trace, speech_span
from serving.engines.contracts import DecodingOptions, Engine, Samples, Transcript, Word
from serving.streaming.session import StreamSession

RATE = 16_000


class Watch:
    """A clock that only sleep and decoding move on."""

    def __init__(self, decoding: float) -> None:
        self.now = 100.0
        self.decoding = decoding
        self.given: list[int] = []

    def sleep(self, seconds: float) -> None:
        assert seconds > 0.0
        self.now += seconds

    def decode(self, samples: Samples, options: DecodingOptions) -> Transcript:
        self.now += self.decoding
        self.given.append(len(samples))
        words = tuple(
            Word(f"w{n}", 0.5 * n, 0.5 * n + 0.4, 0.9) for n in range(len(samples) * 2 // RATE)
        )
        text = " ".join(word.text for word in words)
        return Transcript(text, "en", (-0.1,), 0.0, words if options.word_times else ())


@pytest.fixture
def talk() -> Samples:
    """Three seconds of noise as loud as speech, then one and a half of silence."""
    noise = np.random.default_rng(0).normal(0.0, 0.1, 3 * RATE)
    return np.concatenate([noise, np.zeros(RATE * 3 // 2)]).astype(np.float32)


def record(watch: Watch, samples: Samples, mode: Any, **changes: Any) -> Any:
    session = StreamSession(watch.decode)
    return record_trace(
        session, samples, "a", mode, clock=lambda: watch.now, sleep=watch.sleep, **changes
    )


def test_in_real_time_a_quick_session_answers_when_its_audio_was_spoken(talk: Samples) -> None:
    watch = Watch(decoding=0.01)
    found = record(watch, talk, "real-time")
    assert found.audio_seconds == 4.5
    assert watch.now - 100.0 == pytest.approx(4.5, abs=0.05)
    for event in found.events:
        assert event.audio_seconds <= event.wall_seconds + 1e-9
        assert event.wall_seconds - event.audio_seconds == pytest.approx(0.01, abs=0.005)
    assert found.compute_seconds == pytest.approx(0.01 * len(watch.given))


def test_a_session_that_is_slower_than_speech_gets_what_waited_at_once(talk: Samples) -> None:
    slow, quick = Watch(decoding=0.8), Watch(decoding=0.01)
    behind, ahead = record(slow, talk, "real-time"), record(quick, talk, "real-time")
    assert len(slow.given) <= len(quick.given) / 2
    assert behind.finals[0].text == ahead.finals[0].text
    late = [event.wall_seconds - event.audio_seconds for event in behind.events]
    assert max(late) < 2 * 0.8 + 0.1 + 0.05


def test_compute_unaware_every_chunk_is_given_by_itself(talk: Samples) -> None:
    slow = record(Watch(decoding=0.8), talk, "compute-unaware")
    quick = record(Watch(decoding=0.01), talk, "compute-unaware")
    texts = [[(event.text, event.audio_seconds) for event in one.events] for one in (slow, quick)]
    assert texts[0] == texts[1]
    assert measure_trace(slow, "audio") == measure_trace(quick, "audio")


def test_events_on_the_audio_clock_are_the_same_in_both_modes_of_a_quick_session(
    talk: Samples,
) -> None:
    one = record(Watch(decoding=0.0), talk, "real-time")
    other = record(Watch(decoding=0.0), talk, "compute-unaware")
    assert measure_trace(one, "audio") == measure_trace(other, "audio")


class Slow:
    """An engine that takes 0.8 s of a watch for whatever it hears."""

    def __init__(self, watch: Watch) -> None:
        self.watch = watch

    def transcribe(self, clips: list[Samples], options: DecodingOptions) -> list[Transcript]:
        return [self.watch.decode(clip, options) for clip in clips]


@pytest.mark.parametrize("mode", ["real-time", "compute-unaware"])
def test_a_clock_that_only_computing_moves_tells_the_time_that_waiting_would_have(
    talk: Samples, mode: Any
) -> None:
    waited, computed = Watch(0.8), Watch(0.8)
    expected = record(waited, talk, mode)
    clock = ComputingClock(lambda: computed.now)
    session = StreamSession(computed.decode)
    found = record_trace(session, talk, "a", mode, clock=clock.now, sleep=clock.sleep)
    assert computed.given == waited.given
    assert computed.now - 100.0 == pytest.approx(0.8 * len(computed.given))  # it never waited
    assert [event.text for event in found.events] == [event.text for event in expected.events]
    for event, other in zip(found.events, expected.events, strict=True):
        assert event.audio_seconds == other.audio_seconds
        assert event.wall_seconds == pytest.approx(other.wall_seconds)
    assert found.compute_seconds == pytest.approx(expected.compute_seconds)


def test_what_was_decoded_before_takes_the_same_time_and_no_computing(talk: Samples) -> None:
    watch = Watch(0.05)
    clock = ComputingClock(lambda: watch.now)
    decode = RememberedDecoding(Slow(watch), clock)  # type: ignore[arg-type]
    first, again = (
        record_trace(
            StreamSession(decode), talk, "a", "real-time", clock=clock.now, sleep=clock.sleep
        )
        for _ in range(2)
    )
    assert len(watch.given) == round(first.compute_seconds / 0.05)
    assert [event.text for event in again.events] == [event.text for event in first.events]
    assert again.events[-1].wall_seconds == pytest.approx(first.events[-1].wall_seconds)
    assert again.compute_seconds == pytest.approx(first.compute_seconds)


def test_chunks_without_a_sample_are_refused(talk: Samples) -> None:
    with pytest.raises(ValueError, match="a chunk needs a sample"):
        record(Watch(0.0), talk, "real-time", chunk_seconds=0.0)


def test_silence_has_no_speech_and_no_events() -> None:
    silence = np.zeros(2 * RATE, np.float32)
    found = record(Watch(0.0), silence, "real-time")
    assert (found.events, found.speech_start) == ((), None)
    assert speech_span(np.zeros(0, np.float32)) == (None, None)


def test_a_real_model_streams_a_real_prompt(prompted: Any, base_engine: Engine) -> None:
    utterance = min(prompted.utterances, key=lambda one: one.duration)
    samples = read_flac(prompted.folder / utterance.audio)
    samples = np.concatenate([samples, np.zeros(RATE, np.float32)])
    session = StreamSession(lambda clip, options: base_engine.transcribe([clip], options)[0])
    found = record_trace(session, samples, utterance.id, "compute-unaware", chunk_seconds=0.2)
    assert found.speech_start is not None
    assert found.speech_end is not None
    assert 0.0 <= found.speech_start < found.speech_end <= utterance.duration + 0.05
    measured = measure_trace(found, "audio")
    assert measured.final_words == len(found.text.split()) > 0
    assert measured.untimed_words == 0
    assert measured.final is not None
    # Half a second of silence closes the segment, and the chunk that brings it.
    assert 0.3 < measured.final < 1.2
    assert all(-0.3 < latency < 3.0 for latency in measured.word_final_latencies)
