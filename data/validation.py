"""Validation: which utterances of a corpus may be trained on and measured with.

The rules are in `data.validation_rules`, the columns they look at in `data.validation_columns`;
Great Expectations decides (`data.expectations`), and everything here goes by the ids that it names.
Who fails goes to quarantine with a reason code for each rule, unless a person released them from it
(`data.releases`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from string import Formatter
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from data.duplicates import contradicting, copies, corrected, near_copies
from data.expectations import Judge
from data.precedence import Rank, unranked
from data.releases import Release
from data.sources.base import Reject, recordings_in
from data.splits import text_key
from data.validation_columns import add_derived_columns, count_matches
from data.validation_rules import Rule, copy_rules, correction_rules, row_rules, transcript_rules
from voiceforge.params import ValidationParams

if TYPE_CHECKING:
    import pandas as pd

Hear = Callable[["pd.DataFrame"], Mapping[str, float]]
"""Takes rows of human speech, gives the character error rate by id of those it could judge."""

NearPairs = Callable[["pd.DataFrame", float], Iterable[tuple[str, str]]]
"""Takes rows and the least similarity, gives the pairs of ids with almost equal audio."""


@dataclass(frozen=True)
class Verdict:
    """What validation decided.

    Attributes:
        accepted: for each row of the frame whether it may be used, shape [rows].
        rejects: one for each utterance and rule that it fails and was not released from.
        released: (id, reason code) of those that fail and are in by a release.
    """

    accepted: npt.NDArray[np.bool_]
    rejects: Sequence[Reject]
    released: Sequence[tuple[str, str]]


@dataclass
class _Court:
    """The state of one validation: who is still in, and what was found."""

    frame: pd.DataFrame
    judge: Judge
    releases: Mapping[tuple[str, str], Sequence[Release]]
    rejects: list[Reject] = field(default_factory=list)
    released: list[tuple[str, str]] = field(default_factory=list)

    def hold(self, lot: str, rules: Sequence[Rule]) -> None:
        """Judge a lot; those who fail and are not released leave the frame."""
        import pandas as pd

        failed = self.judge.failures(lot, self.frame, rules)
        by_id = pd.Index(self.frame["id"])
        out: list[Any] = []
        for rule, ids in zip(rules, failed, strict=True):
            rows = self.frame.take(by_id.get_indexer(ids))
            kept_out = ~rows["id"].isin(self._released(rule, rows))
            self.rejects += _rejects(rule, rows[kept_out])
            out += rows["id"][kept_out].tolist()
        self.frame = self.frame[~by_id.isin(out)]

    def _released(self, rule: Rule, rows: pd.DataFrame) -> list[str]:
        names = {name for name, code in self.releases if code == rule.reason}
        if not names:
            return []
        let_in = rows[rows["id"].isin(list(names))]
        columns = ("id", "audio_sha256", "text")
        held = [
            (name, audio, text_key(text))
            for name, audio, text in zip(*(let_in[column] for column in columns), strict=True)
            if any(one.holds(audio, text) for one in self.releases[name, rule.reason])
        ]
        if rule.reason == "contradicting-texts":
            held = _without_contradictions(held)
        ids = [name for name, _, _ in held]
        self.released += [(name, rule.reason) for name in ids]
        return ids


def validate(
    frame: pd.DataFrame,
    params: ValidationParams,
    *,
    name: str,
    releases: Sequence[Release] = (),
    hear: Hear | None = None,
    near_pairs: NearPairs | None = None,
    rank: Rank = unranked,
    same_text: Callable[[str], str] = text_key,
    docs: Path | None = None,
) -> Verdict:
    """Decide which utterances may be used.

    Args:
        frame: from `data.validation_columns.read_frame`, or `join_frame` without measurements, in
            which case nothing is said about signals. It gains columns.
        name: of the corpus.
        releases: from `data.releases.read_releases`.
        hear: what the base model makes of people's speech; None where nothing is to be heard.
        near_pairs: the search for almost equal audio; None where none is to be made.
        rank: which of those that conflict stays, from `data.precedence`; it is asked for rows that
            share audio or almost do.
        same_text: texts for which it gives the same are one text to splits.
        docs: folder for Great Expectations' Data Docs; None for none.

    Raises:
        StageError: an expectation could not be computed.
        StorageError: the disk is full or read-only.
    """
    add_derived_columns(frame)
    by_case: dict[tuple[str, str], list[Release]] = {}
    for one in releases:
        by_case.setdefault((one.id, one.reason), []).append(one)
    court = _Court(frame, Judge(name, docs), by_case)
    court.hold("utterances", row_rules(params, measured="speech" in frame))
    # A lot of its own, so that a text that was put right counts as nothing else.
    by = corrected(court.frame, rank)
    if by.notna().any():
        court.frame = court.frame.assign(corrected_by=by)
        court.hold("corrections", correction_rules())
    rates = hear(court.frame[~_synthetic(court.frame)]) if hear else {}
    court.frame = court.frame.assign(
        contradicts=contradicting(court.frame, rank),
        character_error_rate=court.frame["id"].map(rates).astype("float64"),
    )
    court.hold("transcripts", transcript_rules(params))
    court.frame = court.frame.assign(copy_of=copies(court.frame, rank))
    once = court.frame[court.frame["copy_of"].isna() & ~_synthetic(court.frame)]
    pairs = near_pairs(once, params.near_duplicates) if near_pairs else ()
    court.frame["near_copy_of"] = near_copies(once, pairs, rank, same_text).reindex(
        court.frame.index
    )
    court.hold("copies", copy_rules())
    court.judge.write_docs()
    return Verdict(
        np.asarray(frame.index.isin(court.frame.index)),
        tuple(court.rejects),
        tuple(sorted(court.released)),
    )


def summarise(
    accepted: pd.DataFrame, rejects: Sequence[Reject], released: Sequence[tuple[str, str]]
) -> dict[str, Any]:
    """Plain figures for people.

    utterances, seconds, words, speakers: of what was accepted. quarantined: recordings in
    quarantine, each counted once. quarantine_reasons: reason code -> recordings; one may have
    several. released: utterances that are in by a release.

    Args:
        accepted: columns duration, text, speaker.
        rejects: validation's and those of the corpus.
    """
    return {
        "utterances": len(accepted),
        "seconds": round(float(accepted["duration"].sum()), 3),
        "words": int(count_matches(accepted["text"], r"\S+").sum()),
        "speakers": int(accepted["speaker"].nunique()),
        "quarantined": recordings_in(rejects),
        "quarantine_reasons": dict(sorted(Counter(one.reason for one in rejects).items())),
        "released": len({name for name, _ in released}),
    }


def _synthetic(frame: pd.DataFrame) -> pd.Series[bool]:
    return frame["is_synthetic"].astype(bool)


def _rejects(rule: Rule, rows: pd.DataFrame) -> list[Reject]:
    named = {name for _, name, _, _ in Formatter().parse(rule.detail) if name}
    columns = sorted({"id", "source", "audio", *named})
    return [
        Reject(row["id"], row["source"], row["audio"], rule.reason, rule.detail.format_map(row))
        for row in rows[columns].to_dict("records")
    ]


def _without_contradictions(
    released: Sequence[tuple[str, str, str]],
) -> list[tuple[str, str, str]]:
    """Of releases (id, audio, text key) those whose audio was not released with two texts.

    Both cannot be right, and together they could stand on both sides of a split.
    """
    texts: dict[str, set[str]] = {}
    for _, audio, text in released:
        texts.setdefault(audio, set()).add(text)
    return [one for one in released if len(texts[one[1]]) == 1]
