"""Dates in normalised words: days and months, with a year or without, and months with a year.

"The 3rd of March 2024", "march 3 2024" and, before normalisation, "2024-03-04" are dates.
"3/4/2024" is not: which number is the month depends on who wrote it, so its numbers count as such.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

MONTHS = {
    "da": "januar februar marts april maj juni juli august september oktober november december",
    "de": "januar februar märz april mai juni juli august september oktober november dezember",
    "en": "january february march april may june july august september october november december",
    "es": "enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre "
    "diciembre",
    "fr": "janvier février mars avril mai juin juillet août septembre octobre novembre décembre",
    "it": "gennaio febbraio marzo aprile maggio giugno luglio agosto settembre ottobre novembre "
    "dicembre",
    "nl": "januari februari maart april mei juni juli augustus september oktober november december",
    "pt": "janeiro fevereiro março abril maio junho julho agosto setembro outubro novembro "
    "dezembro",
}
"""Names of the months, of each language whose dates can be read."""

_BETWEEN = {"en": {"of", "the"}, "es": {"de", "del"}, "it": {"di", "del"}, "pt": {"de"}}
_ISO = re.compile(r"\b([12]\d{3})-(\d{2})-(\d{2})\b")
_DAY = re.compile(r"(\d{1,2})(?:st|nd|rd|th|er|re|ter|e|o|a|º|ª)?")
_YEAR = re.compile(r"[12]\d{3}")


@dataclass(frozen=True, slots=True)
class Date:
    """A date in a text.

    Attributes:
        value: as ISO 8601 writes it: 2024-03-04, --03-04 without a year, 2024-03 without a day.
        stop: number of the word behind its last one.
    """

    value: str
    stop: int


class Dates:
    """Reads the dates of a language.

    Raises:
        ValueError: a language whose months are not known here; lists those that are.
    """

    def __init__(self, language: str) -> None:
        if language not in MONTHS:
            raise ValueError(
                f"Dates cannot be read in {language!r}. They can in: {', '.join(MONTHS)}."
            )
        self._names = MONTHS[language].split()
        self._months = {name: number for number, name in enumerate(self._names, start=1)}
        self._between = _BETWEEN.get(language, set())
        months = "|".join(self._names)
        self._first = re.compile(
            rf"(?<![\w.,:])1(?=\s+(?:{months})\b)|\b(?:{months})\s+1(?![.,:]?\w)", re.IGNORECASE
        )
        self._language = language

    def spell_out(self, text: str) -> str:
        """A text as it was written, its dates so that they survive normalisation.

        ISO dates go into words; in English "1 May" becomes "1st May", since whisper-english makes
        of it "one may".
        """
        text = _ISO.sub(self._in_words, text)
        if self._language != "en":
            return text
        return self._first.sub(lambda match: f"{match[0]}st", text)

    def at(self, words: Sequence[str], start: int) -> Date | None:
        """The date that begins at a word, the longest that can be read."""
        if month := self._months.get(words[start]):
            if (year := _year(words, behind := self._skip(words, start + 1))) is not None:
                return Date(f"{year}-{month:02}", behind + 1)
            day, stop = _day(words, behind), behind + 1
        elif day := _day(words, start):
            behind = self._skip(words, start + 1)
            found = self._months.get(words[behind]) if behind < len(words) else None
            month, stop = found or 0, behind + 1
        if not (month and day):
            return None
        if (year := _year(words, behind := self._skip(words, stop))) is not None:
            return Date(f"{year}-{month:02}-{day:02}", behind + 1)
        return Date(f"--{month:02}-{day:02}", stop)

    def _skip(self, words: Sequence[str], at: int) -> int:
        while at < len(words) and words[at] in self._between:
            at += 1
        return at

    def _in_words(self, match: re.Match[str]) -> str:
        year, month, day = (int(part) for part in match.groups())
        if not (1 <= month <= 12 and 1 <= day <= 31):
            return match[0]
        return f"{day} {self._names[month - 1]} {year}"


def _day(words: Sequence[str], at: int) -> int:
    """The day of a month, or 0."""
    found = _DAY.fullmatch(words[at]) if at < len(words) else None
    day = int(found[1]) if found else 0
    return day if day <= 31 else 0


def _year(words: Sequence[str], at: int) -> int | None:
    found = _YEAR.fullmatch(words[at]) if at < len(words) else None
    return int(found[0]) if found else None
