"""Searches over a small language model whose every text can be listed."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serving.engines.search import Rules, beam_search, greedy, log_softmax, sample
from serving.engines.whisper import Sampling

END, NO_SPEECH, VOCABULARY, LIMIT = 0, 1, 5, 3
RULES = Rules(end=END, no_speech=NO_SPEECH, suppressed=(NO_SPEECH,), suppressed_first=(END,))
FREE = Rules(end=END, no_speech=NO_SPEECH, suppressed=(), suppressed_first=())
PROMPT = [3, 2]


class Markov:
    """The next token depends on the clip and the last token alone."""

    def __init__(self, table: np.ndarray) -> None:
        self.table = table  # [clips, last, next]
        self.clips = np.arange(len(table))
        self.steps = 0

    def begin(self, prompt: Sequence[int], opening: int) -> tuple[np.ndarray, np.ndarray]:
        return self.table[:, prompt[-1]], self.table[:, prompt[opening]]

    def step(self, tokens: np.ndarray) -> np.ndarray:
        assert len(tokens) == len(self.clips)
        self.steps += 1
        return self.table[self.clips, tokens]

    def take(self, rows: np.ndarray) -> None:
        self.clips = self.clips[rows]


def tables(seed: int, clips: int = 3) -> np.ndarray:
    shape = (clips, VOCABULARY, VOCABULARY)
    return np.random.default_rng(seed).normal(0, 2, shape).astype(np.float32)


def every_text(table: np.ndarray, rules: Rules) -> Iterator[tuple[float, tuple[int, ...]]]:
    """Log-probability by token, and tokens, of all texts that end, or fill the limit."""
    for length in range(LIMIT + 1):
        for text in itertools.product(range(VOCABULARY), repeat=length):
            if END in text:
                continue
            whole = [*text, END] if length < LIMIT else list(text)
            last, score = PROMPT[-1], 0.0
            for place, token in enumerate(whole):
                logits = table[None, last].copy()
                logits[:, list(rules.suppressed)] = -np.inf
                if place == 0:
                    logits[:, list(rules.suppressed_first)] = -np.inf
                score += float(log_softmax(logits)[0, token])
                last = token
            if np.isfinite(score):
                yield score / max(1, length), text


@given(st.integers(0, 10**6))
@settings(deadline=None, max_examples=30)
def test_a_beam_that_keeps_everything_finds_the_likeliest_text(seed: int) -> None:
    table = tables(seed)
    found = beam_search(
        Markov(table), PROMPT, RULES, clips=3, opening=0, limit=LIMIT, beam_size=VOCABULARY**LIMIT
    )
    for clip, one in enumerate(found):
        _, text = max(every_text(table[clip], RULES))
        assert tuple(one.tokens) == text
        assert one.logprobs is not None and len(one.logprobs) == len(text)


@given(st.integers(0, 10**6))
@settings(deadline=None, max_examples=50)
def test_greedy_takes_the_likeliest_token_each_time_whoever_else_is_in_the_batch(seed: int) -> None:
    table = tables(seed, clips=6)
    together = greedy(Markov(table), PROMPT, FREE, clips=6, opening=1, limit=8)
    for clip in range(6):
        text: list[int] = []
        while len(text) < 8:
            token = int(table[clip, text[-1] if text else PROMPT[-1]].argmax())
            if token == END:
                break
            text.append(token)
        (alone,) = greedy(Markov(table[clip : clip + 1]), PROMPT, FREE, clips=1, opening=1, limit=8)
        assert list(together[clip].tokens) == list(alone.tokens) == text
        assert together[clip].logprobs == pytest.approx(alone.logprobs)


def test_rows_that_have_ended_are_decoded_no_further() -> None:
    table = np.zeros((2, VOCABULARY, VOCABULARY), np.float32)
    table[0, :, END] = 9  # the first clip ends at once
    table[1, :, 4] = 9
    decoder = Markov(table)
    found = greedy(decoder, PROMPT, FREE, clips=2, opening=0, limit=4)
    assert [list(one.tokens) for one in found] == [[], [4, 4, 4, 4]]
    assert decoder.clips.tolist() == [1]
    assert decoder.steps == 3


def test_what_is_suppressed_is_never_written_and_the_end_not_first() -> None:
    table = np.zeros((1, VOCABULARY, VOCABULARY), np.float32)
    table[..., NO_SPEECH], table[..., END], table[..., 3] = 9, 8, 7
    (one,) = greedy(Markov(table), PROMPT, RULES, clips=1, opening=0, limit=5)
    assert list(one.tokens) == [3]
    assert one.no_speech_probability == pytest.approx(
        float(np.exp(log_softmax(table[0, :1]))[0, 1])
    )


def test_a_penalty_ends_a_loop() -> None:
    table = np.full((1, VOCABULARY, VOCABULARY), -5.0, np.float32)
    table[..., 3], table[..., 4], table[..., END] = 4.0, 3.6, 3.3
    loops = greedy(Markov(table), PROMPT, FREE, clips=1, opening=0, limit=6)[0]
    assert list(loops.tokens) == [3] * 6
    freed = greedy(Markov(table), PROMPT, FREE, clips=1, opening=0, limit=6, penalty=1.3)[0]
    assert list(freed.tokens) == [3, 4]
    # A negative score falls too when it is penalised.
    low = FREE.logprobs(np.array([[-1.0, -1.0]], np.float32), [[0]], penalty=2.0)
    assert low[0, 0] < low[0, 1]


def test_samples_are_distributed_as_the_softmax_at_their_temperature() -> None:
    row = np.array([0.5, 0.0, 1.5, 1.0, -1.0], np.float32)
    clips = 4000
    table = np.broadcast_to(row, (clips, VOCABULARY, VOCABULARY))
    found = sample(
        Markov(table), PROMPT, FREE, clips=clips, opening=0, limit=1, sampling=Sampling(0.5, 7)
    )
    first = [one.tokens[0] if one.tokens else END for one in found]
    shares = np.bincount(first, minlength=VOCABULARY) / clips
    assert shares == pytest.approx(np.exp(log_softmax(row / 0.5)), abs=0.03)


def test_samples_depend_on_their_seed_alone_and_a_low_temperature_is_greedy() -> None:
    table = tables(3, clips=6)

    def said(temperature: float, seed: int) -> list[list[int]]:
        given = {"clips": 6, "opening": 0, "limit": 8}
        sampling = Sampling(temperature, seed)
        found = sample(Markov(table), PROMPT, FREE, sampling=sampling, **given)
        return [list(one.tokens) for one in found]

    assert said(1.0, 1) == said(1.0, 1) != said(1.0, 2)
    likeliest = greedy(Markov(table), PROMPT, FREE, clips=6, opening=0, limit=8)
    assert said(1e-4, 1) == [list(one.tokens) for one in likeliest]


def test_the_total_counts_the_end_of_a_text_and_no_end_that_was_cut_off() -> None:
    table = tables(5, clips=4)
    for limit in (2, 30):
        found = greedy(Markov(table), PROMPT, FREE, clips=4, opening=0, limit=limit)
        for clip, one in enumerate(found):
            total = sum(one.logprobs or ())
            if len(one.tokens) < limit:
                last = one.tokens[-1] if one.tokens else PROMPT[-1]
                total += float(log_softmax(table[clip, last])[END])
            assert one.total_logprob == pytest.approx(total)
