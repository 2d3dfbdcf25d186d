from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.speech_activity import speech_probabilities
from serving.engines.contracts import Samples
from serving.segments import LONGEST, Packed, Segment, speech_segments, spoken

RATE = 16_000
PARTS = st.lists(st.integers(1, 5 * RATE), min_size=1, max_size=6)


@given(lengths=PARTS, gaps=PARTS, at=st.floats(0, 1))
def test_times_of_a_clip_lie_where_its_samples_come_from(
    lengths: list[int], gaps: list[int], at: float
) -> None:
    parts, place = [], 0
    for gap, length in zip(gaps, lengths, strict=False):
        parts.append(Segment(place + gap, place + gap + length))
        place += gap + length
    packed = Packed(tuple(parts))
    clip = packed.clip(np.arange(place, dtype=np.float32))
    sample = int(at * (len(clip) - 1))
    start, end = packed.on_the_clock(sample / RATE, (sample + 1) / RATE)
    assert round(start * RATE) == clip[sample]
    assert round(end * RATE) == clip[sample] + 1


@pytest.fixture(scope="module")
def prompts_with_pauses(clips: dict[str, Samples]) -> tuple[Samples, list[tuple[int, int]]]:
    """Prompts in a quiet room, 5 s of silence before each; and where each lies."""
    parts: list[Samples] = []
    places, at = [], 0
    for clip in [*clips.values()] * 3:
        parts += [np.zeros(5 * RATE, np.float32), clip]
        places.append((at + 5 * RATE, at + 5 * RATE + len(clip)))
        at += 5 * RATE + len(clip)
    whole = np.concatenate(parts)
    hiss = np.random.default_rng(0).normal(0.0, 1e-3, len(whole)).astype(np.float32)
    return whole + hiss, places


def test_speech_is_kept_and_pauses_are_dropped(
    prompts_with_pauses: tuple[Samples, list[tuple[int, int]]],
) -> None:
    samples, places = prompts_with_pauses
    segments = speech_segments(samples)
    parts = [part for segment in segments for part in segment.parts]
    assert all(one.end <= other.start for one, other in pairwise(parts))
    assert all(0 < len(segment.clip(samples)) <= LONGEST * RATE for segment in segments)
    assert len(segments) < len(places)  # prompts share a clip
    kept = np.zeros(len(samples), bool)
    for part in parts:
        kept[part.start : part.end] = True
    for start, end in places:
        assert kept[start:end].mean() > 0.7  # the prompts have silence at their ends
        assert kept[start - 4 * RATE : start - RATE].mean() == 0.0


def test_where_nobody_speaks_nothing_is_left() -> None:
    assert speech_segments(np.zeros(60 * RATE, np.float32)) == []
    assert speech_segments(np.zeros(0, np.float32)) == []
    noise = np.random.default_rng(1).normal(0.0, 0.05, 60 * RATE).astype(np.float32)
    assert speech_segments(noise) == []


def test_speech_without_a_pause_is_cut_at_quiet_places(clips: dict[str, Samples]) -> None:
    endless = np.concatenate([clip[RATE // 4 : -RATE // 4] for clip in clips.values()] * 5)
    segments = speech_segments(endless)
    assert len(segments) > 1
    assert all(len(segment.clip(endless)) <= LONGEST * RATE for segment in segments)


def test_speech_begins_when_it_is_likely_and_ends_when_it_is_not() -> None:
    heard = np.array([0.4, 0.6, 0.4, 0.36, 0.3, 0.4, 0.5, 0.9], np.float32)
    assert spoken(heard) == [(1, 4), (6, 8)]


def test_a_recording_is_heard_in_blocks_as_in_one(
    prompts_with_pauses: tuple[Samples, list[tuple[int, int]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    samples = prompts_with_pauses[0][: 20 * RATE + 100]
    whole = speech_probabilities(samples)
    assert whole.max() > 0.9
    monkeypatch.setattr("data.speech_activity._AT_ONCE", 100)
    assert speech_probabilities(samples) == pytest.approx(whole, abs=1e-5)
