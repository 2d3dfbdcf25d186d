"""Degradation curves: how much a model loses as its audio gets worse, against the same clips clean.

A point compares a condition with clean audio utterance by utterance (Bisani and Ney 2004), so that
what is hard anyway cancels; intervals draw whole texts as everywhere (`evaluation.significance`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from data.conditions import Condition
from evaluation.significance import Interval
from evaluation.slices import Resampling, Scored, paired_rates


@dataclass(frozen=True, slots=True)
class DegradationPoint:
    """A model on one condition, beside itself on clean audio.

    Attributes:
        word_error_rate: on the condition, a fraction.
        clean: of the same utterances, clean.
        loss: the first minus the second; above 0 where the condition costs.
        ratio: the first over the second; None where the clean one is 0.
        words: reference words.
        utterances: how many.
        speakers: of them.
    """

    condition: Condition
    word_error_rate: Interval
    clean: Interval
    loss: Interval
    ratio: float | None
    words: int
    utterances: int
    speakers: int

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def degradation_curve(
    clean: Sequence[Scored],
    degraded: Mapping[Condition, Sequence[Scored]],
    resampling: Resampling,
) -> tuple[DegradationPoint, ...]:
    """A point for each condition, in the order given.

    Args:
        clean: the utterances as they were recorded, scored.
        degraded: the same utterances, or some of them, under each condition.

    Raises:
        ValueError: an utterance was not heard clean, or with another reference, or is there twice,
            or a condition has no reference words; names the condition and the utterance.
    """
    known = {row.utterance.id: row for row in clean}
    if len(known) != len(clean):
        raise ValueError("An utterance is there twice in clean audio.")
    return tuple(_point(one, rows, known, resampling) for one, rows in degraded.items())


def _point(
    condition: Condition,
    rows: Sequence[Scored],
    clean: Mapping[str, Scored],
    resampling: Resampling,
) -> DegradationPoint:
    seen: set[str] = set()
    for row in rows:
        name = row.utterance.id
        if name in seen:
            raise ValueError(f"{condition.title}: utterance {name!r} is there twice.")
        if name not in clean:
            raise ValueError(
                f"{condition.title}: utterance {name!r} was not heard clean, so nothing can be "
                "said about what the condition costs. Predict the clean clips too."
            )
        if clean[name].reference != row.reference:
            raise ValueError(f"{condition.title}: utterance {name!r} has another reference clean.")
        seen.add(name)
    if not sum(row.words for row in rows):
        raise ValueError(f"{condition.title}: there are no reference words.")
    before = [clean[row.utterance.id] for row in rows]
    found = paired_rates(rows, before, resampling)
    return DegradationPoint(
        condition=condition,
        word_error_rate=found.a,
        clean=found.b,
        loss=found.difference,
        ratio=found.a.value / found.b.value if found.b.value else None,
        words=sum(row.words for row in rows),
        utterances=len(rows),
        speakers=len({row.utterance.speaker for row in rows}),
    )
