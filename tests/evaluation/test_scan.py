"""Slices: how they are cut, when they are judged, and the worst of them under chance."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.utterance import Utterance
from evaluation.comparison import Slice
from evaluation.cuts import Bins, Facts, cut, facts_of, in_order
from evaluation.forgetting import forgetting
from evaluation.gaps import largest_gap, largest_loss, slice_sums
from evaluation.multiple import holm
from evaluation.pairing import matched_pairs, paired_rows
from evaluation.scan import scan
from evaluation.scanned import Question, Scan
from evaluation.slices import Resampling, Scored, compare
from evaluation.units import choose_units

RESAMPLING = Resampling(confidence=0.95, resamples=2000, seed=1)
ACCENTS = ("en-gb", "en-in", "en-us")


def rows(
    wrong: Sequence[float], *, seed: int, speakers: int = 36, clips: int = 900
) -> list[Scored]:
    """Clips of three accents, heard with a share of wrong words for each accent."""
    texts, chance = random.Random(0), random.Random(seed)
    found = []
    for index in range(clips):
        words = [texts.choice("abcdefgh") for _ in range(texts.randint(4, 12))]
        accent = index % 3
        said = [word if chance.random() >= wrong[accent] else "x" for word in words]
        utterance = Utterance(
            id=f"{index:04d}", audio="", duration=len(words) / (1 + index % 4),
            text=" ".join(words), language="en", accent=ACCENTS[accent],
            speaker=f"s{index % speakers}", domain="d", source="here", licence="CC0-1.0",
            consent="granted", split="test", is_synthetic=index % 3 == 2, audio_sha256="",
        )  # fmt: skip
        errors = sum(x != y for x, y in zip(words, said, strict=True))
        found.append(Scored(utterance, " ".join(words), " ".join(said), errors, len(words)))
    return found


def scanned(candidate: list[Scored], baseline: list[Scored] | None, question: Question) -> Scan:
    snr = {row.utterance.id: float(place % 35) for place, row in enumerate(candidate) if place % 9}
    facts = facts_of([row.utterance for row in candidate], [row.words for row in candidate], snr)
    return scan(candidate, baseline, facts, resampling=RESAMPLING, question=question)


@pytest.fixture(scope="module")
def found() -> Scan:
    return scanned(rows((0.1, 0.3, 0.1), seed=1), rows((0.1, 0.1, 0.1), seed=2), Question())


def test_the_accent_that_got_worse_is_found(found: Scan) -> None:
    accents = found.dimensions[0]
    assert [one.name for one in accents.slices] == ["en-gb", "en-in", "en-us, synthetic"]
    answers = [(one.verdict.answer if one.verdict else "") for one in accents.slices]
    assert answers[1] == "worse"
    assert "worse" not in (answers[0], answers[2])
    assert accents.slices[1].stands
    assert accents.gap is not None
    assert accents.loss is not None
    assert accents.gap.highest == accents.loss.highest == "en-in"
    assert accents.gap.could_be_highest == accents.loss.could_be_highest == ("en-in",)
    assert 0.1 < accents.gap.low < accents.gap.value < accents.gap.high < 0.3
    assert 0.1 < accents.loss.low < 0.2 < accents.loss.high < 0.3
    assert max(accents.gap.p_value, accents.loss.p_value) < 0.001


def test_every_dimension_holds_every_utterance_or_says_what_is_unknown(found: Scan) -> None:
    for one in found.dimensions:
        assert sum(part.utterances for part in one.slices) + one.unknown == 900
    assert {one.dimension: one.unknown for one in found.dimensions}["snr"] == 100
    named = {one.dimension: one for one in found.dimensions}
    assert [part.name for part in named["snr"].slices] == [
        "under 5 dB", "5 to 10 dB", "10 to 20 dB", "20 to 30 dB", "30 dB and more"
    ]  # fmt: skip
    assert [part.name for part in named["kind"].slices] == ["human", "synthetic"]


def test_p_values_are_holms_over_all_judged_slices_but_everything(found: Scan) -> None:
    tested = [part for one in found.dimensions for part in one.slices if part.p_holm is not None]
    assert found.tests == len(tested)
    assert [part.p_holm for part in tested] == list(holm([part.p_value or 0 for part in tested]))
    source = next(one for one in found.dimensions if one.dimension == "source")
    assert source.slices[0].utterances == 900
    assert source.slices[0].p_holm is None
    assert source.gap is source.loss is None
    assert "can find nothing" not in found.remark or found.tests > 50


def test_a_slice_too_small_says_why_and_is_no_worst_slice() -> None:
    question = Question(words=1500, texts=200, speakers=13)
    base = rows((0.1, 0.1, 0.1), seed=2)
    candidate = [
        replace(row, errors=row.words) if row.utterance.duration < 2.0 else row
        for row in rows((0.1, 0.1, 0.1), seed=1)
    ]
    named = {one.dimension: one for one in scanned(candidate, base, question).dimensions}
    small = [part for part in named["duration"].slices if part.too_small]
    assert small[0].name == "under 2 s"
    assert "1,500 words" in small[0].too_small
    assert (small[0].verdict, small[0].p_holm) == (None, None)
    assert small[0].candidate is not None
    assert named["duration"].gap is not None
    assert "under 2 s" not in named["duration"].gap.could_be_highest
    assert all("of 13 speakers" in part.too_small for part in named["accent"].slices)
    assert named["accent"].gap is None


def test_slices_of_few_speakers_claim_nothing_of_others(found: Scan) -> None:
    named = {one.dimension: one for one in found.dimensions}
    assert "holds for other speakers" in found.overall.claim
    gap = (
        scanned(rows((0.1, 0.1, 0.1), seed=1, speakers=12), None, Question(words=100))
        .dimensions[1]
        .gap
    )
    assert gap is not None
    assert "says nothing of other speakers" in gap.claim
    assert all("this one speaker" in part.claim for part in named["speaker"].slices)


def test_one_model_alone_has_rates_and_gaps_and_no_answers() -> None:
    alone = scanned(rows((0.1, 0.2, 0.1), seed=1), None, Question())
    assert alone.tests == 0
    assert alone.overall.candidate is not None
    assert alone.overall.difference is alone.overall.verdict is None
    assert alone.dimensions[0].gap is not None
    assert alone.dimensions[0].loss is None


def test_over_texts_a_slice_has_the_figures_of_the_certificate() -> None:
    ours, theirs = rows((0.1, 0.2, 0.1), seed=1, speakers=4), rows((0.1,) * 3, seed=2, speakers=4)
    part = scanned(ours, theirs, Question()).dimensions[0].slices[1]
    certified = compare(ours, theirs, Slice("accent", "en-in", False), RESAMPLING)
    assert certified is not None
    assert part.difference is not None
    same = ("value", "low", "high", "words", "utterances", "speakers")
    assert [getattr(part.difference, name) for name in same] == [
        getattr(certified.difference, name) for name in same
    ]


@pytest.mark.parametrize("per_slice", [10, 25])
def test_the_largest_gap_holds_where_there_is_none(per_slice: int) -> None:
    """Six equal slices: 95% intervals hold the true gap of zero; the plain bootstrap never does."""
    slices, clips, held, plain, false, trials = 6, 10, 0, 0, 0, 150
    for trial in range(trials):
        generator = np.random.default_rng(trial)
        speakers = np.repeat(np.arange(slices * per_slice), clips)
        words = generator.integers(3, 15, len(speakers))
        errors = generator.binomial(words, generator.beta(1.2, 10.8, slices * per_slice)[speakers])
        units = choose_units(speakers.tolist(), range(len(speakers)), words)
        columns = [(errors, words, speakers % slices, slices)]
        (sums,) = slice_sums(columns, units, resamples=500, seed=10**6 + trial)
        gap = largest_gap(sums, [f"{index}" for index in range(slices)], units, confidence=0.95)
        held += gap.low == 0.0
        false += gap.p_value <= 0.05
        spans = np.ptp(sums.resampled, axis=1)
        plain += float(np.quantile(spans, 0.025)) <= 0.0
    assert held / trials >= 0.93
    assert false / trials <= 0.07
    assert plain == 0


def test_a_gap_is_that_of_the_numbers_given() -> None:
    words, labels = np.full(400, 10), np.arange(400) % 4
    errors = np.asarray([1, 2, 3, 6])[labels] + (np.arange(400) // 4 % 2)
    units = choose_units([f"{index % 40}" for index in range(400)], range(400), words)
    (sums,) = slice_sums([(errors, words, labels, 4)], units, resamples=500, seed=1)
    assert sums.values == pytest.approx([0.15, 0.25, 0.35, 0.65])
    gap = largest_gap(sums, list("abcd"), units, confidence=0.95)
    assert (gap.highest, gap.lowest, gap.value) == ("d", "a", pytest.approx(0.5))
    assert gap.low <= 0.5 <= gap.high
    loss = largest_loss(sums, list("abcd"), units, confidence=0.95)
    assert (loss.highest, loss.lowest, loss.value) == ("d", "", pytest.approx(0.65))
    with pytest.raises(ValueError, match="at least two"):
        largest_gap(sums, ["a"], units, confidence=0.95)


@given(st.floats(0.0, 1000.0), st.floats(-30.0, 90.0), st.integers(0, 60), st.booleans())
def test_every_value_falls_into_one_bin_in_order(
    duration: float, snr: float, words: int, synthetic: bool
) -> None:
    fact = Facts("en", "s", "en", "here", synthetic, duration, snr, words)
    bins = Bins(duration=(1.0, 5.0), snr=(0.0, 10.0, 20.0), speaking_rate=(2.0,))
    (length,) = cut([fact], "duration", bins)
    every = in_order(["5 s and more", "under 1 s", "1 to 5 s"], "duration", bins)
    assert every == ["under 1 s", "1 to 5 s", "5 s and more"]
    assert length == every[(duration >= 1.0) + (duration >= 5.0)]
    (rate,) = cut([fact], "speaking rate", bins)
    if duration:
        assert rate == ("under 2 words/s" if words / duration < 2.0 else "2 words/s and more")
    else:
        assert rate is None


@pytest.mark.parametrize("edges", [(), (2.0, 1.0), (1.0, 1.0), (1.0, float("inf"))])
def test_bins_that_are_not_ascending_are_refused(edges: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match="ascending"):
        Bins(duration=edges)


def test_models_that_did_not_hear_the_same_are_refused() -> None:
    ours, theirs = rows((0.1,) * 3, seed=1), rows((0.2,) * 3, seed=2)
    assert paired_rows(ours, theirs[::-1])[1] == theirs
    with pytest.raises(ValueError, match=r"3 utterances were heard by one model only.*'0000'"):
        paired_rows(ours, theirs[3:])
    assert len(paired_rows(ours, theirs[3:], shared_only=True)[0]) == 897
    with pytest.raises(ValueError, match="share no utterance"):
        paired_rows(ours[:3], theirs[3:], shared_only=True)
    with pytest.raises(ValueError, match="more than one prediction"):
        paired_rows(ours, [*theirs, theirs[0]])
    with pytest.raises(ValueError, match="different references for 1 utterances"):
        paired_rows(ours, [replace(theirs[0], reference="other"), *theirs[1:]])
    with pytest.raises(ValueError, match="in one order"):
        scanned(ours, theirs[::-1], Question())
    assert matched_pairs(ours, theirs).p_value < 1e-6


def test_without_words_there_is_nothing_to_scan() -> None:
    empty = [replace(row, words=0, errors=0) for row in rows((0.0,) * 3, seed=1, clips=30)]
    nothing = scanned(empty, empty, Question())
    assert nothing.overall.candidate is None
    assert "0 of 300 words" in nothing.overall.too_small


def test_a_language_is_kept_forgotten_or_cannot_be_told() -> None:
    """The same model twice, a worse one, a better one, and too few words to say."""
    base = rows((0.1,) * 3, seed=1)
    worse, better = rows((0.2,) * 3, seed=2), rows((0.02,) * 3, seed=3)
    question = Question(margin=0.02)
    told = forgetting(
        {"de": (base, base), "fr": (worse, base), "it": (better, base), "ru": (base[:4], base[:4])},
        resampling=RESAMPLING,
        question=question,
    )
    assert {one.language: one.outcome for one in told.languages} == {
        "de": "kept", "fr": "forgot", "it": "improved", "ru": "cannot tell"
    }  # fmt: skip
    assert told.outcome == "forgot"
    assert told.text == "Forgot fr; Cannot tell for ru; Kept de; Improved it."
    assert "of 300 words" in told.languages[3].text
    drawn = {"resampling": RESAMPLING, "question": question}
    assert forgetting({"de": (base, base)}, **drawn).outcome == "kept"
    noisy = rows((0.1,) * 3, seed=12, clips=150)
    drawn["question"] = Question(margin=0.001)
    (unsure,) = forgetting({"de": (noisy, base[:150])}, **drawn).languages
    assert unsure.outcome == "cannot tell"
    assert "are needed" in unsure.text or "found" in unsure.text
    with pytest.raises(ValueError, match="no language"):
        forgetting({}, **drawn)
