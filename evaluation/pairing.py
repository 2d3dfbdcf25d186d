"""Two models on the same utterances, row by row."""

from __future__ import annotations

from collections.abc import Sequence

from evaluation.mapsswe import Mapsswe, errors_of, mapsswe
from evaluation.metrics import align
from evaluation.slices import Scored


def paired_rows(
    candidate: Sequence[Scored], baseline: Sequence[Scored], *, shared_only: bool = False
) -> tuple[list[Scored], list[Scored]]:
    """The same utterances of two models, in the candidate's order.

    Args:
        shared_only: leave out what only one of them heard, where a baseline heard a sample.

    Raises:
        ValueError: an utterance is there twice, the references differ, one model heard other
            utterances (unless `shared_only`), or none is shared.
    """
    theirs = {row.utterance.id: row for row in baseline}
    ours = {row.utterance.id: row for row in candidate}
    if len(theirs) != len(baseline) or len(ours) != len(candidate):
        raise ValueError("An utterance has more than one prediction of the same model.")
    if (alone := sorted(ours.keys() ^ theirs.keys())) and not shared_only:
        raise ValueError(
            f"{len(alone)} utterances were heard by one model only, such as {alone[0]!r}: let both "
            "hear the same ones, or compare what they share (shared_only)."
        )
    rows = [row for row in candidate if row.utterance.id in theirs]
    others = [theirs[row.utterance.id] for row in rows]
    if not rows:
        raise ValueError("The two models share no utterance.")
    if strange := [
        one for one, other in zip(rows, others, strict=True) if one.reference != other.reference
    ]:
        raise ValueError(
            f"The two models were given different references for {len(strange)} utterances, such "
            f"as {strange[0].utterance.id!r}: use one corpus and one normaliser."
        )
    return rows, others


def matched_pairs(candidate: Sequence[Scored], baseline: Sequence[Scored]) -> Mapsswe:
    """The matched pairs test of paired rows, on alignments with the fewest errors.

    NIST's tools align at other costs and may cut some segments otherwise (docs/significance.md).

    Args:
        candidate: [n] rows.
        baseline: [n] rows of the same utterances in the same order (`paired_rows`).

    Raises:
        ValueError: not the same references.
    """
    a, b = (
        [errors_of(align(row.reference, row.hypothesis)) for row in rows]
        for rows in (candidate, baseline)
    )
    return mapsswe(a, b)
