"""Cron lines of five fields, as Dagster's scheduler reads them; its own check costs seconds."""

from __future__ import annotations

import re

_MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
_DAYS = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"]
_LONGEST = dict(zip(range(1, 13), (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31), strict=True))
_FIELDS: tuple[tuple[str, int, int, dict[str, int]], ...] = (
    ("minute", 0, 59, {}),
    ("hour", 0, 23, {}),
    ("day of the month", 1, 31, {}),
    ("month", 1, 12, {name: number for number, name in enumerate(_MONTHS, 1)}),
    ("day of the week", 0, 7, {name: number for number, name in enumerate(_DAYS)}),
)
_ITEM = re.compile(r"(?:\*|(\w+)(?:-(\w+))?)(?:/(\d+))?")


def cron_problem(line: str) -> str:
    """What is wrong with a cron line, "" when nothing is.

    Lists, ranges, steps and English names of months and days are known; extensions of single cron
    programs ("L", "#", "@daily", seconds) are not.
    """
    parts = line.lower().split()
    if len(parts) != len(_FIELDS):
        return f"it has {len(parts)} fields, and must have five"
    values = []
    for part, (name, low, high, names) in zip(parts, _FIELDS, strict=True):
        chosen = _values(part, low, high, names)
        if not chosen:
            return f"{part!r} is no {name} ({low} to {high}, lists, ranges and steps of them)"
        values.append(chosen)
    _, _, days, months, _ = values
    if min(days) > max(_LONGEST[month] for month in months):
        return f"no month {parts[3]} has a day {parts[2]}, so that it never fires"
    return ""


def _values(field: str, low: int, high: int, names: dict[str, int]) -> set[int]:
    """The numbers that a field names, empty where it cannot be read."""
    chosen: set[int] = set()
    for item in field.split(","):
        match = _ITEM.fullmatch(item)
        if match is None:
            return set()
        first, last, step = match.groups()
        if first is None:
            start, end = low, high
        else:
            start = _number(first, names)
            end = _number(last, names) if last else (high if step else start)
            if last == "sun" and start > 0:
                end = 7
        if not low <= start <= end <= high or (step is not None and not 1 <= int(step) <= high):
            return set()
        chosen.update(range(start, end + 1, int(step or 1)))
    return chosen


def _number(text: str, names: dict[str, int]) -> int:
    """A number or name; -1, which is in no range, for anything else."""
    return names.get(text, int(text) if text.isascii() and text.isdecimal() else -1)
