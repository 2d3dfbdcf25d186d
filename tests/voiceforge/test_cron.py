"""Our reading of cron lines agrees with Dagster's scheduler, which is slow to import."""

from __future__ import annotations

import itertools

import pytest
from dagster._utils.schedules import cron_string_iterator, is_valid_cron_string
from hypothesis import example, given, settings
from hypothesis import strategies as st

from voiceforge.cron import cron_problem

ITEMS = st.one_of(
    st.just("*"),
    st.integers(0, 61).map(str),
    st.tuples(st.integers(0, 32), st.integers(0, 32)).map(lambda p: f"{p[0]}-{p[1]}"),
    st.tuples(st.sampled_from(["*", "1-5", "2"]), st.integers(0, 61)).map(
        lambda p: f"{p[0]}/{p[1]}"
    ),
    st.sampled_from(
        ["jan", "DEC", "mon", "mon-fri", "fri-sun", "sun", "L", "x", "", "-", "5-", "2#1"]
    ),
)
FIELD = st.just("*") | st.lists(ITEMS, min_size=1, max_size=3).map(",".join)


@settings(max_examples=300)
@given(st.lists(FIELD, min_size=5, max_size=5).map(" ".join))
@example("0 3 * * 1")
@example("0 0 31 4,6 *")
def test_what_is_accepted_fires(line: str) -> None:
    if cron_problem(line):
        return
    assert is_valid_cron_string(line)
    times = list(itertools.islice(cron_string_iterator(0.0, line, "UTC"), 2))
    assert times[0] < times[1]


@pytest.mark.parametrize(
    "line",
    ["0 3 * * 1", "*/15 8-18 * * mon-fri", "5,35 * 1-7/2 jan,jul *", "0 0 29 2 *", "0 0 * * 7",
     "0  3 * * 1 ", "0 0 * * fri-sun"],
)  # fmt: skip
def test_ordinary_lines_are_accepted(line: str) -> None:
    assert cron_problem(line) == ""
    assert is_valid_cron_string(line)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("", "0 fields"),
        ("0 3 * * 1 *", "6 fields"),
        ("@weekly", "1 fields"),
        ("60 * * * *", "'60' is no minute"),
        ("* 24 * * *", "'24' is no hour"),
        ("* * 0 * *", "'0' is no day of the month"),
        ("* * * 13 *", "'13' is no month"),
        ("* * * * 8", "'8' is no day of the week"),
        ("* * * * monday", "'monday' is no day of the week"),
        ("* * * mon *", "'mon' is no month"),
        ("*/0 * * * *", "'*/0' is no minute"),
        ("1,,2 * * * *", "is no minute"),
        ("-1 * * * *", "is no minute"),
        ("٣ * * * *", "is no minute"),
        ("0 0 31 2 *", "never fires"),
        ("0 0 31 2 mon", "never fires"),
        ("0 0 31 4,6 *", "never fires"),
    ],
)
def test_bad_lines_are_named(line: str, words: str) -> None:
    assert words in cron_problem(line)
