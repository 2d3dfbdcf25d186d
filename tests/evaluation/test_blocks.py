"""Intervals over speakers: what is drawn, what is claimed, and how often they hold."""

from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np
import pytest
import statsmodels.api as sm
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.simulated_speakers import TRUE_DIFFERENCE, TRUE_RATE, Speech, conversation
from evaluation import studentised
from evaluation.blocks import Paired, paired, rate
from evaluation.resampling import by_cluster, draw, resampled_sums
from evaluation.significance import bootstrap_rate, paired_bootstrap
from evaluation.slices import text_labels
from evaluation.studentised import ClusterDraws, jackknife_error, multiway_widening
from evaluation.units import choose_units

DRAWN = {"confidence": 0.95, "resamples": 1000, "seed": 3}


def compared(speech: Speech) -> Paired:
    units = choose_units(speech.speakers.tolist(), speech.texts.tolist(), speech.words)
    return paired(speech.a, speech.b, speech.words, units, **DRAWN)


@pytest.mark.parametrize("uneven", [False, True])
def test_95_percent_intervals_over_30_speakers_hold_93_to_97_percent(uneven: bool) -> None:
    rate_b, difference = TRUE_RATE, TRUE_DIFFERENCE
    hits, trials = np.zeros(3), 0
    for trial in range(700):
        found = compared(conversation(trial, speakers=30, uneven=uneven))
        if found.units.kind != "speaker":  # of a few draws one speaker says nearly everything
            continue
        trials += 1
        low, high = found.difference.interval.low, found.difference.interval.high
        hits += (
            found.b.interval.low <= rate_b <= found.b.interval.high,
            low <= difference <= high,
            (found.p_value <= 0.05) == (low > 0.0 or high < 0.0),
        )
    assert (hits[:2] / trials >= 0.93).all()
    assert (hits[:2] / trials <= 0.97).all()
    assert hits[2] / trials > 0.99  # the p-value belongs to the interval


def test_drawing_texts_would_claim_too_much_of_other_speakers() -> None:
    rate_b = TRUE_RATE
    held = 0
    for trial in range(200):
        speech = conversation(trial, speakers=30)
        found = bootstrap_rate(speech.b, speech.words, speech.texts, **DRAWN)
        held += found.low <= rate_b <= found.high
    assert held / 200 < 0.75


def test_speakers_who_share_texts_need_wider_intervals() -> None:
    """Without the texts' share the interval over speakers holds too seldom; with it, it holds."""
    rate_b = TRUE_RATE
    held, narrow, trials = 0, 0, 300
    for trial in range(trials):
        speech = conversation(trial, speakers=30, shared_texts=15)
        found = compared(speech)
        assert found.units.is_crossed
        assert "shared texts" in found.b.method
        held += found.b.interval.low <= rate_b <= found.b.interval.high
        alone = choose_units(speech.speakers.tolist(), range(len(speech.words)), speech.words)
        plain = rate(speech.b, speech.words, alone, **DRAWN).interval
        narrow += plain.low <= rate_b <= plain.high
    assert narrow / trials < 0.9 <= held / trials <= 0.98


@pytest.mark.parametrize(("speakers", "kind", "says"), [
    (30, "speaker", "holds for other speakers like these."),
    (12, "speaker", "fewer than 30 speakers"),
    (9, "utterance", "9 speakers are too few to stand for others"),
    (1, "utterance", "holds for this one speaker"),
])  # fmt: skip
def test_what_is_drawn_is_said(speakers: int, kind: str, says: str) -> None:
    found = compared(conversation(1, speakers=speakers))
    assert found.units.kind == kind
    assert says in found.units.claim
    assert f" of {found.units.count:,} {kind}" in found.difference.method


def test_a_speaker_who_says_nearly_everything_makes_many_speakers_few() -> None:
    speakers = [0] * 900 + list(range(1, 40))
    units = choose_units(speakers, range(len(speakers)), [5] * len(speakers))
    assert (units.kind, units.speakers) == ("utterance", 40)
    assert units.effective_speakers < 2
    assert "worth 1.1 equal ones" in units.claim


def test_texts_spoken_by_several_voices_are_drawn_as_texts() -> None:
    speech = conversation(2, speakers=4, utterances=40, shared_texts=25)
    found = compared(speech)
    assert (found.units.kind, found.units.count) == ("text", len(np.unique(speech.texts)))
    assert found.units.count < len(speech.texts) / 4
    labels = text_labels([SimpleNamespace(reference=text) for text in speech.texts])
    same = paired_bootstrap(speech.a, speech.b, speech.words, labels, **DRAWN)
    assert found.difference.interval == same.difference
    assert found.p_value == same.two_sided


def test_a_rate_alone_is_the_rate_of_the_pair() -> None:
    speech = conversation(5, speakers=33)
    found = compared(speech)
    assert rate(speech.a, speech.words, found.units, **DRAWN) == found.a


def test_standard_errors_are_those_of_statsmodels() -> None:
    """Sandwich estimates of a weighted mean, clustered one way and two ways."""
    speech = conversation(7, speakers=40, shared_texts=30)
    rates, ones = speech.b / speech.words, np.ones(len(speech.words))
    fit = sm.WLS(rates, ones, weights=speech.words).fit()

    def theirs(groups: np.ndarray) -> float:
        kwargs = {"groups": groups, "use_correction": False}
        return float(fit.get_robustcov_results("cluster", **kwargs).bse[0])

    one = theirs(speech.speakers)
    two = theirs(np.column_stack([speech.speakers, speech.texts]))
    widening = multiway_widening(speech.b, speech.words, speech.speakers, speech.texts)
    assert widening == pytest.approx(two / one, rel=1e-9)
    table, _ = by_cluster(speech.speakers, speech.a, speech.b, speech.words)
    ours = jackknife_error(table, studentised.RATE_B)
    assert ours == pytest.approx(one, rel=0.05)  # the jackknife is a little larger
    assert ours > one


