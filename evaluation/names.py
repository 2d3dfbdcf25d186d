"""Names in a text as it was written: capitalised words in a row, not the first of a sentence."""

from __future__ import annotations

import re

NOUNS_HAVE_CAPITALS = ("de", "lb")
"""Languages in which a capital tells nothing."""

_EDGES = re.compile(r"^[\W_]+|[\W_]+$")
_POSSESSIVE = re.compile(r"['’]s$")
_PRONOUN = re.compile(r"I(['’](m|ll|d|ve))?")
_TITLE = re.compile(r"(mr|mrs|ms|dr|prof|st)\.?", re.IGNORECASE)
_INITIAL = re.compile(r"\w\.")
_SENTENCE_END = re.compile(r"[.?!:…][\"'”’»)]*$")


def capitalised_names(text: str) -> list[str]:
    """Runs of words with a capital; a mark behind a word ends the run.

    Left out are the first word of a sentence, the English "I" and titles such as "Mr.". A text all
    in capitals, or without any, has no names to be seen.
    """
    if text.upper() == text:
        return []
    runs: list[list[str]] = []
    goes_on, starts = False, True
    for token in text.split():
        word = _POSSESSIVE.sub("", _EDGES.sub("", token))
        if not word:
            continue
        is_title, is_initial = _TITLE.fullmatch(token), _INITIAL.fullmatch(token)
        named = word[0].isupper() and not (starts or is_title or _PRONOUN.fullmatch(word))
        if named and goes_on:
            runs[-1].append(word)
        elif named:
            runs.append([word])
        goes_on = named and (token.endswith(word) or bool(is_initial))
        starts = not (is_title or is_initial) and bool(_SENTENCE_END.search(token))
    return [" ".join(run) for run in runs]
