"""Packet loss: the rate and the bursts asked for, and what is heard instead."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.audio import Samples
from data.augmentation.packet_loss import PACKET, conceal, draw_losses


@pytest.mark.parametrize(("rate", "burst"), [(0.01, 1.0), (0.05, 2.0), (0.1, 4.0), (0.5, 10.0)])
def test_share_and_length_of_losses_are_those_asked_for(rate: float, burst: float) -> None:
    lost = draw_losses(400_000, rate, burst, np.random.default_rng(1))
    assert lost.mean() == pytest.approx(rate, rel=0.1)
    edges = np.flatnonzero(np.diff(np.concatenate([[0], lost.astype(int), [0]])))
    lengths = edges[1::2] - edges[::2]
    assert lengths.mean() == pytest.approx(burst, rel=0.05)
    if burst > 1:  # geometric: as many end after each packet
        assert (lengths == 1).mean() == pytest.approx(1 / burst, abs=0.03)


def test_no_rate_loses_nothing_and_a_burst_of_one_is_never_longer() -> None:
    assert not draw_losses(10_000, 0.0, 3.0, np.random.default_rng(0)).any()
    lost = draw_losses(100_000, 0.2, 1.0, np.random.default_rng(0))
    assert not (lost[1:] & lost[:-1]).any()


@given(st.lists(st.booleans(), min_size=1, max_size=40), st.integers(0, PACKET - 1))
def test_packets_that_came_are_untouched_and_lost_ones_are_silence_or_fading_copies(
    losses: list[bool], cut: int
) -> None:
    lost = np.array(losses)
    length = len(lost) * PACKET - cut
    samples = np.random.default_rng(length).uniform(-1, 1, length).astype(np.float32)
    silent, repeated = (conceal(samples, lost, way) for way in ("zero", "repeat"))
    assert len(silent) == len(repeated) == length
    padded = np.pad(samples, (0, cut)).reshape(len(lost), PACKET)
    came, run = None, 0
    for at, gone in enumerate(losses):
        part = slice(at * PACKET, min((at + 1) * PACKET, length))
        width = part.stop - part.start
        if not gone:
            came, run = at, 0
            np.testing.assert_array_equal(repeated[part], samples[part])
            np.testing.assert_array_equal(silent[part], samples[part])
            continue
        run += 1
        assert not silent[part].any()
        expected = np.zeros(PACKET) if came is None else padded[came] * 0.5**run
        np.testing.assert_allclose(repeated[part], expected[:width], rtol=1e-6)


def test_the_clip_it_was_given_is_left_as_it_is(speech: Samples) -> None:
    before = speech.copy()
    conceal(speech, np.ones(-(-len(speech) // PACKET), dtype=bool), "zero")
    np.testing.assert_array_equal(speech, before)
