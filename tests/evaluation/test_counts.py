"""Counts of every utterance against jiwer and NIST's sclite, on real texts and on random ones."""

from __future__ import annotations

import random
import re
import subprocess
import sys
from pathlib import Path

import jiwer
import numpy as np
import pytest

from benchmarks.pairs import pairs
from evaluation.metrics import (
    IntArray,
    WordErrors,
    character_counts,
    per_utterance_errors,
    pooled,
    utterance_counts,
    word_errors,
)
from tests.sclite import Sctk, trn

Texts = tuple[list[str], list[str]]
_RANDOM = 10_000
_UTTERANCE = re.compile(r"^id: \((\S+)\)$", re.M)
_SCORES = re.compile(r"^Scores: \(#C #S #D #I\) (\d+) (\d+) (\d+) (\d+)$", re.M)


@pytest.fixture(scope="module")
def real(cache: Path) -> Texts:
    """All prompts of five languages, with errors at a fifth of the words."""
    found = pairs(cache, rate=0.2, seed=6)
    assert len(found[0]) >= 2000
    return found


@pytest.fixture(scope="module")
def scrambled() -> Texts:
    """Few different words in any order: many alignments with the fewest errors each."""
    chance = random.Random(7)
    words = ["a", "b", "c", "one", "é", "мир"]

    def text(least: int) -> str:
        return " ".join(chance.choices(words, k=chance.randint(least, 12)))

    return [text(1) for _ in range(_RANDOM)], [text(0) for _ in range(_RANDOM)]


@pytest.fixture(scope="module", params=["real", "scrambled"])
def texts(request: pytest.FixtureRequest) -> Texts:
    found: Texts = request.getfixturevalue(request.param)
    return found


def test_every_utterance_has_jiwers_counts(texts: Texts) -> None:
    theirs = [
        [one.substitutions, one.deletions, one.insertions, one.hits]
        for one in map(jiwer.process_words, *texts)
    ]
    assert utterance_counts(*texts).tolist() == theirs


def test_every_utterance_has_jiwers_counts_of_characters(texts: Texts) -> None:
    theirs = [
        [one.substitutions, one.deletions, one.insertions, one.hits]
        for one in map(jiwer.process_characters, *texts)
    ]
    assert character_counts(*texts).tolist() == theirs


def test_pooled_rates_are_jiwers(texts: Texts) -> None:
    ours, theirs = word_errors(*texts), jiwer.process_words(*texts)
    assert ours.rate == pytest.approx(theirs.wer, rel=1e-12)
    assert ours.match_error_rate == pytest.approx(theirs.mer, rel=1e-12)
    assert ours.information_lost == pytest.approx(theirs.wil, rel=1e-12)
    assert ours.information_preserved == pytest.approx(theirs.wip, rel=1e-12)


def test_counts_add_up_to_the_errors_that_certificates_rest_on(texts: Texts) -> None:
    counts = utterance_counts(*texts)
    errors = np.stack([counts[:, :3].sum(axis=1), counts[:, [0, 1, 3]].sum(axis=1)], axis=1)
    assert (errors == per_utterance_errors(*texts)).all()


def test_every_utterance_has_sclites_counts(sctk: Sctk, texts: Texts, tmp_path: Path) -> None:
    theirs = counts_of_sclite(sctk, texts, tmp_path)
    ours = utterance_counts(*texts, convention="sclite")
    assert ours.tolist() == theirs.tolist()
    fewest = utterance_counts(*texts)
    assert (ours[:, :3].sum(axis=1) >= fewest[:, :3].sum(axis=1)).all()
    assert (ours != fewest).any()


def test_texts_without_words_have_jiwers_rates() -> None:
    assert rates([""], [""]) == (0.0, 0.0, 0.0, 1.0)
    assert rates([""], ["one two"])[1:] == (1.0, 1.0, 0.0)
    assert rates(["one two"], [""]) == (1.0, 1.0, 1.0, 0.0)
    for reference, hypothesis in (("one two", ""), ("one", "two"), ("one two", "one")):
        theirs = jiwer.process_words(reference, hypothesis)
        assert rates([reference], [hypothesis]) == (theirs.wer, theirs.mer, theirs.wil, theirs.wip)
    for convention in ("fewest", "sclite"):
        table = utterance_counts(["", "", "a b"], ["", "c d", ""], convention)
        assert table.tolist() == [[0, 0, 0, 0], [0, 0, 2, 0], [0, 2, 0, 0]]
        assert utterance_counts([], [], convention).shape == (0, 4)
    assert pooled(utterance_counts([], [])) == WordErrors(0, 0, 0, 0)


def rates(references: list[str], hypotheses: list[str]) -> tuple[float, float, float, float]:
    """Word and match error rate, information lost and preserved."""
    one = word_errors(references, hypotheses)
    return one.rate, one.match_error_rate, one.information_lost, one.information_preserved


def test_sclite_takes_a_hit_for_two_substitutions() -> None:
    """2 substitutions are the fewest errors; a hit between two one-sided errors costs less."""
    assert utterance_counts(["a b"], ["b c"]).tolist() == [[2, 0, 0, 0]]
    assert utterance_counts(["a b"], ["b c"], "sclite").tolist() == [[0, 1, 1, 1]]
    assert utterance_counts(["a b c"], ["c d e"]).tolist() == [[3, 0, 0, 0]]
    assert utterance_counts(["a b c"], ["c d e"], "sclite").tolist() == [[3, 0, 0, 0]]


def test_an_unknown_convention_names_the_known_ones() -> None:
    with pytest.raises(ValueError, match=r"'nist'.*fewest, sclite"):
        utterance_counts(["a"], ["a"], "nist")  # type: ignore[arg-type]


def test_counting_needs_numpy_and_rapidfuzz_alone() -> None:
    code = (
        "import sys; before = set(sys.modules); from evaluation.metrics import *;"
        "from evaluation import metrics; metrics.utterance_counts(['a b'], ['b']);"
        "metrics.utterance_counts(['a b'], ['b'], 'sclite'); metrics.character_error_rate(['a'],"
        " ['b']); print(*{name.partition('.')[0] for name in set(sys.modules) - before})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    foreign = set(done.stdout.split()) - set(sys.stdlib_module_names)
    foreign = {name for name in foreign if not name.startswith(("_cython", "cython"))}
    assert foreign == {"evaluation", "numpy", "rapidfuzz"}


def counts_of_sclite(sctk: Sctk, texts: Texts, folder: Path) -> IntArray:
    """What sclite's own table of alignments says of each utterance, in their order."""
    (folder / "reference").write_text(trn(texts[0]))
    (folder / "hypothesis").write_text(trn(texts[1]))
    files = ("-r", "reference", "trn", "-h", "hypothesis", "trn", "-i", "rm", "-e", "utf-8")
    said = sctk.run("sclite", *files, "-o", "pra", "stdout", folder=folder)
    names, scores = _UTTERANCE.findall(said), _SCORES.findall(said)
    assert len(names) == len(scores) == len(texts[0])
    table = np.zeros((len(names), 4), dtype=np.int64)
    for name, (hits, changed, missing, added) in zip(names, scores, strict=True):
        table[int(name.split("-")[1])] = int(changed), int(missing), int(added), int(hits)
    return table
