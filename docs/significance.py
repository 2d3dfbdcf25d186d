"""Writes the figures of docs/significance.md: agreements, coverage, gaps and power.

Run it as `python -m docs.significance [TRIALS [TABLE...]]` in the repository (some minutes; a table
is `mapsswe`, `libraries`, `coverage`, `shared`, `gaps` or `power`, all without). It needs the extra
`dev` and fetches NIST's sctk once.
"""

from __future__ import annotations

import math
import re
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from scipy import stats
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.power import TTestPower

from benchmarks.pairs import pairs
from benchmarks.simulated_speakers import TRUE_DIFFERENCE, TRUE_RATE, Speech, conversation
from evaluation.blocks import Paired, paired
from evaluation.gaps import largest_gap, slice_sums
from evaluation.mapsswe import errors_of, mapsswe
from evaluation.metrics import align
from evaluation.multiple import holm
from evaluation.power import power_of
from evaluation.significance import bootstrap_rate, paired_bootstrap
from evaluation.units import Units, choose_units, numbered, text_units
from tests.evaluation.test_mapsswe import by_nist
from tests.sclite import Sctk, fetch_sctk
from voiceforge.files import write_text
from voiceforge.settings import load_settings

PAGE = Path(__file__).resolve().parent / "significance.md"
TRIALS = 800
_RESAMPLES = 1000


def main(trials: int, chosen: Sequence[str]) -> None:
    text = PAGE.read_text()
    tables: dict[str, Callable[[], str]] = {
        "mapsswe": mapsswe_table,
        "libraries": libraries_table,
        "coverage": lambda: coverage_table(trials),
        "shared": lambda: shared_table(trials),
        "gaps": lambda: gaps_table(trials),
        "power": lambda: power_table(trials),
    }
    for name in chosen or tables:
        text = filled(text, name, tables[name])
        write_text(PAGE, text)


def filled(text: str, name: str, table: Callable[[], str]) -> str:
    """The page with one table made anew.

    Raises:
        ValueError: the page lacks the table's markers.
    """
    block = re.compile(rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)", re.DOTALL)
    made = table()
    print(made)  # noqa: T201
    text, replaced = block.subn(lambda match: f"{match[1]}{made}{match[2]}", text)
    if replaced != 1:
        raise ValueError(f"{PAGE} must hold the markers of {name} once.")
    return text


def rows_of(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [f"| {' | '.join(header)} |", f"|{'|'.join(['---', *['---:'] * (len(header) - 1)])}|"]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in rows)]) + "\n"


def mapsswe_table() -> str:
    """sc_stats on sclite's alignments, ours on the same, and ours on our own alignments."""
    cache = load_settings().cache
    sctk = Sctk(fetch_sctk(cache) / "usr/lib/sctk/bin")
    rows = []
    for rate_a, rate_b in ((0.1, 0.1), (0.1, 0.12), (0.2, 0.25)):
        references, a = pairs(cache, rate=rate_a, seed=1)
        same, b = pairs(cache, rate=rate_b, seed=2)
        places = [
            index
            for index, (one, other) in enumerate(zip(references, same, strict=True))
            if one == other and one and one.isascii()
        ][:1500]
        spoken = [references[index] for index in places]
        said = {"one": [a[index] for index in places], "two": [b[index] for index in places]}
        with tempfile.TemporaryDirectory() as name:
            errors, (segments, mean, deviation, z, _) = by_nist(sctk, spoken, said, Path(name))
        on_theirs = mapsswe(errors["one"], errors["two"])
        own = [
            [errors_of(align(*pair)) for pair in zip(spoken, said[x], strict=True)] for x in said
        ]
        on_ours = mapsswe(*own)
        rows += [
            [
                who,
                f"{len(places):,}",
                f"{found[0]:,}",
                f"{found[1]:.3f}",
                f"{found[2]:.3f}",
                f"{found[3]:.3f}",
            ]
            for who, found in (
                ("sc_stats on sclite's alignments", (segments, mean, deviation, z)),
                (
                    "ours on sclite's alignments",
                    (on_theirs.segments, on_theirs.mean, on_theirs.deviation, on_theirs.z),
                ),
                (
                    "ours on alignments with the fewest errors",
                    (on_ours.segments, on_ours.mean, on_ours.deviation, on_ours.z),
                ),
            )
        ]
    return rows_of(["", "utterances", "segments", "mean", "deviation", "Z"], rows)


