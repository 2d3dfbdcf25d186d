"""What is invented, counted: by hand, by Whisper's own code, and within its promised intervals."""

from __future__ import annotations

import json
import math
import random

import numpy as np
import pytest
from faster_whisper.transcribe import get_compression_ratio
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from evaluation.hallucination import (
    LONGEST_PERIOD,
    LOOP_EXTRA,
    Hallucinations,
    Heard,
    Loop,
    find_loop,
    measure_hallucinations,
    repetitions,
    words_beyond,
)
from evaluation.whisper_bounds import MOST_COMPRESSION, compression_ratio

WORDS = st.lists(st.sampled_from(["press", "one", "no", "two"]), max_size=14)
PLAIN = "please enter your mailbox number followed by the pound key to leave a message"


def measured(*clips: Heard) -> Hallucinations:
    return measure_hallucinations(
        clips, characters_per_second=25.0, confidence=0.95, resamples=500, seed=1
    )


def quiet(name: str, hypothesis: str, seconds: float = 30.0) -> Heard:
    return Heard(name, "", hypothesis, seconds)


def test_words_on_audio_without_speech_are_counted_per_minute() -> None:
    found = measured(
        quiet("silence", "", 20.0),
        quiet("music", "thank you", 40.0),
        Heard("speech", "press one", "press one two", 60.0),
    )
    assert (found.speechless_minutes, found.minutes, found.invented_words) == (1.0, 2.0, 2)
    assert found.words_per_minute is not None
    assert found.words_per_minute.value == pytest.approx(2.0)
    assert found.clips_with_words is not None
    assert found.clips_with_words.value == 0.5


def test_nothing_invented_is_not_certainty() -> None:
    found = measured(*(quiet(str(number), "") for number in range(20)))
    assert found.words_per_minute is not None
    assert found.clips_with_words is not None
    # Garwood's exact upper end for no event of a Poisson process in ten minutes.
    assert found.words_per_minute.high == pytest.approx(stats.chi2.ppf(0.975, 2) / 2 / 10.0)
    exact = stats.binomtest(0, 20).proportion_ci(0.95, method="exact")
    assert (found.words_per_minute.low, found.clips_with_words.high) == (0.0, exact.high)


def test_the_same_word_on_every_clip_is_not_certainty() -> None:
    found = measured(*(quiet(str(number), "you", 15.0) for number in range(6))).words_per_minute
    assert found is not None
    # Garwood 1936: of 6 events the 95% interval is 2.202 to 13.06.
    assert (found.low, found.high) == (
        pytest.approx(2.202 / 1.5, abs=1e-3),
        pytest.approx(13.06 / 1.5, abs=1e-2),
    )


def test_words_per_minute_cover_the_truth_where_clips_differ() -> None:
    generator, hits, trials = np.random.default_rng(1), 0, 200
    for _ in range(trials):
        said = generator.binomial(1, 0.3, 80) * generator.geometric(0.2, 80)
        clips = [quiet(str(n), " ".join(["you"] * int(k)), 15.0) for n, k in enumerate(said)]
        interval = measured(*clips).words_per_minute
        assert interval is not None
        hits += interval.low <= 0.3 * 5.0 * 4.0 <= interval.high
    assert 0.90 <= hits / trials <= 0.99


def test_speech_alone_says_nothing_of_silence() -> None:
    found = measured(Heard("a", "press one", "press one", 2.0))
    assert (found.words_per_minute, found.clips_with_words) == (None, None)


def test_a_loop_is_found_with_its_period_and_repeats() -> None:
    assert find_loop(f"well {'thank you ' * 5}goodbye") == Loop(1, 2, 5)
    assert find_loop("la " * 40) == Loop(0, 1, 40)
    assert find_loop("i am sorry i cannot hear you " * 6) == Loop(0, 7, 6)


@pytest.mark.parametrize(
    ("hypothesis", "reference"),
    [
        ("thank you thank you thank you", ""),
        ("no no no no", "no no no no"),
        ("no no no no no no", "no no no no"),
        ("bye bye one two one two", ""),
        (PLAIN, ""),
        ("", ""),
    ],
)
def test_what_people_say_again_is_no_loop(hypothesis: str, reference: str) -> None:
    assert find_loop(hypothesis, reference) is None


