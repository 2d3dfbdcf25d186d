"""Whether our counts of word errors are those of jiwer and of NIST's sclite, and how both differ.

    python -m benchmarks.agreement [--write]

Every utterance is counted by jiwer, by sclite (Debian's package sctk, fetched once into the cache)
and by us in both conventions. --write puts the tables into the project's docs/metrics.md.
"""

from __future__ import annotations

import argparse
import random
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import jiwer
import numpy as np

from benchmarks.pairs import pairs
from benchmarks.record import write_table
from evaluation.metrics import IntArray, WordErrors, pooled, utterance_counts
from tests.sclite import Sctk, counts_of_sclite, fetch_sctk
from voiceforge.settings import load_settings

_COMMAND = "python -m benchmarks.agreement"
_RATES = (0.05, 0.1, 0.2, 0.4)
_RANDOM = 10_000
_SEED = 6

AGREEMENT = "Agreement with jiwer and sclite"
CONVENTIONS = "What sclite counts otherwise"


@dataclass(frozen=True)
class Texts:
    """Pairs of texts, and what they are."""

    name: str
    references: list[str]
    hypotheses: list[str]


@dataclass(frozen=True)
class Compared:
    """Counts [n, 4] of all utterances by four hands."""

    texts: Texts
    ours: IntArray
    jiwers: IntArray
    ours_as_sclite: IntArray
    sclites: IntArray

    def agreement(self) -> tuple[str, ...]:
        """Utterances whose counts are not the same."""
        words = f"{pooled(self.ours).words:,}"
        others = (_different(self.ours, self.jiwers), _different(self.ours_as_sclite, self.sclites))
        return (self.texts.name, f"{len(self.ours):,}", words, *map(str, others))

    def conventions(self) -> tuple[str, ...]:
        """Both conventions beside each other."""
        fewest, sclite = pooled(self.ours), pooled(self.sclites)
        return (
            self.texts.name,
            f"{_different(self.ours, self.sclites):,} of {len(self.ours):,}",
            _told(fewest),
            _told(sclite),
            f"{100 * (sclite.rate - fewest.rate):+.3f}",
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--write", action="store_true", help="write docs/metrics.md")
    given = parser.parse_args()
    settings = load_settings()
    sctk = fetch_sctk(settings.cache)
    compared = [compare(texts, sctk) for texts in all_texts(settings.cache)]
    tables = {
        AGREEMENT: (
            ("texts", "utterances", "words", "counted otherwise than by jiwer", "than by sclite"),
            [one.agreement() for one in compared],
        ),
        CONVENTIONS: (
            ("texts", "utterances with other counts", "fewest errors: S + D + I, hits",
             "sclite: S + D + I, hits", "difference in word error rate, points"),
            [one.conventions() for one in compared],
        ),
    }  # fmt: skip
    note = f"`{_COMMAND}`, jiwer {version('jiwer')}, SCTK of Debian."
    for title, (header, rows) in tables.items():
        print(title, header, *rows, sep="\n")
        if given.write:
            write_table(settings.project / "docs" / "metrics.md", title, note, header, rows)


def all_texts(cache: Path) -> Iterator[Texts]:
    """Real texts with more and more errors, and random ones, whose words often repeat."""
    for rate in _RATES:
        name = f"telephone prompts in five languages, errors at {rate:.0%} of the words"
        yield Texts(name, *pairs(cache, rate=rate, seed=_SEED))
    chance = random.Random(_SEED)
    words = ["a", "b", "c", "d", "e"]

    def some(least: int) -> list[str]:
        lengths = (chance.randint(least, 15) for _ in range(_RANDOM))
        return [" ".join(chance.choices(words, k=length)) for length in lengths]

    yield Texts("random texts of five words", some(1), some(0))


def compare(texts: Texts, sctk: Sctk) -> Compared:
    """Count every utterance four times."""
    both: tuple[Sequence[str], Sequence[str]] = texts.references, texts.hypotheses
    with tempfile.TemporaryDirectory() as folder:
        sclites = counts_of_sclite(sctk, *both, folder=Path(folder))
    return Compared(
        texts,
        ours=utterance_counts(*both),
        jiwers=_jiwers(*both),
        ours_as_sclite=utterance_counts(*both, convention="sclite"),
        sclites=sclites,
    )


def _jiwers(references: Sequence[str], hypotheses: Sequence[str]) -> IntArray:
    found = map(jiwer.process_words, references, hypotheses)
    rows = [(one.substitutions, one.deletions, one.insertions, one.hits) for one in found]
    return np.array(rows, dtype=np.int64)


def _different(one: IntArray, other: IntArray) -> int:
    return int((one != other).any(axis=1).sum())


def _told(errors: WordErrors) -> str:
    parts = (errors.substitutions, errors.deletions, errors.insertions)
    return f"{' + '.join(f'{part:,}' for part in parts)}, {errors.hits:,} ({errors.rate:.2%})"


if __name__ == "__main__":
    main()
