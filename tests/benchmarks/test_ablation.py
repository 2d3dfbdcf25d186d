"""The ablation judges by texts that nothing has learnt, and never by the test set."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.ablation import RECIPE, VARIANTS, read_variants
from benchmarks.ablation_speech import set_aside
from benchmarks.record import write_table
from data.split_hash import text_key
from data.utterance import Split, Utterance
from voiceforge.errors import UsageError
from voiceforge.params import DomainParams, SplitParams, load_params

SPLITS = SplitParams(train=0.5, dev=0.1, test=0.4, minimum_speakers=5, seed=20)


def row(number: int, text: str, split: Split) -> Utterance:
    return Utterance(
        f"u{number}", f"u{number}.flac", 1.0, text, "en", "en-us", "s", "d", "folder:x",
        "L", "granted", split, False, f"u{number}",
    )  # fmt: skip


@pytest.fixture(scope="module")
def domains(project: Path) -> dict[str, DomainParams]:
    return load_params(project / "params.yaml")


@given(
    st.lists(st.tuples(st.integers(0, 40), st.sampled_from(["train", "dev", "test"])), max_size=60),
    st.floats(0.0, 1.0),
)
def test_no_text_is_both_learnt_and_judged_and_the_test_set_is_neither(
    texts: list[tuple[int, Split]], share: float
) -> None:
    rows = [row(number, f"text {text}", split) for number, (text, split) in enumerate(texts)]
    learnt, judged = set_aside(rows, share, SPLITS)
    assert not {text_key(one.text) for one in learnt} & {text_key(one.text) for one in judged}
    assert {one.split for one in judged} <= {"train"}
    assert {one.split for one in learnt} <= {"train", "dev"}


def test_about_the_share_is_set_aside_and_a_larger_share_holds_the_smaller() -> None:
    rows = [row(number, f"text {number}", "train") for number in range(2000)]
    small, large = (set_aside(rows, share, SPLITS)[1] for share in (0.2, 0.4))
    assert 0.17 < len(small) / len(rows) < 0.23
    assert 0.36 < len(large) / len(rows) < 0.44
    assert {one.id for one in small} <= {one.id for one in large}


@pytest.mark.parametrize("name", ["telephony-en", "telephony-it"])
def test_every_variant_changes_the_recipe(name: str, domains: dict[str, DomainParams]) -> None:
    recipe = domains[name].training
    variants = read_variants(VARIANTS, name, recipe)
    assert variants.pop(RECIPE)[1] == recipe
    outcomes = [str(params.outcome()) for _, params in variants.values()]
    assert len({*outcomes, str(recipe.outcome())}) == len(variants) + 1


def test_a_variant_that_cannot_be_meant_is_named(
    tmp_path: Path, domains: dict[str, DomainParams]
) -> None:
    file, recipe = tmp_path / "variants.yaml", domains["telephony-en"].training
    file.write_text("telephony-en: {fast: {learning_rate: 7.0}}\n")
    with pytest.raises(UsageError, match=r"telephony-en\.fast.*\n.*learning_rate"):
        read_variants(file, "telephony-en", recipe)
    with pytest.raises(UsageError, match="no variants for 'telephony-it'"):
        read_variants(file, "telephony-it", recipe)


def test_a_table_is_a_section_that_another_run_replaces(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# Page\n\nWords.\n\n## Before\n\nKept.\n")
    for figure in ("1", "2"):
        write_table(page, "Found", "How.", ("what", "figure", "more"), [("a", figure, "b")])
    assert page.read_text() == (
        "# Page\n\nWords.\n\n## Before\n\nKept.\n\n## Found\n\nHow.\n\n"
        "| what | figure | more |\n|---|---:|---|\n| a | 2 | b |\n"
    )
