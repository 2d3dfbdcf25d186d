"""MAPSSWE against NIST's sc_stats on sclite's own alignments, and what it promises by itself."""

from __future__ import annotations

import random
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from evaluation.mapsswe import Errors, Mapsswe, errors_of, mapsswe
from evaluation.metrics import align, word_errors
from tests.sclite import Sctk, trn

_PATH = re.compile(r'<PATH id="\(s-(\d+)\)"[^>]*>\n(.*?)</PATH>', re.S)
_RESULT = re.compile(
    r"# segs: (\d+)\).*?mean: *(\S+)\) \(std dev: *(\S+)\) \(Z Stat: *(\S+)\) \(Stat Diff: (\w+)"
)
_ONE = [Errors(9, (4,), ())]
_NONE = [Errors(9, (), ())]


def sentences(seed: int, count: int) -> list[list[str]]:
    """References of up to 25 words, few of them different, so that words are often mistaken."""
    chance = random.Random(seed)
    return [[chance.choice("abcdefgh") for _ in range(chance.randint(1, 25))] for _ in range(count)]


def misheard(references: list[list[str]], seed: int, rate: float) -> list[str]:
    """Every kind of error at every place, each with a third of `rate`; some say nothing at all."""
    chance, found = random.Random(seed), []
    for words in references:
        said: list[str] = []
        for word in [*words, ""]:
            if chance.random() < rate / 3:
                said.append(chance.choice("abcdefghxyz"))
            if word and chance.random() >= rate / 3:
                said.append(chance.choice("abcxyz") if chance.random() < rate / 3 else word)
        found.append(" ".join(said))
    return found


def by_nist(
    sctk: Sctk, references: list[str], said: dict[str, list[str]], folder: Path
) -> tuple[dict[str, list[Errors]], tuple[int, float, float, float, bool]]:
    """sclite's alignments of two systems, and what sc_stats makes of them."""
    (folder / "reference").write_text(trn(references))
    piped, errors = "", {}
    for name, texts in said.items():
        (folder / name).write_text(trn(texts))
        files = ("-r", "reference", "trn", "-h", name, "trn", name, "-i", "rm")
        sgml = sctk.run("sclite", *files, "-o", "sgml", "stdout", folder=folder)
        piped += sgml
        numbered = {int(one): read(path) for one, path in _PATH.findall(sgml)}
        errors[name] = [numbered[index] for index in range(len(references))]
    told = sctk.run(
        "sc_stats", "-p", "-t", "mapsswe", "-v", "-n", "-", folder=folder, standard_input=piped
    )
    (found,) = _RESULT.findall(told)
    segments, mean, deviation, z, differs = found
    return errors, (int(segments), float(mean), float(deviation), float(z), differs == "Yes")


def read(path: str) -> Errors:
    """An alignment in sclite's form: C,"a","a":S,"b","x":D,"c",:I,,"y"."""
    words, wrong, inserted = 0, [], []
    for step in filter(None, path.strip().split(":")):
        kind = step[0]
        if kind == "I":
            inserted.append(words)
            continue
        if kind in "SD":
            wrong.append(words)
        words += 1
    return Errors(words, tuple(wrong), tuple(inserted))


@pytest.mark.parametrize(
    ("rate_a", "rate_b", "count"), [(0.3, 0.36, 900), (0.1, 0.1, 900), (0.2, 0.2, 9)]
)
def test_figures_are_those_of_sc_stats(
    sctk: Sctk, rate_a: float, rate_b: float, count: int, tmp_path: Path
) -> None:
    spoken = sentences(3, count)
    references = [" ".join(words) for words in spoken]
    said = {"one": misheard(spoken, 5, rate_a), "two": misheard(spoken, 6, rate_b)}
    errors, (segments, mean, deviation, z, differs) = by_nist(sctk, references, said, tmp_path)
    ours = mapsswe(errors["one"], errors["two"])
    assert ours.segments == segments
    assert (ours.mean, ours.deviation, ours.z) == pytest.approx((mean, deviation, z), abs=6e-4)
    assert (ours.p_value < 0.05) == differs
    total = {name: sum(len(x.wrong) + len(x.inserted) for x in errors[name]) for name in errors}
    assert (ours.errors_a, ours.errors_b) == (total["one"], total["two"])


