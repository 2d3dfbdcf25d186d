from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serving.engines.contracts import DecodingOptions, Engine, Samples, Transcript, Word
from serving.streaming.endpointing import FRAME, EnergyDetector
from serving.streaming.session import Final, Interim, StreamEvent, StreamOptions, StreamSession

RATE = 16_000
SHORT = StreamOptions(longest=4.0)


def echo(samples: Samples, options: DecodingOptions) -> Transcript:
    """Says exactly what audio it was given, so that equal texts mean equal audio."""
    text = f"{len(samples)}:{float(np.sum(samples, dtype=np.float64)):.6f}"
    words = (Word(text, 0.0, len(samples) / RATE, 0.9),) if options.word_times else ()
    return Transcript(text, "en", (-0.1,), 0.0, words)


def run(samples: Samples, chunks: list[int], options: StreamOptions = SHORT) -> list[StreamEvent]:
    session, events, start = StreamSession(echo, options), [], 0
    for chunk in chunks:
        events += session.accept(samples[start : start + chunk])
        start += chunk
    events += session.accept(samples[start:])
    return events + session.finish()


def finals(events: list[StreamEvent]) -> list[Final]:
    return [event for event in events if isinstance(event, Final)]


@st.composite
def talk(draw: st.DrawFn) -> Samples:
    """Bursts of noise as loud as speech, pauses, clicks, on a noise floor."""
    seed = np.random.default_rng(draw(st.integers(0, 99)))
    parts = [
        seed.normal(0.0, level, round(seconds * RATE))
        for level, seconds in draw(
            st.lists(
                st.tuples(st.sampled_from([0.0, 1e-4, 2e-3, 0.05, 0.2]), st.floats(0.001, 3.0)),
                max_size=8,
            )
        )
    ]
    return np.concatenate([np.zeros(0), *parts]).astype(np.float32)


CHUNKS = st.lists(st.integers(0, 20_000), max_size=40)


@settings(max_examples=80)
@given(samples=talk(), one=CHUNKS, other=CHUNKS)
def test_any_chunking_gives_the_same_finals(
    samples: Samples, one: list[int], other: list[int]
) -> None:
    assert finals(run(samples, one)) == finals(run(samples, other))


@settings(max_examples=80)
@given(samples=talk(), chunks=CHUNKS)
def test_every_sample_is_in_one_segment_or_in_silence(samples: Samples, chunks: list[int]) -> None:
    segments = [
        (round(final.start * RATE), round(final.end * RATE))
        for final in finals(run(samples, chunks))
    ]
    assert all(0 <= start < end <= len(samples) for start, end in segments)
    assert all(before[1] <= after[0] for before, after in pairwise(segments))
    assert all(end - start <= (SHORT.longest + 0.02) * RATE for start, end in segments)
    detector, loud = EnergyDetector(), 0
    for start in range(0, len(samples), FRAME):
        frame = samples[start : start + FRAME]
        inside = any(a < start + len(frame) and start < b for a, b in segments)
        loud = 0 if inside or not detector_says(detector, frame) else loud + len(frame)
        assert loud < SHORT.onset * RATE


def detector_says(detector: EnergyDetector, frame: Samples) -> bool:
    return detector.is_speech(frame)


@settings(max_examples=50)
@given(samples=talk(), chunks=CHUNKS)
def test_a_final_is_what_its_segment_sounds_like(samples: Samples, chunks: list[int]) -> None:
    for number, final in enumerate(finals(run(samples, chunks))):
        clip = samples[round(final.start * RATE) : round(final.end * RATE)]
        assert final.segment == number
        assert final.text == echo(clip, DecodingOptions()).text
        assert final.words[0].start == pytest.approx(final.start, abs=0.006)


@settings(max_examples=50)
@given(samples=talk(), chunks=CHUNKS)
def test_interims_belong_to_the_segment_that_is_open(samples: Samples, chunks: list[int]) -> None:
    closed = 0
    for event in run(samples, chunks):
        assert event.segment == closed
        closed += isinstance(event, Final)


def test_an_interim_comes_every_hop_while_speech_goes_on() -> None:
    noise = np.random.default_rng(0).normal(0.0, 0.1, 3 * RATE).astype(np.float32)
    session, interims = StreamSession(echo), 0
    for start in range(0, len(noise), RATE // 50):
        interims += len(session.accept(noise[start : start + RATE // 50]))
    # An onset of 60 ms, then one every 300 ms.
    assert interims == 10


def test_audio_that_waited_costs_one_interim() -> None:
    noise = np.random.default_rng(0).normal(0.0, 0.1, 3 * RATE).astype(np.float32)
    assert [type(event) for event in StreamSession(echo).accept(noise)] == [Interim]


def test_memory_is_bounded_by_the_open_segment() -> None:
    session = StreamSession(echo, SHORT)
    noise = np.random.default_rng(0).normal(0.0, 0.1, RATE).astype(np.float32)
    for _ in range(30):
        session.accept(noise)
        session.accept(np.zeros(RATE, np.float32))
    assert len(session._audio) <= 5 * RATE


def test_silence_and_clicks_say_nothing() -> None:
    samples = np.zeros(4 * RATE, np.float32)
    samples[RATE : RATE + 400] = 0.5
    assert run(samples, []) == []


def test_what_is_no_audio_is_refused() -> None:
    session = StreamSession(echo)
    with pytest.raises(ValueError, match="NaN"):
        session.accept(np.array([np.nan], np.float32))
    with pytest.raises(ValueError, match="mono"):
        session.accept(np.zeros((2, 2), np.float32))
    assert session.finish() == []
    assert session.finish() == []
    with pytest.raises(ValueError, match="finished"):
        session.accept(np.zeros(1, np.float32))


@pytest.mark.parametrize("fields", [{"onset": 0.5}, {"padding": 0.6}, {"longest": 30.0}])
def test_options_that_cannot_work_are_refused(fields: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"must hold|needs"):
        StreamOptions(**fields)


def test_real_speech_is_cut_into_its_prompts(
    engine: Engine, speech: Samples, texts: dict[str, str]
) -> None:
    session = StreamSession(lambda samples, options: engine.transcribe([samples], options)[0])
    events: list[StreamEvent] = []
    for start in range(0, len(speech), 2 * RATE):
        events += session.accept(speech[start : start + 2 * RATE])
    events += session.finish()
    said = finals(events)
    assert len(said) == len(texts)
    for final, text in zip(said, texts.values(), strict=True):
        heard = final.text.lower().replace(".", "").replace(",", "").split()
        assert len(set(text.split()) - set(heard)) <= 1
        assert final.start <= final.words[0].start <= final.words[-1].end <= final.end
        assert 0.5 < final.confidence <= 1.0
    assert any(isinstance(event, Interim) for event in events)
    assert {event.as_dict()["type"] for event in events} == {"interim", "final"}
