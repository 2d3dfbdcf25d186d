"""Kinds of training samples: what is drawn, where a clip is cut, what a prompt holds."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.augmentation.level import mean_level
from data.augmentation.no_speech import longest_pause, no_speech
from tests.training.test_clips import PARAMS
from training.clips import IGNORED, Draw, First, make_batch, plan_batches
from training.samples import (
    NoSpeech,
    Prefix,
    Prompted,
    Timestamps,
    Transcripts,
    cut_at,
    draw_sample,
    prompt_text,
    rare_words,
)
from voiceforge.params import SampleParams

OFF = PARAMS.samples
DURATIONS = [1.0 + (37 * clip % 101) / 10 for clip in range(80)]
TRANSCRIPTS = Transcripts([12] * 80, ["en"] * 40 + ["it"] * 40, 444)


def shares(**chosen: Any) -> SampleParams:
    return SampleParams(**{**OFF.model_dump(), **chosen})


def drawn(params: SampleParams, seed: int = 1) -> list[Any]:
    return [
        draw_sample(params, seed, number, number % 80, DURATIONS, TRANSCRIPTS)
        for number in range(2000)
    ]


def test_every_kind_has_its_share_and_the_rest_is_plain() -> None:
    wanted = {"timestamps": 0.2, "prompted": 0.1, "no_speech": 0.05, "prefix": 0.15,
              "leading_silence": 0.1}  # fmt: skip
    counts = Counter(sample.kind for sample in drawn(shares(**wanted)))
    for kind, share in {**wanted, "plain": 0.4}.items():
        assert counts[kind] / 2000 == pytest.approx(share, abs=0.03)
    assert {sample.kind for sample in drawn(OFF)} == {"plain"}
    assert drawn(shares(**wanted)) == drawn(shares(**wanted))
    assert drawn(shares(**wanted)) != drawn(shares(**wanted), seed=2)


def test_a_kind_that_is_switched_on_leaves_clips_and_the_kinds_before_it_as_they_were() -> None:
    one = shares(timestamps=0.3)
    two = shares(timestamps=0.3, prefix=0.3)
    for before, after in zip(drawn(one), drawn(two), strict=True):
        assert before == after or (before.kind == "plain" and after.kind == "prefix")
    human = [clip % 3 == 0 for clip in range(80)]
    plans = [
        plan_batches(
            DURATIONS, human, PARAMS.model_copy(update={"samples": samples}),
            transcripts=TRANSCRIPTS,
        )
        for samples in (OFF, one, two)
    ]  # fmt: skip
    clips = [Counter(draw.clip for batch in plan for draw in batch) for plan in plans]
    assert clips[0] == clips[1] == clips[2]


def test_two_clips_in_a_row_fit_the_window_and_the_decoder_and_are_of_one_language() -> None:
    joined = [
        (number % 80, sample)
        for number, sample in enumerate(drawn(shares(timestamps=1.0)))
        if sample.second is not None
    ]
    assert len(joined) > 300
    for clip, sample in joined:
        assert sample.seconds(clip, DURATIONS) <= 28.5
        assert (clip < 40) == (sample.second < 40)
    narrow = Transcripts([12] * 80, ["en"] * 80, 27)
    alone = [draw_sample(shares(timestamps=1.0), 1, n, 0, DURATIONS, narrow) for n in range(50)]
    assert all(sample.second is None for sample in alone)


def test_clips_are_sorted_by_what_is_heard_of_them() -> None:
    params = PARAMS.model_copy(update={"samples": shares(prefix=0.5, timestamps=0.5)})
    plan = plan_batches(DURATIONS, [True] * 80, params, transcripts=TRANSCRIPTS)
    heard = [[draw.seconds(DURATIONS) for draw in batch] for batch in plan]
    spans = [max(batch) - min(batch) for batch in heard]
    assert np.median(spans) < 1.5


times = st.lists(st.floats(0.05, 0.9), min_size=1, max_size=12).map(
    lambda widths: [
        (sum(widths[:at]) + 0.1 * at, sum(widths[: at + 1]) + 0.1 * at) for at in range(len(widths))
    ]
)


@given(times, st.floats(0.0, 14.0))
def test_a_cut_word_counts_only_when_most_of_it_is_heard(
    words: list[tuple[float, float]], wanted: float
) -> None:
    cut, heard = cut_at(wanted, words)
    assert cut <= wanted
    for at, (start, end) in enumerate(words):
        share = min(1.0, max(0.0, (cut - start) / (end - start)))
        assert share >= 0.65 - 1e-6 if at < heard else share <= 0.35 + 1e-6


def test_a_prompt_has_rare_words_of_its_own_among_others_or_others_alone() -> None:
    texts = ["Please call Kathryn Smyth now.", "Please wait for the operator.", "Please call now."]
    rare = rare_words(texts)
    assert rare[0][:2] == ["Kathryn", "Smyth"]
    assert "please" not in [words[0].lower() for words in rare[:2]]
    helped = prompt_text(Prompted(2, (1,), False, (1, 1)), 0, texts, rare)
    assert sorted(helped.split(", ")) == ["Kathryn", "Smyth", "operator"]
    unrelated = prompt_text(Prompted(0, (1,), False, (1, 1)), 0, texts, rare)
    assert unrelated == "operator"
    assert prompt_text(Prompted(0, (1,), True, (1, 1)), 0, texts, rare) == texts[1]


def test_rows_of_a_batch_with_prompts_of_any_length_are_those_of_a_slow_reference() -> None:
    rng = np.random.default_rng(3)
    for _ in range(30):
        rows = []
        for _ in range(5):
            prompt = rng.integers(10, 99, size=rng.integers(1, 9)).tolist()
            text = rng.integers(100, 999, size=rng.integers(0, 7)).tolist()
            first = First(int(rng.integers(len(prompt))), 7) if rng.random() < 0.5 else None
            rows.append((prompt, text, first))
        prompts, texts, firsts = zip(*rows, strict=True)
        batch = make_batch(np.zeros((5, 80, 2), np.float32), texts, prompts, 3, firsts)
        for row, (prompt, text, first) in enumerate(rows):
            whole = [*prompt, *text]
            for place in range(batch.labels.shape[1]):
                told = whole[place] if place < len(whole) else 3
                assert batch.decoder_inputs[row, place] == told
                # A position predicts the token after it, where that is text or the end.
                follows = [*whole, 3][place + 1] if place < len(whole) else IGNORED
                expected = follows if place >= len(prompt) - 1 else IGNORED
                if first and place == first.place and place < len(prompt) - 1:
                    expected = first.token
                assert batch.labels[row, place] == expected


def test_sounds_without_speech_are_as_loud_and_as_long_as_asked_for() -> None:
    rng = np.random.default_rng(0)
    voice = np.zeros(16000, np.float32)
    assert not no_speech("silence", 4000, -30.0, voice, rng).any()
    for sound in ("white", "pink", "tones"):
        made = no_speech(sound, 32000, -40.0, voice, rng)
        assert made.shape == (32000,)
        assert mean_level(made) == pytest.approx(-40.0, abs=0.1)
    hiss = (1e-3 * rng.standard_normal(32000)).astype(np.float32)
    assert len(longest_pause(hiss)) > 16000
    pause = no_speech("pause", 50000, -10.0, hiss, rng)
    assert pause.shape == (50000,)
    assert mean_level(pause) == pytest.approx(-60.0, abs=1.0)


def test_seconds_of_a_draw_are_those_of_its_kind_at_its_speed() -> None:
    durations = [4.0, 2.0]
    joined = Timestamps(0.5, 1, 1.0)
    assert Draw(0, 0.2, 0, 0, 2.0, joined).seconds(durations) == pytest.approx(3.75)
    assert Draw(0, 0.2, 0, 0, 1.0, Prefix(0.25)).seconds(durations) == pytest.approx(1.0)
    assert Draw(0, 0.2, 0, 0, 1.0, NoSpeech("white", -40, (1, 1))).seconds(durations) == 4.0
