"""Abilities as figures: failures over chances, lower is better, compared on the same items.

An item is a clip (or a word of one), so that two models are compared pairwise: rates are pooled,
and clusters of items are drawn together (`evaluation.significance`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from evaluation.significance import PairedBootstrap, paired_bootstrap


@dataclass(frozen=True, slots=True)
class Item:
    """One chance, or several of one clip, to fail.

    Attributes:
        id: the same for every model.
        cluster: items of one cluster are drawn together.
    """

    id: str
    cluster: str
    failures: int
    chances: int


@dataclass(frozen=True)
class Measured:
    """One ability of one model.

    Attributes:
        ability: its name (`training.abilities.ABILITIES`).
        fails: what counts as a failure, and of what it is a share.
        items: what it rests on.
        figures: other figures by name.
    """

    ability: str
    fails: str
    items: tuple[Item, ...]
    figures: dict[str, float] = field(default_factory=dict)

    @property
    def failures(self) -> int:
        return sum(item.failures for item in self.items)

    @property
    def chances(self) -> int:
        return sum(item.chances for item in self.items)

    @property
    def rate(self) -> float:
        """Failures over chances; NaN without chances."""
        return self.failures / self.chances if self.chances else float("nan")


@dataclass(frozen=True)
class Compared:
    """One ability before and after.

    Attributes:
        n: items that both models were measured on.
        change: a is after, b is before: a positive difference is a loss.
    """

    ability: str
    before: Measured
    after: Measured
    n: int
    change: PairedBootstrap

    @property
    def is_lost(self) -> bool:
        """Whether the whole interval of the difference lies above zero."""
        return self.change.difference.low > 0.0


def compare(
    before: Sequence[Measured],
    after: Sequence[Measured],
    *,
    confidence: float = 0.95,
    resamples: int = 2000,
    seed: int = 20,
) -> tuple[Compared, ...]:
    """What changed, ability by ability, on the items that both were measured on.

    Raises:
        ValueError: an item has other chances in one than in the other.
    """
    compared = []
    measured_before = {one.ability: one for one in before}
    for new in after:
        old = measured_before.get(new.ability)
        if old is None:
            continue
        known = {item.id: item for item in old.items}
        pairs = [(known[item.id], item) for item in new.items if item.id in known]
        if any(one.chances != other.chances for one, other in pairs):
            raise ValueError(f"{new.ability}: not the same chances before and after")
        labels = {name: at for at, name in enumerate({one.cluster: 0 for one, _ in pairs})}
        if not pairs:
            continue
        change = paired_bootstrap(
            np.array([item.failures for _, item in pairs]),
            np.array([item.failures for item, _ in pairs]),
            np.array([item.chances for item, _ in pairs]),
            np.array([labels[item.cluster] for item, _ in pairs]),
            confidence=confidence,
            resamples=resamples,
            seed=seed,
        )
        compared.append(Compared(new.ability, old, new, len(pairs), change))
    return tuple(compared)
