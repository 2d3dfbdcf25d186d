"""Numbers in texts as digits, however they were written: in English and seven other languages.

English goes through whisper-english; the others through the package text2num, then whisper-basic.
Where these would lose what was written (a minus, leading zeros, separated thousands), it is written
otherwise first.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from evaluation.text import normaliser

LANGUAGES = ("en", "da", "de", "es", "fr", "it", "nl", "pt")
"""Whose spelled-out numbers are read."""

_LEADING_ZEROS = re.compile(r"(?<![\d.,])0\d+(?![.,]?\d)")
_MINUS = re.compile(r"(?<!\S)[-−](?=\d)")
_THOUSANDS = re.compile(r"(?<=\d)[.\u00a0\u202f ](?=\d{3}(?!\d))")
_NAMES = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


def numbers_as_digits(language: str) -> Callable[[str], str]:
    """A normaliser that leaves numbers in digits.

    Raises:
        ValueError: a language whose numbers in words are not read; lists those that are.
    """
    if language not in LANGUAGES:
        raise ValueError(
            f"Numbers in words cannot be read in {language!r}. They can in: {', '.join(LANGUAGES)}."
        )
    if language == "en":
        english = normaliser("whisper-english", "en")
        return lambda text: english(_MINUS.sub("minus ", _LEADING_ZEROS.sub(_in_words, text)))
    from text_to_num import alpha2digit

    basic = normaliser("whisper-basic", language)
    # Threshold 0: a number of its own is read however small, since the other text may have digits.
    return lambda text: basic(alpha2digit(_THOUSANDS.sub("", text), language, 0.0))


def _in_words(match: re.Match[str]) -> str:
    return " ".join(_NAMES[int(digit)] for digit in match[0])