def test_a_loop_over_what_was_repeated_is_a_loop() -> None:
    assert find_loop("no no no no no no no", "well no no no no") == Loop(0, 1, 7)
    assert find_loop("two one two one two one two one", "one two one two") is None
    assert find_loop("two one two one two one two one two one", "one two one two") is not None


@given(WORDS, st.integers(1, 5), st.integers(2, 6))
def test_a_run_said_many_times_is_found_whatever_is_around_it(
    around: list[str], period: int, extra: int
) -> None:
    run = [f"w{number}" for number in range(period)]
    repeats = LOOP_EXTRA + extra - 1
    loop = find_loop(" ".join(["start", *run * repeats, "end"]))
    assert loop == Loop(1, period, repeats)
    whole = find_loop(" ".join([*around, "start", *run * repeats, "end"]))
    assert whole is not None
    assert whole.words >= loop.words


@given(WORDS)
def test_repetitions_are_all_that_there_are(words: list[str]) -> None:
    found = {(one.start, one.period): one.repeats for one in repetitions(words)}
    for start, period in found:
        run = words[start : start + period]
        repeats = found[start, period]
        assert words[start : start + period * repeats] == run * repeats
        assert words[start + period * repeats :][:period] != run
        assert repeats >= 2
    covered = {
        place
        for (start, period), repeats in found.items()
        for place in range(start, start + period * repeats)
    }
    for place in range(len(words) - 1):
        if words[place] == words[place + 1]:
            assert {place, place + 1} <= covered


def test_a_random_text_has_no_loop_and_long_periods_are_still_seen() -> None:
    chance = random.Random(3)
    assert find_loop(" ".join(str(chance.randrange(50)) for _ in range(2000))) is None
    longest = " ".join(str(number) for number in range(LONGEST_PERIOD))
    assert find_loop(" ".join([longest] * 4)) == Loop(0, LONGEST_PERIOD, 4)


@given(st.text(max_size=300))
def test_the_compression_ratio_is_whispers(text: str) -> None:
    expected = get_compression_ratio(text) if text else 0.0
    assert compression_ratio(text) == expected


def test_whispers_bound_tells_loops_of_long_texts() -> None:
    assert compression_ratio(PLAIN) < 1.5 < MOST_COMPRESSION < compression_ratio("thank you " * 20)
    found = measured(quiet("loop", "thank you " * 20), quiet("short", "you you you you"))
    assert found.compressible == ("loop",)
    assert found.loops == ("loop", "short")
    assert found.looped_words == 44


def test_words_that_do_not_fit_into_the_time_are_counted() -> None:
    # 10 letters fit into one second at ten a second: "press one" has 8, "two" would make 11.
    assert words_beyond("press one two three", 1.0, 10.0) == 2
    assert words_beyond("press one", 1.0, 10.0) == 0
    assert words_beyond("", 0.1, 10.0) == 0
    found = measured(Heard("a", "yes", "word " * 40, 2.0), Heard("b", "yes", "yes", 2.0))
    assert found.words_beyond_rate == 40 - 12
    assert found.beyond_rate == ("a",)


@given(st.lists(st.sampled_from(["a", "bc", "def", "!"])), st.floats(0.1, 9), st.floats(1, 30))
def test_more_time_never_leaves_more_words(words: list[str], seconds: float, rate: float) -> None:
    text = " ".join(words)
    assert 0 <= words_beyond(text, 2 * seconds, rate) <= words_beyond(text, seconds, rate)
    assert words_beyond(text, seconds, rate) <= len(words)


def test_results_are_plain_data() -> None:
    found = measured(quiet("silence", "you")).as_dict()
    assert json.loads(json.dumps(found))["invented_words"] == 1


def test_bad_input_is_refused() -> None:
    with pytest.raises(ValueError, match="no clips"):
        measured()
    with pytest.raises(ValueError, match="twice"):
        measured(quiet("a", ""), quiet("a", ""))
    for seconds in (0.0, -1.0, math.nan, math.inf):
        with pytest.raises(ValueError, match="'a' lasts"):
            quiet("a", "", seconds)
    with pytest.raises(ValueError, match="must be above 0"):
        words_beyond("a", 1.0, 0.0)
