"""What the statistics of a comparison cost: resamples, and everything about 10,000 utterances.

Times are of the processor, all threads together: what one core would take. A small comparison
goes first, so that importing libraries is not timed.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import TypeVar

import numpy as np

from benchmarks.record import Row
from benchmarks.simulated_speakers import IntArray, Speech, conversation
from data.utterance import Utterance
from evaluation.cuts import Facts, facts_of
from evaluation.mapsswe import Mapsswe
from evaluation.pairing import matched_pairs, paired_rows
from evaluation.scan import scan
from evaluation.significance import paired_bootstrap
from evaluation.slices import Resampling, Scored
from voiceforge.memory import peak_memory

T = TypeVar("T")

UTTERANCES = 10_000
RESAMPLES = 10_000
_ACCENTS = ("en-us", "en-gb", "en-gb-scotland", "en-in", "en-029", "en-au", "en-za", "en-ie")


def measure(utterances: int = UTTERANCES, resamples: int = RESAMPLES) -> Iterator[Row]:
    """The bootstrap over utterances, then all statistics over many speakers and over few."""
    small = _speech(400, speakers=100)
    pair = _scored(small, small.a), _scored(small, small.b)
    _matched(*pair)
    scan(*pair, _facts(pair[0]), resampling=Resampling(0.95, 100, 1))
    speech = _speech(utterances, speakers=100)
    rests_on = f"{resamples:,} resamples of {len(speech.words):,} utterances, two models, one core"
    seconds, _ = _timed(
        lambda: paired_bootstrap(
            speech.a, speech.b, speech.words, speech.texts,
            confidence=0.95, resamples=resamples, seed=1,
        )
    )  # fmt: skip
    yield Row("bootstrap of both rates, difference and reduction", f"{seconds:.2f} s", rests_on)
    for speakers in (100, 4):
        speech = _speech(utterances, speakers)
        rests_on = f"{len(speech.words):,} utterances, {speakers} speakers, {resamples:,} resamples"
        candidate, baseline = _scored(speech, speech.a), _scored(speech, speech.b)
        seconds, _ = _timed(partial(_matched, candidate, baseline))
        yield Row("MAPSSWE, alignments included", f"{seconds:.2f} s", rests_on)
        drawn = partial(scan, resampling=Resampling(0.95, resamples, 1))
        seconds, found = _timed(partial(drawn, candidate, baseline, _facts(candidate)))
        slices = sum(len(one.slices) for one in found.dimensions)
        yield Row(
            f"all of {slices} slices: intervals, power, Holm, worst, gap",
            f"{seconds:.2f} s",
            rests_on,
        )
        yield Row("peak memory of the process so far", f"{peak_memory() / 1e6:.0f} MB", rests_on)


def _speech(utterances: int, speakers: int) -> Speech:
    return conversation(3, speakers=speakers, utterances=-(-utterances // speakers))


def _scored(speech: Speech, errors: IntArray) -> list[Scored]:
    """Clips whose hypotheses have just so many wrong words (or, past their length, added ones)."""
    rows = []
    for index, (speaker, words, wrong) in enumerate(
        zip(speech.speakers.tolist(), speech.words.tolist(), errors.tolist(), strict=True)
    ):
        reference = [f"w{index}", *(f"v{place}" for place in range(1, words))]
        places = set(np.random.default_rng(index).permutation(words)[:wrong].tolist())
        said = ["x" if place in places else word for place, word in enumerate(reference)]
        utterance = Utterance(
            id=str(index), audio="", duration=words / (1.0 + index % 4), text=" ".join(reference),
            language="en", accent=_ACCENTS[speaker % 8], speaker=f"s{speaker}", domain="d",
            source=f"source-{speaker % 3}", licence="CC0-1.0", consent="granted", split="test",
            is_synthetic=speaker % 4 == 0, audio_sha256="",
        )  # fmt: skip
        extra = ["y"] * max(0, wrong - words)
        rows.append(Scored(utterance, " ".join(reference), " ".join(said + extra), wrong, words))
    return rows


def _facts(rows: list[Scored]) -> tuple[Facts, ...]:
    return facts_of(
        [row.utterance for row in rows],
        [row.words for row in rows],
        {row.utterance.id: index % 40 for index, row in enumerate(rows)},
    )


def _matched(candidate: list[Scored], baseline: list[Scored]) -> Mapsswe:
    return matched_pairs(*paired_rows(candidate, baseline))


def _timed(work: Callable[[], T]) -> tuple[float, T]:
    """Seconds of processor time that the work takes, of all its threads together."""
    start = time.process_time()
    found = work()
    return time.process_time() - start, found
