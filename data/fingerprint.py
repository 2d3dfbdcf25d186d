"""Acoustic fingerprints: near-same audio under any gain, codec, rate or trim has near-same ones.

After Haitsma and Kalker, "A Highly Robust Audio Fingerprinting System" (ISMIR 2002): every 32 ms a
subprint of 24 bits says between which of 25 neighbouring bands of a telephone's width the energy
falls more than it does in the clip on average. (Theirs compares with the frame before; on read
prompts the average told different texts of one voice apart better.) Frames of silence, which hold
nothing but noise, are the subprint 0 and never compared.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache

import numpy as np
import numpy.typing as npt

from data.features import SAMPLE_RATE, Floats

Subprints = npt.NDArray[np.uint32]

NEAR = 0.5
"""Similarity from which on two clips count as the same recording."""

_WINDOW, _HOP = 2048, 512
_BANDS = 25
_BITS = _BANDS - 1
_DIGITS = _BITS // 4
_LOWEST, _HIGHEST = 300.0, 3400.0
_SILENT = 1e-3
"""Of the loudest frames' power, -30 dB."""
_FLOOR = 1e-5
"""Of the loudest frame's power, added to every band: what lies deeper is noise of some codec."""

_SLACK = 0.25
"""Seconds that the ends of two clips may be apart, besides their difference in length."""
_OVERLAP = 0.6
"""Share of the frames with sound of the fuller clip that a comparison needs."""
_PRIOR = 3.0
"""Frames by which chance is discounted: the less two clips have in common, the less it means."""


