from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.audio import decode
from serving.engines.contracts import DecodingOptions, Engine, Transcript, Word
from serving.longform import join, transcribe
from serving.segments import cut

RATE = 16_000


@settings(max_examples=60)
@given(seconds=st.floats(0, 120), seed=st.integers(0, 9), gaps=st.lists(st.floats(0, 120)))
def test_segments_cover_every_sample_once(seconds: float, seed: int, gaps: list[float]) -> None:
    samples = np.random.default_rng(seed).normal(0, 0.1, round(seconds * RATE)).astype(np.float32)
    for gap in gaps:
        samples[round(gap * RATE) :][: RATE // 2] = 0.0
    segments = cut(samples)
    edges = [0, *(segment.end for segment in segments)]
    assert [segment.start for segment in segments] == edges[:-1]
    assert edges[-1] == len(samples)
    assert all(0 < segment.end - segment.start <= 25 * RATE for segment in segments)


def test_a_recording_is_cut_where_it_is_quiet() -> None:
    samples = np.random.default_rng(0).normal(0, 0.1, 40 * RATE).astype(np.float32)
    samples[18 * RATE : round(18.6 * RATE)] = 0.0
    segments = cut(samples)
    assert len(segments) == 2
    assert 18.0 <= segments[0].end / RATE <= 18.6


def test_digital_silence_is_cut_as_late_as_can_be() -> None:
    segments = cut(np.zeros(60 * RATE, np.float32))
    assert [round(segment.end / RATE) for segment in segments] == [25, 50, 60]


def test_transcripts_of_segments_are_joined_in_order() -> None:
    first = Transcript("Hello.", "en", (-0.1,), 0.2, (Word("Hello.", 0.1, 0.5, 0.9),))
    empty = Transcript("", "en", (), 0.9)
    last = Transcript("World.", "en", (-0.3,), 0.1, (Word("World.", 40.2, 40.7, 0.8),))
    whole = join([first, empty, last], "en")
    assert whole.text == "Hello. World."
    assert whole.token_logprobs == (-0.1, -0.3)
    assert whole.no_speech_probability == 0.1
    assert whole.words == (Word("Hello.", 0.1, 0.5, 0.9), Word("World.", 40.2, 40.7, 0.8))
    assert join([], "en") == Transcript("", "en", (), 1.0)


@pytest.fixture(scope="module")
def announcement(prompts_folder: Path) -> np.ndarray:
    """The longest prompt, 73 s."""
    samples: np.ndarray = decode(prompts_folder / "demo-instruct.g722")
    return samples


def test_a_minute_of_speech_is_heard_from_end_to_end(
    engine: Engine, announcement: np.ndarray
) -> None:
    heard = transcribe(engine, announcement, DecodingOptions(word_times=True))
    assert heard.text.startswith("If you")
    for phrase in (
        "like to learn more technical information",
        "order for this test to work",
        "This test is most useful when",
        "ring the console when their extension is dialed",
        "the option to leave voicemail",
        "disconnect from the PBX",
    ):
        assert phrase in heard.text
    assert all(a.start <= b.start for a, b in pairwise(heard.words))
    assert heard.words[-1].end <= len(announcement) / RATE
    assert heard.words[-1].end > len(announcement) / RATE - 2.0
