"""What every effect keeps: the range of its samples, their number, and its own random numbers."""

from __future__ import annotations

import hashlib

import numpy as np

from data.audio import Samples


def generator(*key: object) -> np.random.Generator:
    """Random numbers that depend on the key alone, in every process; keys of any length differ."""
    digest = hashlib.sha256("\0".join(map(str, key)).encode()).digest()
    return np.random.default_rng(int.from_bytes(digest))


def within_range(samples: Samples) -> Samples:
    """The samples within -1..1: those of a clip that leaves it are all turned down alike.

    A clip that fits is not touched, so that levels stay what they were; nothing is clipped.
    """
    peak = float(np.abs(samples).max(initial=0.0))
    scaled = samples / peak if peak > 1.0 else samples
    return np.asarray(scaled, dtype=np.float32)


def of_length(samples: Samples, length: int) -> Samples:
    """The samples cut, or followed by silence, to `length`."""
    kept = samples[:length]
    return np.pad(kept, (0, length - len(kept))).astype(np.float32, copy=False)
