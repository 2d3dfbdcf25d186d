"""Which parts of a recording are decoded together, none longer than an engine can hear.

Two ways to cut. `cut` lays segments side by side that cover every sample: a cut is only ever a
boundary, at the quietest place near the end of what an engine can hear. `speech_segments` leaves
out what Silero VAD does not take for speech and packs the rest.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

import numpy as np
import numpy.typing as npt

from data.features import HEARD_WHOLE, SAMPLE_RATE
from data.speech_activity import WINDOW, speech_probabilities
from serving.engines.contracts import Samples

LONGEST = HEARD_WHOLE
"""Seconds that a segment may last."""

EARLIEST = 8.0
"""Seconds before which a segment is not cut, so that every part has context."""

SPEECH, STILL_SPEECH = 0.5, 0.35
"""Probabilities of speech from which on it begins, and below which it ends: Silero's own."""

PADDING = 0.4
"""Seconds kept around speech, as in faster-whisper: pauses up to twice as long stay whole."""

_FRAME = SAMPLE_RATE // 100
_SMOOTHING = 31
_AT_ONCE = 60_000
"""Frames whose loudness is computed at once, ten minutes: in float64 an hour would be 0.5 GB."""


@dataclass(frozen=True, slots=True)
class Segment:
    """Samples `start` to `end` (exclusive) of a recording."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Packed:
    """Parts of a recording, in order and without overlap, that are decoded as one clip."""

    parts: tuple[Segment, ...]

    @property
    def end(self) -> int:
        """Sample of the recording at which the last part ends."""
        return self.parts[-1].end

    def clip(self, samples: Samples) -> Samples:
        """The parts, one after the other."""
        parts = [samples[part.start : part.end] for part in self.parts]
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def on_the_clock(self, start: float, end: float) -> tuple[float, float]:
        """Times of the clip, in seconds, as times of the recording.

        Where two parts meet, a start belongs to the later one and an end to the earlier.
        """
        edges = list(accumulate((part.end - part.start for part in self.parts), initial=0))
        inner = edges[1:-1]
        first = int(np.searchsorted(inner, start * SAMPLE_RATE, "right"))
        last = max(first, int(np.searchsorted(inner, end * SAMPLE_RATE, "left")))
        return (
            start + (self.parts[first].start - edges[first]) / SAMPLE_RATE,
            end + (self.parts[last].start - edges[last]) / SAMPLE_RATE,
        )


def cut(samples: Samples, *, longest: float = LONGEST, earliest: float = EARLIEST) -> list[Segment]:
    """Cut a recording into segments of at most `longest` seconds, at its quietest places.

    Each cut is at the middle of the quietest 0.3 s between `earliest` and `longest` after the
    last one; among equally quiet places the latest.

    Returns:
        Segments in order, without gap or overlap, from 0 to len(samples); none for no samples.
    """
    segments: list[Segment] = []
    most, least = int(longest * SAMPLE_RATE), int(earliest * SAMPLE_RATE)
    loudness = _loudness(samples) if len(samples) > most else np.zeros(0)
    start = 0
    while len(samples) - start > most:
        first, last = (start + least) // _FRAME + 1, (start + most) // _FRAME
        window = loudness[first:last]
        quietest = first + len(window) - 1 - int(np.argmin(window[::-1]))
        end = quietest * _FRAME
        segments.append(Segment(start, end))
        start = end
    if len(samples) > start:
        segments.append(Segment(start, len(samples)))
    return segments


def _loudness(samples: Samples) -> npt.NDArray[np.float64]:
    """Energy around each 10 ms boundary, averaged over 0.3 s; index i is at sample 160 i."""
    frames = len(samples) // _FRAME
    energy = np.empty(frames)
    for first in range(0, frames, _AT_ONCE):
        last = min(frames, first + _AT_ONCE)
        block = samples[first * _FRAME : last * _FRAME].astype(np.float64)
        energy[first:last] = np.square(block).reshape(-1, _FRAME).mean(axis=1)
    kernel = np.ones(_SMOOTHING) / _SMOOTHING
    return np.convolve(energy, kernel, mode="same")


def speech_segments(samples: Samples, *, longest: float = LONGEST) -> list[Packed]:
    """Cut a recording into clips of at most `longest` seconds that hold its speech.

    Speech begins where Silero VAD gives it `SPEECH` and lasts until that falls below
    `STILL_SPEECH`; `PADDING` is kept on both sides. What lasts longer than `longest` is cut at its
    quietest places. Parts are put together as long as they fit.

    Returns:
        Clips in order, none where nobody speaks.

    Raises:
        StageError: the package silero-vad is not there.
    """
    if not len(samples):
        return []
    packed: list[list[Segment]] = []
    room = most = int(longest * SAMPLE_RATE)
    for span in _padded(spoken(speech_probabilities(samples)), len(samples)):
        for piece in cut(samples[span.start : span.end], longest=longest):
            part = Segment(span.start + piece.start, span.start + piece.end)
            if not packed or part.end - part.start > room:
                packed.append([])
                room = most
            packed[-1].append(part)
            room -= part.end - part.start
    return [Packed(tuple(parts)) for parts in packed]


def spoken(probabilities: npt.NDArray[np.float32]) -> list[tuple[int, int]]:
    """Runs of windows (first, end exclusive) that hold speech, by the probability of each."""
    runs: list[tuple[int, int]] = []
    began: int | None = None
    for place, probability in enumerate(probabilities.tolist()):
        if began is None and probability >= SPEECH:
            began = place
        elif began is not None and probability < STILL_SPEECH:
            runs.append((began, place))
            began = None
    return [*runs, (began, len(probabilities))] if began is not None else runs


def _padded(runs: Sequence[tuple[int, int]], samples: int) -> list[Segment]:
    """The runs of windows as samples, wider by the padding; what touches is one."""
    padding = int(PADDING * SAMPLE_RATE)
    spans: list[Segment] = []
    for first, end in runs:
        start = max(0, first * WINDOW - padding)
        stop = min(samples, end * WINDOW + padding)
        if spans and start <= spans[-1].end:
            spans[-1] = Segment(spans[-1].start, stop)
        else:
            spans.append(Segment(start, stop))
    return spans
