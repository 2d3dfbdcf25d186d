"""Where a text or a name falls by its hash: the same for ever, whatever lies beside it."""

from __future__ import annotations

import hashlib
import unicodedata

from data.ledger import Heard
from voiceforge.params import SplitParams


class _Letters(dict[int, int | None]):
    """A table for `str.translate` that keeps letters, marks and digits."""

    def __missing__(self, code: int) -> int | None:
        self[code] = kept = code if unicodedata.category(chr(code))[0] in "LMN" else None
        return kept


_LETTERS = _Letters()


def text_key(text: str) -> str:
    """What makes two texts the same: letters and digits, case and compatibility forms folded."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return folded.translate(_LETTERS) or folded.strip()


def hash_split(key: str, params: SplitParams) -> Heard:
    """The split of a key: its seeded sha256 as a number in 0..1, laid over the shares."""
    return split_at(hash_position(key, params), params)


def hash_position(key: str, params: SplitParams) -> float:
    """The seeded sha256 of a key as a number from 0, below 1."""
    digest = hashlib.sha256(f"{params.seed}:{key}".encode()).digest()
    # 53 bits: what a float holds exactly, so that 1.0 is never reached.
    return (int.from_bytes(digest[:8], "big") >> 11) / 2**53


def split_at(position: float, params: SplitParams) -> Heard:
    """The split that a position falls into when the shares are laid over 0..1."""
    if position < params.train:
        return "train"
    # A share of zero must stay empty although 1 - test is not exactly train + dev.
    if params.dev and (position < params.train + params.dev or not params.test):
        return "dev"
    return "test" if params.test else "train"
