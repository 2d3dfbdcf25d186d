"""What a corpus is like, in figures: how much of what, and how its values are spread. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from data.measurement import Measurement
from data.utterance import Utterance

_BINS = 24
_TAIL = 0.5
"""Percent of the values at either end that share the outermost bins, so that one odd clip does not
squeeze all others into one bar."""


@dataclass(frozen=True, slots=True)
class Histogram:
    """How a value is spread, people and synthetic voices apart.

    Attributes:
        name, unit: of the value, for people.
        edges: bins' bounds, one more than counts; values outside are counted in the outermost bins.
        human, synthetic: utterances in each bin.
    """

    name: str
    unit: str
    edges: tuple[float, ...]
    human: tuple[int, ...]
    synthetic: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class SpeakerFigures:
    """How much one speaker says; `seconds` of audio, `words` of references."""

    speaker: str
    accent: str
    is_synthetic: bool
    consent: str
    utterances: int
    seconds: float
    words: int


@dataclass(frozen=True, slots=True)
class _Value:
    name: str
    unit: str
    of: Callable[[Utterance, Measurement | None], float | None]


def _measured(read: Callable[[Utterance, Measurement], float]) -> Callable[..., float | None]:
    return lambda row, measured: None if measured is None else read(row, measured)


_VALUES = (
    _Value("duration", "seconds", lambda row, _: row.duration),
    _Value("speaking rate", "characters a second", lambda row, _: len(row.text) / row.duration),
    _Value("level", "dBFS of active speech", _measured(lambda _, measured: measured.level)),
    _Value("bandwidth", "highest Hz with power above -50 dB of the strongest",
           _measured(lambda _, measured: measured.bandwidth)),
    _Value("speech", "share of the clip in which somebody speaks, %",
           _measured(lambda row, measured: 100 * min(1.0, measured.speech / row.duration))),
    _Value("silence", "share of the clip, %",
           _measured(lambda _, measured: 100 * measured.silence)),
)  # fmt: skip


def histograms(
    rows: Sequence[Utterance], measurements: Mapping[str, Measurement]
) -> list[Histogram]:
    """The spread of durations, speaking rates and what was measured.

    Args:
        rows: the utterances, durations above 0.
        measurements: by utterance id; values of utterances without one are left out.

    Returns:
        One histogram for each value that at least one utterance has.
    """
    result = []
    for value in _VALUES:
        pairs = [(row, value.of(row, measurements.get(row.id))) for row in rows]
        known = [(row.is_synthetic, number) for row, number in pairs if number is not None]
        if not known:
            continue
        numbers = np.array([number for _, number in known])
        synthetic = np.array([is_synthetic for is_synthetic, _ in known])
        low, high = np.percentile(numbers, [_TAIL, 100 - _TAIL])
        if not low < high:
            low, high = low - 0.5, low + 0.5
        edges = np.linspace(low, high, _BINS + 1)
        inside = np.clip(numbers, low, high)
        result.append(
            Histogram(
                value.name,
                value.unit,
                tuple(float(edge) for edge in edges),
                tuple(int(n) for n in np.histogram(inside[~synthetic], edges)[0]),
                tuple(int(n) for n in np.histogram(inside[synthetic], edges)[0]),
            )
        )
    return result


def speaker_figures(rows: Iterable[Utterance]) -> list[SpeakerFigures]:
    """How much each speaker says, most audio first."""
    by_speaker: dict[str, list[Utterance]] = defaultdict(list)
    for row in rows:
        by_speaker[row.speaker].append(row)
    figures = [
        SpeakerFigures(
            speaker=speaker,
            accent=" ".join(sorted({row.accent for row in spoken})),
            is_synthetic=spoken[0].is_synthetic,
            consent=" ".join(sorted({row.consent for row in spoken})),
            utterances=len(spoken),
            seconds=round(sum(row.duration for row in spoken), 3),
            words=sum(len(row.text.split()) for row in spoken),
        )
        for speaker, spoken in by_speaker.items()
    ]
    return sorted(figures, key=lambda one: (-one.seconds, one.speaker))


def examples(rows: Sequence[Utterance], each: int) -> list[Utterance]:
    """A few utterances of every accent, people before machines, speakers in turns, middling length.

    Args:
        each: most utterances of one accent and kind of speaker.
    """
    cells: dict[tuple[bool, str], dict[str, list[Utterance]]] = defaultdict(
        lambda: defaultdict(list)
    )
    for row in rows:
        cells[row.is_synthetic, row.accent][row.speaker].append(row)
    chosen: list[Utterance] = []
    for _, speakers in sorted(cells.items()):
        spoken = [row for of_one in speakers.values() for row in of_one]
        middle = float(np.median([row.duration for row in spoken]))
        order = [
            sorted(of_one, key=lambda row: (abs(row.duration - middle), row.id))
            for _, of_one in sorted(speakers.items())
        ]
        deepest = max(len(of_one) for of_one in order)
        turns = [of_one[turn] for turn in range(deepest) for of_one in order if turn < len(of_one)]
        chosen += turns[:each]
    return chosen
