"""How clips of different length share a batch: how many mel frames, and which clips together."""

from __future__ import annotations

from collections.abc import Sequence

from data.features import FRAMES_PER_SECOND, HOP, WINDOW_FRAMES

STEP = 20
"""Mel lengths are rounded up to this many frames (0.2 s): even, as the encoder halves them."""

MOST_CLIPS = 16
"""Clips decoded together: the log-probabilities of one step are 0.2 MB a clip."""

MOST_FRAMES = 8 * WINDOW_FRAMES
"""Mel frames decoded together, which bounds the encoder's memory."""


def mel_length(samples: int, *, trailing_silence: float, minimum_mel_frames: int) -> int:
    """Mel frames for a clip of `samples` samples at 16 kHz, silence included.

    At least `minimum_mel_frames`, at most 3000 (30 s), else a multiple of `STEP`.
    """
    frames = -(-samples // HOP) + round(trailing_silence * FRAMES_PER_SECOND)
    rounded = -(-frames // STEP) * STEP
    return min(WINDOW_FRAMES, max(minimum_mel_frames, rounded, STEP))


def buckets(frames: Sequence[int]) -> list[list[int]]:
    """Group clips, given by their mel lengths, so that little of a batch is padding.

    Returns the groups as indices into `frames`; every index is in exactly one. In a group the
    longest is at most a quarter and half a second longer than the shortest, there are at most
    `MOST_CLIPS`, and together (padded to the longest) they have at most `MOST_FRAMES` frames.
    """
    groups: list[list[int]] = []
    for index in sorted(range(len(frames)), key=lambda index: frames[index]):
        longest = frames[index]
        fits = (
            bool(groups)
            and longest <= 1.25 * frames[groups[-1][0]] + FRAMES_PER_SECOND // 2
            and len(groups[-1]) < MOST_CLIPS
            and (len(groups[-1]) + 1) * longest <= MOST_FRAMES
        )
        if fits:
            groups[-1].append(index)
        else:
            groups.append([index])
    return groups