def test_the_studentised_interval_is_that_of_its_textbook_loop() -> None:
    speech = conversation(11, speakers=20)
    table, _ = by_cluster(speech.speakers, speech.a, speech.b, speech.words)
    found = ClusterDraws(table, resamples=400, seed=9).ratio(studentised.DIFFERENCE, confidence=0.9)
    generator, scores, count = np.random.default_rng(9), [], len(table)
    gain, words = table[:, 0] - table[:, 1], table[:, 2]
    value = gain.sum() / words.sum()
    for row in generator.integers(0, count, size=(400, count), dtype=np.int32):
        drawn = gain[row].sum() / words[row].sum()
        residuals = gain[row] - drawn * words[row]
        error = math.sqrt(np.sum(residuals**2) * count / (count - 1)) / words[row].sum()
        scores.append((drawn - value) / error)
    left_out = [(gain.sum() - gain[k]) / (words.sum() - words[k]) - value for k in range(count)]
    jackknife = math.sqrt((count - 1) / count * np.sum(np.square(left_out)))
    lowest, highest = np.quantile(scores, (0.05, 0.95), method="nearest")
    assert found is not None
    jackknife *= math.sqrt(1 / (1 - np.sum(words**2) / words.sum() ** 2))
    assert found.standard_error == pytest.approx(jackknife)
    assert (found.low, found.high) == pytest.approx(
        (value - highest * jackknife, value - lowest * jackknife)
    )
    beyond = min(
        sum(score >= value / jackknife for score in scores),
        sum(score <= value / jackknife for score in scores),
    )
    assert found.p_value == pytest.approx(2 * (1 + beyond) / 402)


def test_hardly_any_speaker_with_an_error_is_left_to_bca() -> None:
    speech = conversation(3, speakers=40)
    a = np.zeros_like(speech.a)
    a[np.flatnonzero(speech.speakers == 5)] = 1
    units = choose_units(speech.speakers.tolist(), speech.texts.tolist(), speech.words)
    found = rate(a, speech.words, units, **DRAWN)
    assert found.method == "BCa bootstrap, 1000 resamples of 40 speakers"
    none = rate(np.zeros_like(a), speech.words, units, **DRAWN)
    assert none.method == "Clopper-Pearson, none in 40 speakers"
    assert none.interval.low == 0.0 < none.interval.high
    assert paired(a, a, speech.words, units, **DRAWN).p_value == 1.0


def test_all_words_wrong_is_an_interval_of_its_own_value() -> None:
    speech = conversation(3, speakers=40)
    units = choose_units(speech.speakers.tolist(), speech.texts.tolist(), speech.words)
    found = rate(speech.words, speech.words, units, **DRAWN).interval
    assert (found.value, found.low, found.high) == (1.0, 1.0, 1.0)


@settings(max_examples=40)
@given(st.integers(0, 10_000), st.sampled_from([12, 35]))
def test_swapping_the_models_mirrors_the_difference(seed: int, speakers: int) -> None:
    speech = conversation(seed, speakers=speakers)
    units = choose_units(speech.speakers.tolist(), speech.texts.tolist(), speech.words)
    drawn = {"confidence": 0.9, "resamples": 200, "seed": 1}
    one = paired(speech.a, speech.b, speech.words, units, **drawn)
    two = paired(speech.b, speech.a, speech.words, units, **drawn)
    ours, theirs = one.difference.interval, two.difference.interval
    # The nearest resample to a level may be the one on its other side.
    assert ours.value == pytest.approx(-theirs.value)
    assert ours.low == pytest.approx(-theirs.high, abs=0.3 * (ours.high - ours.low))
    assert one.p_value == pytest.approx(two.p_value, abs=0.02)
    assert one.a == two.b


@settings(max_examples=30)
@given(st.integers(1, 40), st.integers(1, 6), st.integers(0, 1 << 33), st.integers(0, 99))
def test_both_ways_to_draw_are_one(rows: int, columns: int, most: int, seed: int) -> None:
    """Sums packed into 64 bits, sums by matrices, and the plain ones, whatever their size."""
    table = np.random.default_rng(seed).integers(0, most + 1, (rows, columns)).astype(np.float64)
    packed, by_matrix = draw(table, 50, seed).resampled, resampled_sums(table, 50, seed)
    drawn = np.random.default_rng(seed).integers(0, rows, size=(50, rows), dtype=np.int32)
    plain = table[drawn].sum(axis=1)
    assert (packed == plain).all()
    assert by_matrix == pytest.approx(plain, rel=1e-12)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((["a"], ["x", "y"], [3, 3]), "same length"),
        (([], [], []), "no utterances"),
    ],
)
def test_bad_units_are_refused(arguments: tuple[list[str], ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        choose_units(*arguments)


def test_counts_that_are_not_whole_are_refused() -> None:
    with pytest.raises(ValueError, match="whole numbers"):
        bootstrap_rate([0.5, 1], [4, 4], [0, 1], **DRAWN)  # type: ignore[list-item]
    with pytest.raises(ValueError, match="whole numbers"):
        bootstrap_rate([math.nan, 1], [4, 4], [0, 1], **DRAWN)  # type: ignore[list-item]
