"""Rooms: impulse responses of simulated shoebox rooms, and clips that are heard in them.

Source: Allen and Berkley 1979, "Image method for efficiently simulating small-room acoustics", as
pyroomacoustics has it; reverberation time by Schroeder's backward integration (1965).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from data.audio import SAMPLE_RATE, Samples
from data.augmentation.samples import of_length, within_range

Floats = npt.NDArray[np.float64]
Point = tuple[float, float, float]

_SOUND = 343.0
"""Metres a second."""
_SABINE = 24.0 * math.log(10.0) / _SOUND
"""Seconds per metre of volume over absorbing area in Sabine's formula."""
_SMALLEST, _LARGEST = 0.5, 1.4
"""Metres of volume over surface: a box room of about 30 cubic metres, and a small hall."""
_LEAST_ABSORPTION, _MOST_ABSORPTION = 0.2, 0.7
"""Hard rooms have so many echoes that simulating them takes seconds; softer ones ring less than
anybody lives in."""
_FROM_WALLS = 0.3
"""Metres that mouth and microphone keep from every wall."""
_DECAY = -5.0, -35.0
"""dB between which the decay is measured (T30 of ISO 3382)."""
_LEAD = 40
"""Samples of a response before its direct sound: half of the filter that places an echo between
two samples."""
_ROUNDS = 4
"""Of finding the power that gives a decay; two are within a few percent."""


@dataclass(frozen=True)
class Room:
    """A shoebox room: reverberation time in seconds, size and places in metres."""

    rt60: float
    size: Point
    mouth: Point
    microphone: Point

    @property
    def distance(self) -> float:
        """Metres from the mouth to the microphone."""
        return math.dist(self.mouth, self.microphone)


def draw_room(
    rng: np.random.Generator, rt60: tuple[float, float], distance: tuple[float, float]
) -> Room:
    """A room with a reverberation time and a distance from these ranges.

    Its size goes with its reverberation: absorption lies in the range of furnished rooms. A
    distance that the room cannot hold shrinks until it fits.
    """
    seconds = float(rng.uniform(*rt60))
    least = max(_SMALLEST, _LEAST_ABSORPTION * seconds / _SABINE)
    most = max(least, min(_LARGEST, _MOST_ABSORPTION * seconds / _SABINE))
    proportions = np.array([rng.uniform(1.2, 2.0), rng.uniform(1.0, 1.6), rng.uniform(0.7, 0.9)])
    surface = 2.0 * (proportions * np.roll(proportions, 1)).sum()
    size = proportions * rng.uniform(least, most) * surface / proportions.prod()
    metres = float(rng.uniform(*distance))
    while True:
        microphone = rng.uniform(_FROM_WALLS, size - _FROM_WALLS)
        towards = rng.standard_normal(3) * (1.0, 1.0, 0.3)  # people speak from about its height
        mouth = microphone + metres * towards / np.linalg.norm(towards)
        if (mouth >= _FROM_WALLS).all() and (mouth <= size - _FROM_WALLS).all():
            return Room(seconds, _point(size), _point(mouth), _point(microphone))
        metres *= 0.95


def impulse_response(room: Room) -> Samples:
    """What the microphone hears of a click: 2.5 ms of lead, the direct sound, echoes; energy 1.

    Echoes are weakened so that their decay takes the room's `rt60`: absorption by Sabine's formula
    alone misses it by up to a quarter.
    """
    from pyroomacoustics import Material, ShoeBox, constants, inverse_sabine

    constants.set("num_threads", 1)  # each number of threads sums the echoes in another order
    absorption, order = inverse_sabine(room.rt60, room.size, c=_SOUND)
    box = ShoeBox(room.size, fs=SAMPLE_RATE, materials=Material(absorption), max_order=order)
    box.add_source(room.mouth)
    box.add_microphone(room.microphone)
    box.image_source_model()
    (source,) = box.sources
    metres = np.linalg.norm(source.images - np.array(room.microphone)[:, None], axis=0)
    source.damping = _calibrated(source.damping, metres, room.rt60)
    box.compute_rir()
    direct = round(float(metres.min()) / _SOUND * SAMPLE_RATE) + _LEAD
    response = np.asarray(box.rir[0][0][direct - _LEAD :], dtype=np.float32)
    return np.asarray(response / np.linalg.norm(response), dtype=np.float32)


def reverberate(samples: Samples, response: Samples) -> Samples:
    """The clip in that room: as long as it was, at about its level, and speech where it was.

    Args:
        samples: the clip.
        response: from `impulse_response`.
    """
    from scipy.signal import oaconvolve

    wet = oaconvolve(samples, response)[_LEAD:]
    return within_range(of_length(wet, len(samples)))


def reverberation_time(energy: Floats, seconds: Floats) -> float:
    """Seconds for 60 dB of decay, by Schroeder's backward integration and a line through T30.

    Args:
        energy: of each arrival, shape [n].
        seconds: when each arrives, ascending, shape [n].
    """
    left = np.cumsum(energy[::-1])[::-1]
    decibels = 10.0 * np.log10(left / left[0])
    part = (decibels <= _DECAY[0]) & (decibels >= _DECAY[1])
    slope = np.polyfit(seconds[part], decibels[part], 1)[0]
    return float(-60.0 / slope)


def _calibrated(damping: Floats, metres: Floats, rt60: float) -> Floats:
    """Damping of every image source, raised to the power at which the decay takes `rt60`.

    Args:
        damping: amplitude left after the reflections of each, shape [bands, images].
        metres: from each to the microphone, shape [images].
    """
    order = np.argsort(metres)
    near = metres[order]
    power = 1.0
    for _ in range(_ROUNDS):
        energy = (damping[0, order] ** power / near) ** 2
        power *= reverberation_time(energy, near / _SOUND) / rt60
    return np.asarray(damping**power)


def _point(values: Floats) -> Point:
    x, y, z = (float(value) for value in values)
    return x, y, z
