"""Cut utterances into slices by who speaks, how, and under what noise."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from data.utterance import Utterance

Dimension = Literal[
    "accent", "speaker", "language", "source", "kind", "duration", "snr", "speaking rate"
]
DIMENSIONS: tuple[Dimension, ...] = get_args(Dimension)


@dataclass(frozen=True, slots=True)
class Facts:
    """What slices are cut by.

    Attributes:
        accent: BCP 47 tag.
        speaker: who speaks.
        language: ISO 639-1 code.
        source: where the recording is from.
        is_synthetic: whether a machine speaks.
        duration: seconds.
        snr: dB (`data.snr.signal_to_noise`); None where it is not known.
        words: reference words.
    """

    accent: str
    speaker: str
    language: str
    source: str
    is_synthetic: bool
    duration: float
    snr: float | None
    words: int

    @property
    def speaking_rate(self) -> float:
        """Words a second of the whole clip, pauses and silence included."""
        return self.words / self.duration if self.duration > 0.0 else math.nan


@dataclass(frozen=True, slots=True)
class Bins:
    """Edges of bins, ascending; a value at an edge belongs to the bin above it.

    Attributes:
        duration: seconds.
        snr: dB.
        speaking_rate: words a second.
    """

    duration: tuple[float, ...] = (2.0, 5.0, 10.0, 30.0)
    snr: tuple[float, ...] = (5.0, 10.0, 20.0, 30.0)
    speaking_rate: tuple[float, ...] = (1.5, 2.5, 3.5)

    def __post_init__(self) -> None:
        for name in ("duration", "snr", "speaking_rate"):
            edges = getattr(self, name)
            ordered = all(low < high for low, high in itertools.pairwise(edges))
            if not edges or not ordered or not all(map(math.isfinite, edges)):
                raise ValueError(f"{name} bins have the edges {edges}; they must be ascending.")


DEFAULT_BINS = Bins()


def facts_of(
    utterances: Sequence[Utterance], words: Sequence[int], snr: Mapping[str, float | None]
) -> tuple[Facts, ...]:
    """Facts of each utterance.

    Args:
        utterances: [n].
        words: [n] reference words.
        snr: dB by utterance id; ids that are missing are not known.
    """
    return tuple(
        Facts(
            row.accent, row.speaker, row.language, row.source, row.is_synthetic, row.duration,
            snr.get(row.id), count,
        )
        for row, count in zip(utterances, words, strict=True)
    )  # fmt: skip


def cut(
    facts: Sequence[Facts], dimension: Dimension, bins: Bins = DEFAULT_BINS
) -> tuple[str | None, ...]:
    """The slice of each utterance along one dimension; None where the fact is not known.

    Machines are told apart from people: an accent or language that machines speak is a slice of its
    own, such as "en-gb, synthetic".
    """
    return tuple(_label(row, dimension, bins) for row in facts)


def in_order(names: Sequence[str], dimension: Dimension, bins: Bins = DEFAULT_BINS) -> list[str]:
    """Names of slices in reading order: bins from low to high, others by name."""
    edges = _edges(dimension, bins)
    if edges is None:
        return sorted(names)
    every = [_bin(value, edges, _UNITS[dimension]) for value in (edges[0] - 1.0, *edges)]
    return sorted(names, key=every.index)


def _label(row: Facts, dimension: Dimension, bins: Bins) -> str | None:
    made = ", synthetic" if row.is_synthetic else ""
    match dimension:
        case "accent":
            return f"{row.accent}{made}"
        case "language":
            return f"{row.language}{made}"
        case "speaker":
            return row.speaker
        case "source":
            return row.source
        case "kind":
            return "synthetic" if row.is_synthetic else "human"
        case "duration":
            value: float | None = row.duration
        case "snr":
            value = row.snr
        case "speaking rate":
            value = row.speaking_rate
    edges = _edges(dimension, bins)
    if value is None or math.isnan(value) or edges is None:
        return None
    return _bin(value, edges, _UNITS[dimension])


def _edges(dimension: Dimension, bins: Bins) -> tuple[float, ...] | None:
    if dimension == "duration":
        return bins.duration
    if dimension == "snr":
        return bins.snr
    return bins.speaking_rate if dimension == "speaking rate" else None


_UNITS: dict[str, str] = {"duration": "s", "snr": "dB", "speaking rate": "words/s"}


def _bin(value: float, edges: tuple[float, ...], unit: str) -> str:
    above = sum(value >= edge for edge in edges)
    if above == 0:
        return f"under {edges[0]:g} {unit}"
    if above == len(edges):
        return f"{edges[-1]:g} {unit} and more"
    return f"{edges[above - 1]:g} to {edges[above]:g} {unit}"
