"""Words of interim results beside those of the next and of the final: what stayed, what changed."""

from __future__ import annotations

import string
from collections.abc import Sequence

_SIGNS = string.punctuation + "。，！？：”、»…¡¿«„“’‘"


def fold_word(word: str) -> str:
    """A word without case and punctuation; a word that is nothing else stays."""
    return word.casefold().strip(_SIGNS) or word


def stable_since(shown: Sequence[Sequence[str]], place: int) -> int:
    """The first result from which on the word at that place is what the final says."""
    last = shown[-1][place]
    since = len(shown) - 1
    while since and list(shown[since - 1][place : place + 1]) == [last]:
        since -= 1
    return since


def broken_promises(promised: Sequence[int], shown: Sequence[Sequence[str]]) -> int:
    """Places whose word was declared stable and is another in the final.

    Args:
        promised: of each result, how many words at its beginning are stable.
        shown: the words of each result, the final last.
    """
    final = shown[-1]
    return len(
        {
            place
            for stable, words in zip(promised, shown, strict=True)
            for place in range(stable)
            if list(final[place : place + 1]) != [words[place]]
        }
    )


def common_words(old: Sequence[str], new: Sequence[str]) -> int:
    """Words at the beginning that are the same."""
    for place, (one, other) in enumerate(zip(old, new, strict=False)):
        if one != other:
            return place
    return min(len(old), len(new))


def changed_words(old: Sequence[str], new: Sequence[str]) -> int:
    """Words of the old text that the fewest edits towards the new one change or drop."""
    from rapidfuzz.distance import Levenshtein

    blocks = Levenshtein.opcodes(list(old), list(new)).as_matching_blocks()
    return len(old) - sum(block.size for block in blocks)
