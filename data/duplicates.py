"""Which utterances are there twice: the same audio, or almost the same.

Equal audio (sha256 of the FLAC) with equal texts: the first by id stays. With different texts no
one can tell which is right, and none stays. Equal texts are those with one `data.splits.text_key`.

Almost equal audio (fingerprints at least `near_duplicates` alike) could put one recording on both
sides of a split. A pair does so only where its texts differ, since splits keep all utterances of a
text on one side; that a machine or two people say the same text alike is no leak. A pair of one
text by one speaker is a copy. So a pair conflicts where texts differ or the speaker is the same,
and the utterances are gone through by id: each stays unless it conflicts with one that stays. No
two that stay conflict, so nothing leaks; and fewer are lost than by keeping one of every connected
group, since of a chain (a is like b, b like c, a not like c) both ends stay.

Machines are not searched: what they say is made from its text, so that nearly equal audio of theirs
is nearly equal text ("first name", "last name"), and equal audio is found by its hash.

Repeats of one text by one speaker are ordinary and stay, unless they sound like one recording.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable
from typing import TYPE_CHECKING

from data.splits import text_key

if TYPE_CHECKING:
    import pandas as pd


def contradicting(frame: pd.DataFrame) -> pd.Series[str]:
    """For each row the id of another with the same audio and another text, missing where none is.

    Args:
        frame: columns id, audio_sha256, text.
    """
    shared = frame[frame["audio_sha256"].duplicated(keep=False)]
    # audio -> text key -> first id; the two first of them answer for every row of that audio.
    first: dict[str, dict[str, str]] = {}
    rows = [(audio, text_key(text), name)
            for audio, text, name in _records(shared, "audio_sha256", "text", "id")]  # fmt: skip
    for audio, key, name in rows:
        keys = first.setdefault(audio, {})
        keys[key] = min(name, keys.get(key, name))
    leading = {
        audio: heapq.nsmallest(2, ((name, key) for key, name in keys.items()))
        for audio, keys in first.items()
        if len(keys) > 1
    }
    found = {}
    for audio, key, name in rows:
        if audio in leading:
            (lowest, its_key), (second, _) = leading[audio]
            found[name] = second if key == its_key else lowest
    return _column(frame, found)


def copies(frame: pd.DataFrame) -> pd.Series[str]:
    """For each row the id of the first by id that has the same audio, missing for the first.

    Args:
        frame: columns id, audio_sha256; equal audio has equal texts (see `contradicting`).
    """
    shared = frame[frame["audio_sha256"].duplicated(keep=False)].sort_values("id")
    first: dict[str, str] = {}
    found = {}
    for audio, name in _records(shared, "audio_sha256", "id"):
        if first.setdefault(audio, name) != name:
            found[name] = first[audio]
    return _column(frame, found)


def near_copies(frame: pd.DataFrame, pairs: Iterable[tuple[str, str]]) -> pd.Series[str]:
    """For each row the id of one that stays and it conflicts with, missing for those that stay.

    Args:
        frame: columns id, text, speaker.
        pairs: ids with almost the same audio, in any order; ids that the frame lacks are ignored.
    """
    import pandas as pd

    pairs = list(pairs)
    named = frame[frame["id"].isin(pd.Index([name for pair in pairs for name in pair], dtype=str))]
    said = {
        name: (text_key(text), speaker)
        for name, text, speaker in _records(named, "id", "text", "speaker")
    }
    conflicts: dict[str, set[str]] = {}
    for left, right in pairs:
        if left == right or left not in said or right not in said:
            continue
        (text, speaker), (other_text, other_speaker) = said[left], said[right]
        if text != other_text or speaker == other_speaker:
            conflicts.setdefault(left, set()).add(right)
            conflicts.setdefault(right, set()).add(left)
    found: dict[str, str] = {}
    for name in sorted(conflicts):
        staying = [other for other in conflicts[name] if other < name and other not in found]
        if staying:
            found[name] = min(staying)
    return _column(frame, found)


def _records(frame: pd.DataFrame, *columns: str) -> Iterable[tuple[str, ...]]:
    return zip(*(frame[name].tolist() for name in columns), strict=True)


def _column(frame: pd.DataFrame, found: dict[str, str]) -> pd.Series[str]:
    import pandas as pd

    column = pd.Series(pd.NA, index=frame.index, dtype="str")
    if found:
        rows = frame.index[frame["id"].isin(list(found))]
        column.loc[rows] = [found[name] for name in frame.loc[rows, "id"]]
    return column
