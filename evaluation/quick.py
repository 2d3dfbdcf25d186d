"""OpenAI's normalisers at a tenth of the time: a rule that cannot apply is not tried.

A million transcripts take the package two minutes, most of them spent on regular expressions that
find nothing. A rule is left out only where a look at the text proves that it would change nothing,
so the result is the package's own, letter for letter.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Collection, Iterable
from typing import Any

_SYMBOLS = ".%$¢€£"
"""What the English rules keep until numbers are done."""

_DIGIT = re.compile(r"\d")
_WORD = re.compile(r"\w+")
_PLAIN = re.compile(r"[a-z' ]+")
_WORDS_ONLY = re.compile(r"[a-z ,?!;:\-]*\.?")
"""Words and signs that part them: where none of the words is special, only spellings can change."""

_SIGNS = str.maketrans(dict.fromkeys(".,?!;:-", " "))
_FILLERS = re.compile(r"\\b\(([a-z|]+)\)\\b")
_BRACKETS = re.compile(r"[<\[][^>\]]*[>\]]")
_PARENTHESES = re.compile(r"\(([^)]+?)\)")
_SPACED_APOSTROPHE = re.compile(r"\s+'")
_COMMA = re.compile(r"(\d),(\d)")
_PERIOD = re.compile(r"\.([^0-9]|$)")
_SYMBOL_BEFORE = re.compile(r"[.$¢€£]([^0-9])")
_PERCENT_AFTER = re.compile(r"([^0-9])%")


class QuickEnglish:
    """The package's English normaliser, without the patterns `dropped`."""

    def __init__(self, dropped: Collection[str]) -> None:
        from whisper_normalizer import english
        from whisper_normalizer.basic import remove_symbols_and_diacritics

        rules = english.EnglishTextNormalizer()
        kept = [pair for pair in rules.replacers.items() if pair[0] not in dropped]
        self._replacers = [(_literal(old), re.compile(old), new) for old, new in kept]
        self._ignored = re.compile(rules.ignore_patterns)
        # A rule without an apostrophe is one of these words between word boundaries.
        words = {_literal(old) for old, _ in kept if "'" not in old}
        fillers = _FILLERS.fullmatch(rules.ignore_patterns)
        self._rewritten = frozenset(words | set(fillers[1].split("|") if fillers else [""]))
        self._can_skip = all(word.isalpha() for word in self._rewritten)
        self._numbers = rules.standardize_numbers
        self._number_words = frozenset(rules.standardize_numbers.words - {"and"})
        self._spellings = rules.standardize_spellings.mapping
        self._special = self._rewritten | self._number_words
        self._symbols = frozenset(_SYMBOLS)
        self._clean = _Letters(lambda char: remove_symbols_and_diacritics(char, keep=_SYMBOLS))

    def __call__(self, text: str) -> str:
        """Normalise; like the package's, but with single spaces and none at the ends."""
        text = text.lower()
        if self._can_skip and _WORDS_ONLY.fullmatch(text) and "half" not in text:
            words = text.translate(_SIGNS).split()
            if self._special.isdisjoint(words):
                return self._spelled(words)
        if "[" in text or "<" in text:
            text = _BRACKETS.sub("", text)
        if "(" in text:
            text = _PARENTHESES.sub("", text)
        if "'" in text or not self._can_skip or not self._rewritten.isdisjoint(_WORD.findall(text)):
            text = _SPACED_APOSTROPHE.sub("'", self._ignored.sub("", text))
            for literal, pattern, new in self._replacers:
                if literal in text:
                    text = pattern.sub(new, text)
        if "," in text:
            text = _COMMA.sub(r"\1\2", text)
        if "." in text:
            text = _PERIOD.sub(r" \1", text)
        text = unicodedata.normalize("NFKD", text).translate(self._clean)
        words = text.split()
        # A number has a digit or one of its words, of which "and" counts only after another; "and a
        # half" is a rule of its own.
        if (
            "half" in text
            or not self._number_words.isdisjoint(words)
            or _DIGIT.search(text) is not None
        ):
            words = self._numbers(text).split()
        text = self._spelled(words)
        if not self._symbols.isdisjoint(text):
            text = _SYMBOL_BEFORE.sub(r" \1", text)
            text = " ".join(_PERCENT_AFTER.sub(r"\1 ", text).split())
        return text

    def _spelled(self, words: Iterable[str]) -> str:
        spellings = self._spellings
        return " ".join([spellings.get(word, word) for word in words])


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
