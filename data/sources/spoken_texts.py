"""Texts for machines to speak: each once, none endless, in an order that additions keep."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from data.sources.base import Recording
from data.splits import text_key

LONGEST_TEXT = 60
"""Words: at eSpeak's pace about 25 s, so that every clip fits Whisper's window."""


def speakable(texts: Sequence[Recording]) -> tuple[dict[str, Recording], dict[str, int]]:
    """The first recording of every text by its key, in the keys' order, and what was skipped."""
    by_key = {text_key(recording.text): recording for recording in reversed(texts)}
    kept = {k: r for k, r in sorted(by_key.items()) if len(r.text.split()) <= LONGEST_TEXT}
    too_long = len(by_key) - len(kept)
    return kept, {f"texts over {LONGEST_TEXT} words": too_long} if too_long else {}


def shuffled(texts: Sequence[tuple[str, Recording]], salt: str) -> list[Recording]:
    """In the order of a hash, so that a text that is added or removed moves no other."""

    def order(pair: tuple[str, Recording]) -> str:
        return hashlib.sha256(f"{salt}:{pair[0]}".encode()).hexdigest()

    return [recording for _, recording in sorted(texts, key=order)]
