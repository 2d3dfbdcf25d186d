"""Rules against texts that nobody said, beside faster-whisper's own code."""

from __future__ import annotations

import logging
from types import SimpleNamespace
from typing import Any

import pytest
from faster_whisper.transcribe import WhisperModel, get_compression_ratio
from hypothesis import given
from hypothesis import strategies as st

from evaluation.whisper_bounds import compression_ratio
from serving.engines.contracts import DecodingOptions, Fallback
from serving.engines.fallback import Tried, is_doubted, is_silence, kept

LOOP, PLAIN = "thank you " * 20, "Please enter your password."
TRIES = st.lists(
    st.builds(
        Tried,
        text=st.sampled_from([LOOP, PLAIN, "You"]),
        # Not at a bound itself: they recover the mean from a score, which rounds.
        mean_logprob=st.floats(-3.0, -0.01).filter(lambda value: abs(value + 1.0) > 1e-6),
        no_speech=st.floats(0.0, 1.0),
    ),
    min_size=6,
    max_size=6,
    unique_by=lambda tried: tried.mean_logprob,
)


@given(TRIES)
def test_faster_whisper_keeps_the_same_try(tries: list[Tried]) -> None:
    rules = Fallback()
    tried: list[Tried] = []
    for one in tries:
        tried.append(one)
        if not is_doubted(one, rules):
            break
    assert tried[kept(tried, rules)] == theirs(tries, rules)


def theirs(tries: list[Tried], rules: Fallback) -> Tried:
    """What `generate_with_fallback` of faster-whisper keeps of the tries that a model gives."""
    coming = iter(enumerate(tries))

    def generate(*_: Any, **__: Any) -> list[Any]:
        number, one = next(coming)
        score = one.mean_logprob * 2  # of one token and the end
        result = SimpleNamespace(
            sequences_ids=[[number]], scores=[score], no_speech_prob=one.no_speech
        )
        return [result]

    model: Any = SimpleNamespace(
        model=SimpleNamespace(generate=generate),
        max_length=448,
        time_precision=0.02,
        logger=logging.getLogger("faster_whisper"),
    )
    options = SimpleNamespace(
        temperatures=[0.0, *rules.temperatures],
        best_of=1,
        beam_size=1,
        patience=1,
        length_penalty=1,
        repetition_penalty=1,
        no_repeat_ngram_size=0,
        max_new_tokens=None,
        max_initial_timestamp=1.0,
        suppress_blank=True,
        suppress_tokens=[-1],
        compression_ratio_threshold=rules.compression_ratio,
        log_prob_threshold=rules.mean_logprob,
        no_speech_threshold=rules.no_speech,
    )
    tokenizer: Any = SimpleNamespace(decode=lambda ids: tries[ids[0]].text)
    encoded: Any = None
    result, *_ = WhisperModel.generate_with_fallback(model, encoded, [], tokenizer, options)
    return tries[result.sequences_ids[0][0]]


@given(st.text(min_size=1))
def test_a_text_is_compressed_as_whisper_compresses_it(text: str) -> None:
    assert compression_ratio(text) == get_compression_ratio(text)


def test_silence_is_not_believed_and_says_so() -> None:
    rules = Fallback()
    assert is_silence(Tried("You", -1.2, 0.7), rules)
    assert not is_silence(Tried("You", -0.8, 0.7), rules)
    assert not is_silence(Tried("You", -1.2, 0.5), rules)
    # Silence is not tried again, even where its text loops.
    assert not is_doubted(Tried(LOOP, -1.2, 0.7), rules)


def test_nothing_falls_back_by_itself() -> None:
    assert DecodingOptions().fallback is None


@pytest.mark.parametrize(
    "fields", [{"temperatures": (0.0,)}, {"temperatures": (1.5,)}, {"seed": -1}]
)
def test_what_cannot_be_sampled_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(fields))):
        Fallback(**fields)
