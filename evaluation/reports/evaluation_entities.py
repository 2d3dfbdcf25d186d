"""Numbers, dates and names in an evaluation's report: kept, changed or lost, and the worst of them.

A wrong number reads as well as a right one, so what was changed is listed before what was lost.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from evaluation.entities import (
    KINDS,
    OUTCOMES,
    Entity,
    EntityReader,
    IntArray,
    Kind,
    Outcome,
    entity_table,
)
from evaluation.names import NOUNS_HAVE_CAPITALS
from evaluation.prediction import Prediction
from evaluation.shares import Share, gain, share
from evaluation.slices import Resampling, Scored

LISTED = 60
"""Wrong entities that a report lists at most."""

_KEPT = OUTCOMES.index("kept")
_RANK: dict[Outcome, int] = {"changed": 0, "lost": 1, "kept": 2}


@dataclass(frozen=True, slots=True)
class ModelEntities:
    """What one model made of the entities of a kind.

    Attributes:
        kept, changed, lost: how many; "errors" are the latter two.
        recall: kept of all.
    """

    kept: int
    changed: int
    lost: int
    recall: Share

    @property
    def errors(self) -> int:
        return self.changed + self.lost


@dataclass(frozen=True, slots=True)
class EntityKind:
    """A kind of entity, or all "together", that the references have.

    Attributes:
        baseline, gain: None without a second model; a gain above 0 is better.
    """

    kind: Kind | str
    candidate: ModelEntities
    baseline: ModelEntities | None
    gain: Share | None


@dataclass(frozen=True, slots=True)
class WrongEntity:
    """An entity that the candidate changed or lost.

    Attributes:
        said: as it is read from the reference, normalised.
        heard: what stood opposite; "" for nothing.
        baseline: what became of it in the second model; None without one.
        baseline_heard: likewise.
    """

    utterance_id: str
    kind: Kind
    outcome: Outcome
    said: str
    heard: str
    baseline: Outcome | None
    baseline_heard: str | None


@dataclass(frozen=True, slots=True)
class EvaluatedEntities:
    """Numbers, dates and names of an evaluation.

    Attributes:
        kinds: those that the references have, then all together if they are several.
        none: kinds that were looked for and are not there.
        wrong: the worst first, at most `LISTED`: changed before lost; of these numbers before dates
            before names; of these what the baseline kept first.
        errors: how many the candidate changed or lost.
        remark: what was not looked for, and why; "" for nothing.
    """

    kinds: tuple[EntityKind, ...]
    none: tuple[Kind, ...]
    wrong: tuple[WrongEntity, ...]
    errors: int
    remark: str


def evaluated_entities(
    rows: Sequence[Scored],
    heard: Sequence[Prediction],
    others: Sequence[Prediction] | None,
    *,
    language: str,
    resampling: Resampling,
) -> EvaluatedEntities:
    """Compare the entities of texts as they were written.

    Args:
        rows: [n] of the candidate, for what is drawn.
        heard: [n] the candidate's, of the same utterances.
        others: [n] the baseline's; None without one.
        language: of all of them. One whose numbers or dates cannot be read has no entities, and a
            remark; one in which nouns have capitals no names.
    """
    looked_for: tuple[Kind, ...] = KINDS
    remark = ""
    names: list[str] | None = None
    if language in NOUNS_HAVE_CAPITALS:
        names, looked_for = [], tuple(kind for kind in KINDS if kind != "name")
        remark = f"Names are not looked for: in {language!r} every noun has a capital."
    try:
        reader = EntityReader(language, names)
    except ValueError as error:
        return EvaluatedEntities((), (), (), 0, str(error))
    ours = [reader.compare(row.reference, row.hypothesis) for row in heard]
    theirs = (
        None
        if others is None
        else [reader.compare(row.reference, row.hypothesis) for row in others]
    )
    table, before = entity_table(ours), entity_table(theirs) if theirs else None
    found = [
        _kind(kind, rows, table[:, [number]], None if before is None else before[:, [number]],
              resampling)
        for number, kind in enumerate(KINDS)
        if table[:, number].any()
    ]  # fmt: skip
    if len(found) > 1:
        found.append(_kind("together", rows, table, before, resampling))
    wrong = _wrong(heard, ours, theirs)
    return EvaluatedEntities(
        kinds=tuple(found),
        none=tuple(kind for kind in looked_for if not table[:, KINDS.index(kind)].any()),
        wrong=tuple(wrong[:LISTED]),
        errors=len(wrong),
        remark=remark,
    )


def _kind(
    kind: str,
    rows: Sequence[Scored],
    table: IntArray,
    before: IntArray | None,
    resampling: Resampling,
) -> EntityKind:
    """Of a table [n, kinds, outcomes]."""
    of = table.sum(axis=(1, 2)).tolist()
    now = table[:, :, _KEPT].sum(axis=1).tolist()
    theirs = more = None
    if before is not None:
        then = before[:, :, _KEPT].sum(axis=1).tolist()
        theirs, more = _model(rows, before, resampling), gain(rows, now, then, of, resampling)
    return EntityKind(kind, _model(rows, table, resampling), theirs, more)


def _model(rows: Sequence[Scored], table: IntArray, resampling: Resampling) -> ModelEntities:
    kept, changed, lost = (int(count) for count in np.sum(table, axis=(0, 1)))
    recall = share(
        rows,
        table[:, :, _KEPT].sum(axis=1).tolist(),
        table.sum(axis=(1, 2)).tolist(),
        resampling,
    )
    if recall is None:
        raise ValueError("There are no entities of that kind.")
    return ModelEntities(kept, changed, lost, recall)


def _wrong(
    heard: Sequence[Prediction],
    ours: Sequence[Sequence[Entity]],
    theirs: Sequence[Sequence[Entity]] | None,
) -> list[WrongEntity]:
    found = []
    for number, (row, entities) in enumerate(zip(heard, ours, strict=True)):
        # The reference is the same, and so are its entities and their order.
        others: Sequence[Entity | None] = theirs[number] if theirs else [None] * len(entities)
        for one, other in zip(entities, others, strict=True):
            if one.outcome != "kept":
                found.append(
                    WrongEntity(
                        row.utterance_id, one.kind, one.outcome, one.words, one.heard,
                        other.outcome if other else None, other.heard if other else None,
                    )
                )  # fmt: skip
    found.sort(
        key=lambda one: (
            _RANK[one.outcome],
            KINDS.index(one.kind),
            -_RANK[one.baseline or "lost"],
            one.utterance_id,
        )
    )
    return found
