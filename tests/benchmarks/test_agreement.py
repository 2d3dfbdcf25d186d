"""The tables of docs/metrics.md say what was counted, and would say it if counts differed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from benchmarks.agreement import Texts, compare
from benchmarks.counting import measure
from benchmarks.pairs import LANGUAGES, pairs, prompt_texts
from tests.sclite import Sctk


def test_tables_name_utterances_that_are_counted_otherwise(sctk: Sctk) -> None:
    compared = compare(Texts("three", ["a b", "a b c", "d"], ["b c", "a c", "d"]), sctk)
    assert compared.agreement() == ("three", "3", "6", "0", "0")
    assert compared.conventions() == (
        "three", "1 of 3", "2 + 1 + 0, 3 (50.00%)", "0 + 2 + 1, 4 (50.00%)", "+0.000",
    )  # fmt: skip
    off = compared.ours.copy()
    off[2] = 1, 0, 0, 0
    assert replace(compared, ours=off, ours_as_sclite=off).agreement()[3:] == ("1", "2")


def test_pairs_are_all_prompts_with_errors_at_about_that_share_of_words(cache: Path) -> None:
    references, hypotheses = pairs(cache, rate=0.2, seed=1)
    assert len(references) == sum(len(prompt_texts(cache, language)) for language in LANGUAGES)
    assert (references, hypotheses) == pairs(cache, rate=0.2, seed=1)
    assert pairs(cache, rate=0.0, seed=1)[1] == references
    changed = sum(one != other for one, other in zip(references, hypotheses, strict=True))
    assert 0.4 < changed / len(references) < 0.9


def test_every_figure_of_counting_is_measured(cache: Path) -> None:
    rows = list(measure(cache, 300))
    assert len(rows) == 6
    assert all(row.rests_on.startswith("300 pairs, ") for row in rows)
    assert rows[4].value.endswith(" x")