def fingerprint(samples: Floats) -> str:
    """The fingerprint of a clip: six hex digits for each 32 ms from its first to its last sound.

    Args:
        samples: mono audio at 16 kHz, shape [samples], at least one.
    """
    padded = np.pad(samples, _WINDOW // 2)
    frames = np.lib.stride_tricks.sliding_window_view(padded, _WINDOW)[::_HOP]
    edges = _edges()
    spectra = np.fft.rfft(frames * _hann(), axis=-1)[:, edges[0] : edges[-1]]
    power = np.add.reduceat(spectra.real**2 + spectra.imag**2, edges[:-1] - edges[0], axis=1)
    total = power.sum(axis=1)
    loudest = np.sort(total)[-max(1, len(total) // 10) :].mean()
    active = total > max(1e-9, _SILENT * float(loudest))
    if not active.any():
        return ""
    log = np.log(power + _FLOOR * total.max() / _BANDS)
    falls = log[:, :-1] - log[:, 1:]
    bits = falls > falls[active].mean(axis=0)
    words = bits.astype(np.uint32) @ (np.uint32(1) << np.arange(_BITS, dtype=np.uint32))
    words[words == 0] = 1
    words[~active] = 0
    sounding = np.flatnonzero(active)
    return "".join(f"{word:0{_DIGITS}x}" for word in words[sounding[0] : sounding[-1] + 1])


def similarity(one: str, other: str) -> float:
    """How much two fingerprints agree where they fit best.

    Returns:
        1 for equal ones of some length, about 0 for different recordings: one minus twice the
        share of bits that differ, discounted for short clips.
    """
    return _similarity(_subprints(one), _subprints(other))


def near_pairs(
    fingerprints: Sequence[str], threshold: float = NEAR
) -> list[tuple[int, int, float]]:
    """Pairs of near-same clips, without comparing each with each.

    Clips are compared when they share a key: 28 bits drawn from eight subprints in a row
    (locality-sensitive hashing by bit sampling; Indyk and Motwani, 1998), in one of six draws.
    Pairs that are much alike share many; how many are missed near the threshold is measured in
    tests/data/test_fingerprint.py.

    Returns:
        (position, later position, similarity), sorted.
    """
    words = [_subprints(one) for one in fingerprints]
    found = []
    for one, other in _candidates(words):
        if (score := _similarity(words[one], words[other])) >= threshold:
            found.append((one, other, round(score, 4)))
    return sorted(found)


def _subprints(digits: str) -> Subprints:
    return np.array(
        [int(digits[at : at + _DIGITS], 16) for at in range(0, len(digits), _DIGITS)], np.uint32
    )


def _similarity(one: Subprints, other: Subprints) -> float:
    long, short = (one, other) if len(one) >= len(other) else (other, one)
    needed = _OVERLAP * max(np.count_nonzero(one), np.count_nonzero(other))
    if not len(short) or len(short) < needed:
        return 0.0
    slack = round(_SLACK * SAMPLE_RATE / _HOP)
    # Every alignment at once: the long one in windows of the short one's length.
    padded = np.pad(long, slack)
    if len(padded) < len(short):
        return 0.0
    windows = np.lib.stride_tricks.sliding_window_view(padded, len(short))
    both = (windows != 0) & (short != 0)
    compared = both.sum(axis=1)
    differ = (np.bitwise_count(windows ^ short) * both).sum(axis=1, dtype=np.int64)
    fits = compared >= max(needed, 1.0)
    if not fits.any():
        return 0.0
    agree = 1.0 - 2.0 * differ[fits] / (_BITS * compared[fits])
    return float(np.clip((agree * compared[fits] / (compared[fits] + _PRIOR)).max(), 0.0, 1.0))


_SPAN, _SAMPLED, _DRAWS = 8, 28, 6
_CROWD = 64
"""Most clips that may share a key: what more share, a hum or how a voice begins, says nothing, and
comparing all of them would take the square of their number."""


def _candidates(words: Sequence[Subprints]) -> Iterator[tuple[int, int]]:
    """Pairs of positions that share a key, each once."""
    pairs = [np.zeros(0, np.int64)]
    for draw in _draws():
        keys = [_keys(one, draw) for one in words]
        owners = np.repeat(np.arange(len(words)), [len(one) for one in keys])
        pairs += _sharing(np.concatenate([*keys, np.zeros(0, np.uint32)]), owners, len(words))
    for pair in np.unique(np.concatenate(pairs)).tolist():
        yield divmod(pair, len(words))


def _sharing(
    keys: npt.NDArray[np.uint32], owners: npt.NDArray[np.int64], count: int
) -> Iterator[npt.NDArray[np.int64]]:
    """Pairs of owners of one key, as one * count + other, one < other."""
    order = np.lexsort((owners, keys))
    keys, owners = keys[order], owners[order]
    _, sizes = np.unique(keys, return_counts=True)
    few = np.repeat(sizes <= _CROWD, sizes)
    keys, owners = keys[few], owners[few]
    at = np.arange(len(keys))
    for step in range(1, _CROWD):
        at = at[at < len(keys) - step]
        at = at[keys[at] == keys[at + step]]
        if not len(at):
            return
        yield np.unique(owners[at] * count + owners[at + step])


def _keys(words: Subprints, draw: npt.NDArray[np.int64]) -> npt.NDArray[np.uint32]:
    """The keys of one clip in one draw, each once."""
    padded = np.pad(words, (0, max(0, _SPAN - len(words))))
    rows = np.lib.stride_tricks.sliding_window_view(padded, _SPAN)
    sounding = (rows != 0).sum(axis=1) >= min(0.75 * _SPAN, np.count_nonzero(words))
    rows = rows[sounding]
    bits = (rows[:, draw // _BITS] >> (draw % _BITS).astype(np.uint32)) & np.uint32(1)
    keys = bits @ (np.uint32(1) << np.arange(len(draw), dtype=np.uint32))
    return np.unique(keys)


@cache
def _draws() -> tuple[npt.NDArray[np.int64], ...]:
    chance = np.random.default_rng(2002)
    every = _SPAN * _BITS
    return tuple(chance.choice(every, _SAMPLED, replace=False) for _ in range(_DRAWS))


@cache
def _hann() -> Floats:
    return np.hanning(_WINDOW + 1)[:-1].astype(np.float32)


@cache
def _edges() -> npt.NDArray[np.int64]:
    """First bin of each band and the end of the last; bands are evenly wide in mel."""
    low, high = (2595 * np.log10(1 + hertz / 700) for hertz in (_LOWEST, _HIGHEST))
    hertz = 700 * (10 ** (np.linspace(low, high, _BANDS + 1) / 2595) - 1)
    return np.rint(hertz * _WINDOW / SAMPLE_RATE).astype(np.int64)
