"""Which utterances are there twice: the same audio, or almost the same.

Equal audio (sha256 of the FLAC) with equal texts: one stays. With different texts no one can tell
which is right, and none stays; but a frozen gate set's member does, and a user's correction is
newer knowledge than the texts that it puts right. Equal texts are those with one
`data.splits.text_key`.

Almost equal audio (fingerprints at least `near_duplicates` alike) could put one recording on both
sides of a split. A pair does so only where its texts differ, since splits keep all utterances of a
text on one side; that a machine or two people say the same text alike is no leak. A pair of one
text by one speaker is a copy. So a pair conflicts where texts differ, as splits compare them, or
the speaker is the same, and the utterances are gone through in order: each stays unless it
conflicts with one that stays. No two that stay conflict, so nothing leaks; and fewer are lost than
by keeping one of every connected group, since of a chain (a is like b, b like c, a not like c) both
ends stay.

The order is that of `data.precedence`, then of ids. Members of a gate set stay always: they are all
in test.

Machines are not searched: what they say is made from its text, so that nearly equal audio of theirs
is nearly equal text ("first name", "last name"), and equal audio is found by its hash.

Repeats of one text by one speaker are ordinary and stay, unless they sound like one recording.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from data.precedence import MEMBER, Rank, unranked
from data.splits import text_key

if TYPE_CHECKING:
    import pandas as pd

_CORRECTIONS = "corrections:"
"""How the sources that hold users' corrections are named."""


def corrected(frame: pd.DataFrame, rank: Rank = unranked) -> pd.Series[str]:
    """For each row the id of a correction of its text, missing where there is none.

    Where corrections of one audio contradict each other, or a gate set holds it, nothing is
    corrected: see `contradicting`.

    Args:
        frame: columns id, audio_sha256, text, source.
        rank: from `data.precedence`.
    """
    found: dict[str, str] = {}
    if frame["source"].str.startswith(_CORRECTIONS).any():
        for audio, same in _sharing(frame).items():
            right = [row for row in same if row[2].startswith(_CORRECTIONS)]
            if len({text_key(text) for _, text, _ in right}) != 1:
                continue
            if any(rank(name, audio, text) == MEMBER for name, text, _ in same):
                continue
            by, key = min(name for name, _, _ in right), text_key(right[0][1])
            found |= {name: by for name, text, _ in same if text_key(text) != key}
    return _column(frame, found)


def contradicting(frame: pd.DataFrame, rank: Rank = unranked) -> pd.Series[str]:
    """For each row the id of another with the same audio and another text, missing where none is.

    A member of a gate set contradicts nobody, nor does who says the same.

    Args:
        frame: columns id, audio_sha256, text, source.
        rank: from `data.precedence`.
    """
    found: dict[str, str] = {}
    for audio, same in _sharing(frame).items():
        rows = [(text_key(text), name, rank(name, audio, text)) for name, text, _ in same]
        if len({key for key, _, _ in rows}) == 1:
            continue
        members = [(key, name) for key, name, rank_ in rows if rank_ == MEMBER]
        agreeing = {key for key, _ in members}
        first: dict[str, str] = {}  # text key -> first id; the two first answer for every row
        for key, name in members or [(key, name) for key, name, _ in rows]:
            first[key] = min(name, first.get(key, name))
        leading = heapq.nsmallest(2, ((name, key) for key, name in first.items()))
        for key, name, _ in rows:
            if key not in agreeing:
                found[name] = next(other for other, text in leading if text != key)
    return _column(frame, found)


def copies(frame: pd.DataFrame, rank: Rank = unranked) -> pd.Series[str]:
    """For each row the id of the one that stays and has the same audio, missing for that one.

    Args:
        frame: columns id, audio_sha256, text, source; equal audio has equal texts (see
            `contradicting`).
        rank: from `data.precedence`.
    """
    found: dict[str, str] = {}
    for audio, same in _sharing(frame).items():
        ranked = sorted((rank(name, audio, text), name) for name, text, _ in same)
        _, first = ranked[0]
        found |= {name: first for place, name in ranked[1:] if place != MEMBER}
    return _column(frame, found)


def near_copies(
    frame: pd.DataFrame,
    pairs: Iterable[tuple[str, str]],
    rank: Rank = unranked,
    same_text: Callable[[str], str] = text_key,
) -> pd.Series[str]:
    """For each row the id of one that stays and it conflicts with, missing for those that stay.

    Args:
        frame: columns id, audio_sha256, text, speaker.
        pairs: ids with almost the same audio, in any order; ids that the frame lacks are ignored.
        rank: from `data.precedence`.
        same_text: texts for which it gives the same are one text to splits.
    """
    import pandas as pd

    pairs = list(pairs)
    named = frame[frame["id"].isin(pd.Index([name for pair in pairs for name in pair], dtype=str))]
    said: dict[str, tuple[str, str]] = {}
    place: dict[str, int] = {}
    for name, audio, text, speaker in _records(named, "id", "audio_sha256", "text", "speaker"):
        said[name] = same_text(text), speaker
        place[name] = rank(name, audio, text)
    conflicts: dict[str, set[str]] = {}
    for left, right in pairs:
        if left == right or left not in said or right not in said:
            continue
        (text, speaker), (other_text, other_speaker) = said[left], said[right]
        if text != other_text or speaker == other_speaker:
            conflicts.setdefault(left, set()).add(right)
            conflicts.setdefault(right, set()).add(left)
    staying: set[str] = set()
    for name in sorted(conflicts, key=lambda name: (place[name], name)):
        if place[name] == MEMBER or staying.isdisjoint(conflicts[name]):
            staying.add(name)
    # The smallest id of all that stay, whatever their order: it is the same when the ledger has
    # come to know some of them.
    found = {
        name: min(others & staying) for name, others in conflicts.items() if name not in staying
    }
    return _column(frame, found)


def _sharing(frame: pd.DataFrame) -> dict[str, list[tuple[str, str, str]]]:
    """Audio that several rows have -> their (id, text, source)."""
    shared = frame[frame["audio_sha256"].duplicated(keep=False)]
    rows: dict[str, list[tuple[str, str, str]]] = {}
    for audio, name, text, source in _records(shared, "audio_sha256", "id", "text", "source"):
        rows.setdefault(audio, []).append((name, text, source))
    return rows


def _records(frame: pd.DataFrame, *columns: str) -> Iterable[tuple[str, ...]]:
    return zip(*(frame[name].tolist() for name in columns), strict=True)


def _column(frame: pd.DataFrame, found: dict[str, str]) -> pd.Series[str]:
    import pandas as pd

    column = pd.Series(pd.NA, index=frame.index, dtype="str")
    if found:
        rows = frame.index[frame["id"].isin(list(found))]
        column.loc[rows] = [found[name] for name in frame.loc[rows, "id"]]
    return column