@st.composite
def systems(draw: st.DrawFn) -> tuple[list[Errors], list[Errors]]:
    lengths = draw(st.lists(st.integers(0, 12), min_size=1, max_size=6))

    def one(words: int) -> Errors:
        wrong = draw(st.sets(st.integers(0, words - 1), max_size=6)) if words else set()
        added = draw(st.lists(st.integers(0, words), max_size=4))
        return Errors(words, tuple(sorted(wrong)), tuple(sorted(added)))

    return [one(words) for words in lengths], [one(words) for words in lengths]


@settings(max_examples=200)
@given(systems(), st.integers(1, 4))
def test_segments_are_those_of_the_paper_step_by_step(
    both: tuple[list[Errors], list[Errors]], between: int
) -> None:
    """An independent count that walks from word to word."""
    pairs = []
    for a, b in zip(*both, strict=True):
        open_, right = [0, 0], between
        for place in range(a.words + 1):
            extra = [a.inserted.count(place), b.inserted.count(place)]
            if any(extra):
                open_, right = [x + y for x, y in zip(open_, extra, strict=True)], 0
            if place == a.words:
                break
            wrong = [place in a.wrong, place in b.wrong]
            right = 0 if any(wrong) else right + 1
            open_ = [x + y for x, y in zip(open_, wrong, strict=True)]
            if right >= between and any(open_):
                pairs.append(open_)
                open_ = [0, 0]
        if any(open_):
            pairs.append(open_)
    found = mapsswe(*both, between=between)
    assert found.segments == len(pairs)
    assert found.errors_a == sum(x for x, _ in pairs)
    assert found.errors_b == sum(y for _, y in pairs)
    differences = [x - y for x, y in pairs]
    if len(set(differences)) > 1:
        exact = stats.ttest_1samp(differences, 0.0)
        assert found.z == pytest.approx(exact.statistic)
        assert found.p_value == pytest.approx(2 * stats.norm.sf(abs(exact.statistic)))


@settings(max_examples=60)
@given(systems())
def test_swapping_the_systems_turns_the_sign_and_nothing_else(
    both: tuple[list[Errors], list[Errors]],
) -> None:
    one, two = mapsswe(*both), mapsswe(both[1], both[0])
    assert (one.segments, one.errors_a, one.z) == (two.segments, two.errors_b, -two.z)
    assert one.p_value == two.p_value


@settings(max_examples=100)
@given(st.lists(st.sampled_from("abc"), max_size=8), st.lists(st.sampled_from("abc"), max_size=8))
def test_errors_of_an_alignment_are_all_its_errors(left: list[str], right: list[str]) -> None:
    reference, hypothesis = " ".join(left), " ".join(right)
    found = errors_of(align(reference, hypothesis))
    counts = word_errors([reference], [hypothesis])
    assert found.words == counts.words
    assert len(found.wrong) == counts.substitutions + counts.deletions
    assert len(found.inserted) == counts.insertions
    assert all(0 <= place <= found.words for place in found.inserted)


def test_a_false_difference_is_found_as_often_as_promised() -> None:
    generator, found, trials = np.random.default_rng(1), 0, 1000
    for _ in range(trials):
        wrong = generator.random((2, 60, 20)) < 0.1
        a, b = (
            [Errors(20, tuple(np.flatnonzero(row).tolist()), ()) for row in one] for one in wrong
        )
        found += mapsswe(a, b).p_value < 0.05
    assert 0.035 <= found / trials <= 0.065


def test_systems_without_errors_or_with_the_same_ones_do_not_differ() -> None:
    assert mapsswe(_NONE, _NONE) == Mapsswe(0, 0, 0, 0.0, 0.0, 0.0, 1.0)
    assert mapsswe([], []).p_value == 1.0
    assert mapsswe(_ONE * 80, _ONE * 80).p_value == 1.0


def test_the_same_difference_everywhere_is_judged_by_its_sign() -> None:
    """sc_stats finds no difference here for want of variance."""
    found = mapsswe(_ONE * 8, _NONE * 8)
    assert (found.z, found.p_value) == (0.0, stats.binomtest(8, 8).pvalue)
    assert mapsswe(_ONE, _NONE).p_value == 1.0


def test_few_segments_are_said_to_be_few() -> None:
    assert "8 segments are few" in mapsswe(_ONE * 8, _NONE * 8).remark
    assert not mapsswe(_ONE * 50, _NONE * 50).remark


def test_other_references_are_refused() -> None:
    with pytest.raises(ValueError, match="different references"):
        mapsswe(_ONE, [Errors(8, (), ())])
    with pytest.raises(ValueError, match="different references"):
        mapsswe(_ONE, _ONE * 2)
    with pytest.raises(ValueError, match="at least 1"):
        mapsswe(_ONE, _ONE, between=0)
