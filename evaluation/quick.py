"""OpenAI's normalisers at a tenth of the time: a rule that cannot apply is not tried.

A million transcripts take the package two minutes, most of them spent on regular expressions that
find nothing. A rule is left out only where a look at the text proves that it would change nothing,
so the result is the package's own, letter for letter.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Collection
from typing import Any

_SYMBOLS = ".%$¢€£"
"""What the English rules keep until numbers are done."""

_DIGIT = re.compile(r"\d")
_PLAIN = re.compile(r"[a-z' ]+")


class QuickEnglish:
    """The package's English normaliser, without the patterns `dropped`."""

    def __init__(self, dropped: Collection[str]) -> None:
        from whisper_normalizer import english
        from whisper_normalizer.basic import remove_symbols_and_diacritics

        rules = english.EnglishTextNormalizer()
        kept = [pair for pair in rules.replacers.items() if pair[0] not in dropped]
        self._replacers = [(_literal(old), re.compile(old), new) for old, new in kept]
        # No replacement brings an apostrophe, so without one these are all that can apply.
        self._without_apostrophe = [rule for rule in self._replacers if "'" not in rule[0]]
        self._ignored = re.compile(rules.ignore_patterns)
        self._numbers = rules.standardize_numbers
        self._number_words = frozenset(rules.standardize_numbers.words - {"and"})
        self._spellings = rules.standardize_spellings.mapping
        self._symbols = frozenset(_SYMBOLS)
        self._clean = _Letters(lambda char: remove_symbols_and_diacritics(char, keep=_SYMBOLS))

    def __call__(self, text: str) -> str:
        """Normalise; like the package's, but with single spaces and none at the ends."""
        text = text.lower()
        if "[" in text or "<" in text:
            text = re.sub(r"[<\[][^>\]]*[>\]]", "", text)
        if "(" in text:
            text = re.sub(r"\(([^)]+?)\)", "", text)
        if "m" in text or "uh" in text:
            text = self._ignored.sub("", text)
        apostrophe = "'" in text
        if apostrophe:
            text = re.sub(r"\s+'", "'", text)
        for literal, pattern, new in self._replacers if apostrophe else self._without_apostrophe:
            if literal in text:
                text = pattern.sub(new, text)
        if "," in text:
            text = re.sub(r"(\d),(\d)", r"\1\2", text)
        if "." in text:
            text = re.sub(r"\.([^0-9]|$)", r" \1", text)
        text = unicodedata.normalize("NFKD", text).translate(self._clean)
        words = text.split()
        # A number has a digit or one of its words, of which "and" counts only after another; "and a
        # half" is a rule of its own.
        if _DIGIT.search(text) or not self._number_words.isdisjoint(words) or "half" in text:
            words = self._numbers(text).split()
        spellings = self._spellings
        text = " ".join([spellings.get(word, word) for word in words])
        if not self._symbols.isdisjoint(text):
            text = re.sub(r"[.$¢€£]([^0-9])", r" \1", text)
            text = re.sub(r"([^0-9])%", r"\1 ", text)
        return " ".join(text.split())


class QuickBasic:
    """The package's normaliser for every other language."""

    def __init__(self, letters: bool) -> None:
        from whisper_normalizer.basic import BasicTextNormalizer, remove_symbols

        basic = BasicTextNormalizer(remove_diacritics=False, split_letters=letters)
        table = _Letters(remove_symbols)
        basic.clean = lambda text: unicodedata.normalize("NFKC", text).translate(table)
        self._normaliser = basic

    def __call__(self, text: str) -> str:
        return str(self._normaliser(text))


class _Letters(dict[int, str]):
    """A table for `str.translate` that asks for each character once.

    The package goes through its compatibility form letter by letter, and a character of that form
    is its own compatibility form: what becomes of it does not depend on its neighbours.
    """

    def __init__(self, clean: Callable[[str], Any]) -> None:
        super().__init__()
        self._of = clean

    def __missing__(self, code: int) -> str:
        self[code] = found = str(self._of(chr(code)))
        return found


def _literal(pattern: str) -> str:
    r"""Letters that a text must hold for the pattern to match; "" where that cannot be told.

    The package's patterns are plain words with `\b` at their ends.
    """
    plain = pattern.removeprefix(r"\b").removesuffix(r"\b")
    return plain if _PLAIN.fullmatch(plain) else ""
