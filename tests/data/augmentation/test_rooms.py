"""Rooms: the reverberation asked for, measured on the response, and speech that stays in place."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.audio import SAMPLE_RATE, Samples
from data.augmentation.level import active_level
from data.augmentation.rooms import draw_room, impulse_response, reverberate
from data.augmentation.samples import generator


def schroeder(response: Samples) -> float:
    """Reverberation time of a measured response: backward integral, line from -5 to -35 dB."""
    left = np.cumsum(response[::-1].astype(np.float64) ** 2)[::-1]
    decay = 10 * np.log10(left / left[0])
    part = np.flatnonzero((decay <= -5.0) & (decay >= -35.0))
    return float(-60.0 / np.polyfit(part / SAMPLE_RATE, decay[part], 1)[0])


@pytest.mark.parametrize("rt60", [0.15, 0.3, 0.6])
def test_the_decay_takes_as_long_as_asked_for(rt60: float) -> None:
    """Within 15% for each room, and within 5% on average."""
    ratios = []
    for number in range(8):
        room = draw_room(generator("decay", number), (rt60, rt60), (0.5, 2.0))
        assert room.rt60 == rt60
        ratios.append(schroeder(impulse_response(room)) / rt60)
    assert max(abs(ratio - 1) for ratio in ratios) < 0.15
    assert np.mean(ratios) == pytest.approx(1.0, abs=0.05)


@settings(max_examples=200)
@given(st.integers(), st.floats(0.1, 1.2), st.floats(0.1, 5.0))
def test_mouth_and_microphone_are_inside_at_the_distance_or_as_far_as_fits(
    seed: int, rt60: float, distance: float
) -> None:
    room = draw_room(generator(seed), (rt60, rt60), (distance, distance))
    for place in (room.mouth, room.microphone):
        assert all(
            0.3 <= metres <= length - 0.3 for metres, length in zip(place, room.size, strict=True)
        )
    assert room.distance <= distance + 1e-9
    assert room.distance > 0.3 * min(distance, min(room.size))
    assert 1.8 < min(room.size) < 9.0


def test_a_response_repeats_and_its_energy_is_one() -> None:
    room = draw_room(generator("one"), (0.3, 0.3), (1.0, 1.0))
    first, second = impulse_response(room), impulse_response(room)
    np.testing.assert_array_equal(first, second)
    assert np.sum(first.astype(np.float64) ** 2) == pytest.approx(1.0, rel=1e-5)


def test_speech_stays_in_place_at_about_its_level(speech: Samples) -> None:
    for number in range(3):
        room = draw_room(generator("place", number), (0.2, 0.5), (0.3, 1.0))
        heard = reverberate(speech, impulse_response(room))
        assert (heard.shape, heard.dtype) == (speech.shape, np.dtype(np.float32))
        lags = range(-80, 81)
        middle = speech[8000:-8000]
        match = [float(middle @ heard[8000 + lag : len(heard) - 8000 + lag]) for lag in lags]
        assert abs(lags[int(np.argmax(match))]) <= 2
        assert active_level(heard) == pytest.approx(active_level(speech), abs=3.0)


def test_a_loud_clip_is_turned_down_rather_than_clipped(speech: Samples) -> None:
    response = impulse_response(draw_room(generator("loud"), (0.6, 0.6), (3.0, 3.0)))
    quiet = reverberate(speech * np.float32(0.01), response)
    loud = reverberate(speech / np.abs(speech).max(), response)
    assert np.abs(loud).max() <= 1.0
    scale = float(loud @ quiet) / float(quiet @ quiet)
    np.testing.assert_allclose(loud, quiet * scale, atol=1e-5)
