"""How clips of different length share a batch: mel frames and tokens of each, which together."""

from __future__ import annotations

from collections.abc import Sequence

from data.features import FRAMES_PER_SECOND, HOP, SAMPLE_RATE, WINDOW_FRAMES

STEP = 20
"""Mel lengths are rounded up to this many frames (0.2 s): even, as the encoder halves them."""

MOST_CLIPS = 16
"""Clips decoded together: the log-probabilities of one step are 0.2 MB a clip."""

MOST_FRAMES = 8 * WINDOW_FRAMES
"""Mel frames decoded together, which bounds the encoder's memory."""


TOKENS_PER_SECOND = 25
TOKENS_AT_LEAST = 16
MOST_TOKENS = 224


def mel_length(samples: int, *, trailing_silence: float, minimum_mel_frames: int) -> int:
    """Mel frames for a clip of `samples` samples at 16 kHz, silence included.

    At least `minimum_mel_frames`, at most 3000 (30 s), else a multiple of `STEP`.
    """
    frames = -(-samples // HOP) + round(trailing_silence * FRAMES_PER_SECOND)
    rounded = -(-frames // STEP) * STEP
    return min(WINDOW_FRAMES, max(minimum_mel_frames, rounded, STEP))


def most_tokens(samples: int) -> int:
    """Text tokens that `samples` samples at 16 kHz can hold, so that a decoder's loop ends.

    25 a second and 16 more, at most 224 (Whisper's own bound). Fast English reaches 18 a second;
    scripts that Whisper's byte pairs cover badly need more.
    """
    return min(MOST_TOKENS, TOKENS_AT_LEAST + TOKENS_PER_SECOND * samples // SAMPLE_RATE)


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
