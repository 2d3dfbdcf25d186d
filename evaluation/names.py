"""Names in a text as it was written: capitalised words in a row, not the first of a sentence."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

NOUNS_HAVE_CAPITALS = ("de", "lb")
"""Languages in which a capital tells nothing."""

_EDGES = re.compile(r"^[\W_]+|[\W_]+$")
_POSSESSIVE = re.compile(r"['’]s$")
_PRONOUN = re.compile(r"I(['’](m|ll|d|ve))?")
_TITLE = re.compile(r"(mr|mrs|ms|dr|prof|st)\.?", re.IGNORECASE)
_INITIAL = re.compile(r"\w\.")
_SENTENCE_END = re.compile(r"[.?!:…][\"'”’»)]*$")


def capitalised_names(text: str) -> list[list[tuple[int, str]]]:
    """Runs of words with a capital; a mark behind a word ends the run.

    Left out are the first word of a sentence, the English "I" and titles such as "Mr.". A text all
    in capitals, or without any, has no names to be seen.

    Returns:
        Of each name its words, each with its place among `text.split()`, without the marks around
        it and without a possessive ending.
    """
    if text.upper() == text:
        return []
    runs: list[list[tuple[int, str]]] = []
    goes_on, starts = False, True
    for place, token in enumerate(text.split()):
        word = _POSSESSIVE.sub("", _EDGES.sub("", token))
        if not word:
            continue
        is_title, is_initial = _TITLE.fullmatch(token), _INITIAL.fullmatch(token)
        named = word[0].isupper() and not (starts or is_title or _PRONOUN.fullmatch(word))
        if named and goes_on:
            runs[-1].append((place, word))
        elif named:
            runs.append([(place, word)])
        goes_on = named and (token.endswith(word) or bool(is_initial))
        starts = not (is_title or is_initial) and bool(_SENTENCE_END.search(token))
    return runs


def find_names(
    text: str, words: Sequence[str], read: Callable[[str], str]
) -> list[tuple[int, int]]:
    """Where the capitalised names of a text stand among its words as they are read.

    The written words find their places by an alignment with the fewest errors, since a normaliser
    takes words out, joins and splits them; a name that has no word in common is left out.

    Args:
        words: of the text, normalised.
        read: makes of a written word what it would be among `words`.

    Returns:
        Of each name its first word and the word behind its last.
    """
    from rapidfuzz.distance import Levenshtein

    runs = capitalised_names(text)
    if not runs:
        return []
    bare = {place: word for run in runs for place, word in run}
    written = [
        (place, one)
        for place, token in enumerate(text.split())
        for one in read(bare.get(place, token)).split()
    ]
    places: dict[int, list[int]] = {}
    for code in Levenshtein.opcodes([one for _, one in written], words):
        if code.tag == "equal":
            for (place, _), at in zip(
                written[code.src_start : code.src_end],
                range(code.dest_start, code.dest_end),
                strict=True,
            ):
                places.setdefault(place, []).append(at)
    stand = [[at for place, _ in run for at in places.get(place, ())] for run in runs]
    return [(found[0], found[-1] + 1) for found in stand if found]
