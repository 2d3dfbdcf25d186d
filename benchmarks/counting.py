"""How long counting errors takes beside jiwer, on the same pairs, taking turns."""

from __future__ import annotations

import itertools
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from benchmarks.pairs import pairs
from benchmarks.record import Row
from evaluation.metrics import character_counts, pooled, utterance_counts

_ROUNDS = 5
_RATES = (0.05, 0.1, 0.2, 0.4)
"""Shares of wrong words, by turns: good and bad recognisers."""


def measure(cache: Path, count: int) -> Iterator[Row]:
    """Seconds of CPU of jiwer and of ours, for words, characters and both.

    Args:
        cache: where the prompts lie or are fetched to.
        count: pairs.
    """
    import jiwer

    references, hypotheses = many_pairs(cache, count)
    words = sum(len(text.split()) for text in references)
    rests = f"{count:,} pairs, {words:,} words, {_ROUNDS} rounds"

    def words_of_ours() -> float:
        errors = pooled(utterance_counts(references, hypotheses))
        return errors.rate + errors.match_error_rate + errors.information_lost

    ours: list[Callable[[], object]] = [
        words_of_ours,
        lambda: pooled(character_counts(references, hypotheses)).rate,
    ]
    theirs: list[Callable[[], object]] = [
        lambda: jiwer.process_words(references, hypotheses),
        lambda: jiwer.process_characters(references, hypotheses),
    ]
    sclite = seconds([lambda: utterance_counts(references, hypotheses, "sclite")])[0]
    here, there = [], []
    for what, our, their in zip(("words", "characters"), ours, theirs, strict=True):
        mine, others = seconds([our, their])
        here.append(mine)
        there.append(others)
        yield Row(f"jiwer, pooled counts of {what}", f"{others:.2f} s", rests)
        yield Row(f"counts of {what} of every utterance", f"{mine:.2f} s", rests)
    yield Row("all counts, against jiwer's time", f"{sum(here) / sum(there):.2f} x", rests)
    yield Row("counts of words of every utterance, sclite's costs", f"{sclite:.2f} s", rests)


def many_pairs(cache: Path, count: int) -> tuple[list[str], list[str]]:
    """So many pairs of real texts, each time with other errors, good and bad recognition mixed."""
    references: list[str] = []
    hypotheses: list[str] = []
    for seed, rate in enumerate(itertools.cycle(_RATES)):
        texts = pairs(cache, rate=rate, seed=seed)
        references += texts[0]
        hypotheses += texts[1]
        if len(references) >= count:
            return references[:count], hypotheses[:count]
    raise AssertionError("a cycle has no end")


def seconds(calls: list[Callable[[], object]]) -> list[float]:
    """Median seconds of CPU of each call, which take turns."""
    taken: list[list[float]] = [[] for _ in calls]
    for _ in range(_ROUNDS):
        for call, times in zip(calls, taken, strict=True):
            start = time.process_time()
            call()
            times.append(time.process_time() - start)
    return [statistics.median(times) for times in taken]