def libraries_table() -> str:
    """The largest disagreement over many random cases."""
    generator = np.random.default_rng(1)
    sets = [generator.random(generator.integers(1, 60)) ** 3 for _ in range(500)]
    holms = max(
        float(np.abs(np.asarray(holm(x.tolist())) - multipletests(x, method="holm")[1]).max())
        for x in sets
    )
    powers = [
        (power_of(d, 0.01, n, 0.95), TTestPower().power(d / 0.01 / math.sqrt(n), n, 0.05))
        for n in (2, 3, 5, 10, 30, 100, 1000)
        for d in (0.002, 0.01, 0.02, 0.03, 0.04)
    ]
    words = generator.integers(3, 15, 150)
    a, b = generator.binomial(words, 0.06), generator.binomial(words, 0.10)
    theirs = stats.bootstrap(
        (a, b, words),
        lambda a, b, n, axis: (a.sum(axis) - b.sum(axis)) / n.sum(axis),
        paired=True, vectorized=True, n_resamples=20_000, method="BCa", rng=generator,
    ).confidence_interval  # fmt: skip
    ours = paired_bootstrap(
        a, b, words, range(150), confidence=0.95, resamples=20_000, seed=5
    ).difference
    ends = max(abs(ours.low - theirs.low), abs(ours.high - theirs.high))
    return rows_of(
        ["what", "beside", "cases", "largest disagreement"],
        [
            ["Holm's adjusted p-values", "statsmodels `multipletests`", "500", f"{holms:.1e}"],
            [
                "power of a paired comparison",
                "statsmodels `TTestPower`",
                f"{len(powers)}",
                f"{max(abs(x - y) for x, y in powers):.1e}",
            ],
            [
                "BCa interval of a difference",
                "scipy `stats.bootstrap`, other draws",
                "20,000 resamples",
                f"{100 * ends:.3f} points",
            ],
        ],
    )


def coverage_table(trials: int) -> str:
    """How often 95% intervals hold the true figure for new speakers."""
    rows = []
    for speakers in (2, 5, 9, 10, 15, 20, 30, 60, 100):
        for uneven in (False, True) if speakers >= 10 else (False,):
            held, counted, drawn = np.zeros(4), 0, ""
            # Where intervals claim to hold, the table is sure to half a percent.
            for trial in range(4 * trials if speakers >= 30 else trials):
                speech = conversation(trial, speakers=speakers, uneven=uneven)
                found = compared(speech, trial)
                if speakers >= 10 and found.units.kind != "speaker":
                    continue
                counted += 1
                drawn = found.units.kind
                plain = bootstrap_rate(
                    speech.b, speech.words, speech.speakers,
                    confidence=0.95, resamples=_RESAMPLES, seed=10**6 + trial,
                )  # fmt: skip
                held += (
                    holds(found.b.interval.low, found.b.interval.high, TRUE_RATE),
                    holds(
                        found.difference.interval.low,
                        found.difference.interval.high,
                        TRUE_DIFFERENCE,
                    ),
                    holds(plain.low, plain.high, TRUE_RATE),
                    1,
                )
            rows.append(
                [
                    f"{speakers}{', uneven' if uneven else ''}",
                    drawn,
                    *(f"{100 * x / counted:.1f}%" for x in held[:3]),
                    f"{counted:,}",
                ]
            )
    header = ["speakers", "drawn", "rate", "difference", "rate, BCa over speakers", "trials"]
    return rows_of(header, rows)


