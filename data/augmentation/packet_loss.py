"""Lost packets: holes of 20 ms in bursts, and what a receiver puts in their place.

Source: Gilbert 1960, "Capacity of a burst-noise channel", the Gilbert-Elliott model in which a
packet is lost in the bad state and never in the good one.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from data.audio import SAMPLE_RATE, Samples
from voiceforge.params import Concealment

PACKET = SAMPLE_RATE // 50
_FADE = 0.5
"""Of each repetition beside the one before: a burst of four packets ends in silence."""


def draw_losses(
    packets: int, rate: float, burst: float, rng: np.random.Generator
) -> npt.NDArray[np.bool_]:
    """Which packets are lost, shape [packets].

    Args:
        packets: how many there are.
        rate: share that is lost in the long run, 0..0.5.
        burst: mean number of packets that are lost in a row, at least 1.
    """
    recovery = 1.0 / burst
    failure = recovery * rate / (1.0 - rate)
    chances = rng.random(packets)
    lost = np.zeros(packets, dtype=np.bool_)
    bad = rng.random() < rate
    for packet in range(packets):
        lost[packet] = bad
        bad = chances[packet] >= recovery if bad else chances[packet] < failure
    return lost


def conceal(samples: Samples, lost: npt.NDArray[np.bool_], concealment: Concealment) -> Samples:
    """The clip as heard without those packets.

    Args:
        samples: the clip.
        lost: from `draw_losses`, one for each packet of 20 ms, the last one perhaps cut short.
        concealment: "zero" for silence; "repeat" for the last packet that came, at half the level
            each time, and silence where none has come yet.
    """
    packets = np.zeros((len(lost), PACKET), dtype=np.float32)
    packets.reshape(-1)[: len(samples)] = samples
    for packet in np.flatnonzero(lost):
        repeated = concealment == "repeat" and packet > 0
        packets[packet] = packets[packet - 1] * _FADE if repeated else 0.0
    return packets.reshape(-1)[: len(samples)]