def shared_table(trials: int) -> str:
    """Speakers who read the same texts."""
    rows = []
    for speakers, texts in ((30, 15), (30, 60), (60, 30)):
        held = np.zeros(3)
        for trial in range(trials):
            speech = conversation(trial, speakers=speakers, shared_texts=texts)
            who, what = numbered(speech.speakers.tolist()), numbered(speech.texts.tolist())
            alone = choose_units(who.tolist(), range(len(who)), speech.words)
            by_text = text_units(who, what, speech.words, "")
            for place, units in enumerate((None, alone, by_text)):
                found = compared(speech, trial, units)
                held[place] += holds(found.b.interval.low, found.b.interval.high, TRUE_RATE)
        rows.append([f"{speakers}", f"{texts}", *(f"{100 * x / trials:.1f}%" for x in held)])
    return rows_of(["speakers", "texts", "as chosen", "speakers alone", "texts alone"], rows)


def gaps_table(trials: int) -> str:
    """The largest gap between equal slices."""
    rows = []
    for slices, each in ((2, 15), (6, 8), (6, 12), (6, 30), (20, 12)):
        held, false, plain, count = 0, 0, 0, min(trials, 400)
        for trial in range(count):
            generator = np.random.default_rng(trial)
            who = np.repeat(np.arange(slices * each), 12)
            words = generator.integers(3, 15, len(who))
            errors = generator.binomial(words, generator.beta(1.2, 10.8, slices * each)[who])
            units = choose_units(who.tolist(), range(len(who)), words)
            (sums,) = slice_sums(
                [(errors, words, who % slices, slices)],
                units, resamples=_RESAMPLES, seed=10**6 + trial,
            )  # fmt: skip
            names = [str(index) for index in range(slices)]
            gap = largest_gap(sums, names, units, confidence=0.95)
            held += gap.low == 0.0
            false += gap.p_value <= 0.05
            spans = np.ptp(sums.resampled, axis=1)
            plain += float(np.quantile(spans, 0.025)) <= 0.0
        shares = (f"{100 * x / count:.1f}%" for x in (held, false, plain))
        rows.append([f"{slices}", f"{each}", *shares, f"{count}"])
    header = [
        "slices",
        "speakers each",
        "holds",
        "p at most 0.05",
        "plain bootstrap holds",
        "trials",
    ]
    return rows_of(header, rows)


def power_table(trials: int) -> str:
    """Power that the formula gives with the true standard error, and what is found."""
    rows = []
    for speakers in (15, 40, 120):
        every = [
            compared(conversation(trial, speakers=speakers), trial).difference
            for trial in range(min(trials, 500))
        ]
        spread = float(np.std([one.interval.value for one in every]))
        found = np.mean([one.interval.high < 0.0 or one.interval.low > 0.0 for one in every])
        promised = power_of(TRUE_DIFFERENCE, spread, speakers, 0.95)
        rows.append(
            [
                f"{speakers}",
                f"{100 * spread:.2f}",
                f"{100 * np.mean([one.standard_error for one in every]):.2f}",
                f"{100 * promised:.0f}%",
                f"{100 * found:.0f}%",
                f"{len(every)}",
            ]
        )
    header = ["speakers", "true standard error, points", "estimated", "power", "found", "trials"]
    return rows_of(header, rows)


def compared(speech: Speech, trial: int, units: Units | None = None) -> Paired:
    chosen = units or choose_units(speech.speakers.tolist(), speech.texts.tolist(), speech.words)
    return paired(
        speech.a, speech.b, speech.words, chosen,
        confidence=0.95, resamples=_RESAMPLES, seed=10**6 + trial,
    )  # fmt: skip


def holds(low: float, high: float, truth: float) -> bool:
    return low <= truth <= high


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else TRIALS, sys.argv[2:])
