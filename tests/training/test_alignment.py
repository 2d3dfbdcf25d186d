"""Times of words against times that are known: eSpeak NG's own, and a silence put between clips."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from transformers import AutoTokenizer

from data.audio import SAMPLE_RATE
from tests.training.spoken_words import speak_words
from training.alignment import Transcribed, align_words, speech_span, word_tokens
from training.context import load_model, prompt_tokens

TEXTS = (
    "Please enter your mailbox number, followed by the pound key.",
    "You have three new messages in this folder.",
    "To leave a message after the tone, press one or hang up.",
)
VOICES = ("en-us+m1", "en-gb-scotland+f2")


@pytest.fixture(scope="module")
def model(tiny_en: Path) -> Any:
    return load_model(tiny_en)


@pytest.fixture(scope="module")
def tokenizer(tiny_en: Path) -> Any:
    return AutoTokenizer.from_pretrained(tiny_en, local_files_only=True)


def test_words_are_where_espeak_put_them(model: Any, tokenizer: Any) -> None:
    clips, truth = [], []
    for voice in VOICES:
        for text in TEXTS:
            samples, times = speak_words(text, voice)
            if len(times) == len(text.split()) + 1:  # it says "of the" as one word
                clips.append(Transcribed(samples, text))
                truth.append(times)
    assert len(clips) >= 4
    prompt = prompt_tokens(model, tokenizer, "en")
    found = list(align_words(model, tokenizer, prompt, clips))
    assert model.config._attn_implementation != "eager"
    starts, ends = [], []
    for clip, words, times in zip(clips, found, truth, strict=True):
        assert [word.text for word in words] == clip.text.split()
        assert all(one.end <= two.end and one.start <= two.start
                   for one, two in pairwise(words))  # fmt: skip
        starts += [abs(word.start - time) for word, time in zip(words, times, strict=False)]
        ends += [abs(word.end - time) for word, time in zip(words, times[1:], strict=True)]
    assert len(starts) > 25
    assert np.median(starts) < 0.08
    assert np.quantile(starts, 0.9) < 0.25
    assert np.median(ends) < 0.1

    # Against another transcript the same measure is far off: it can fail.
    texts = [clip.text for clip in clips]
    wrong = [
        Transcribed(clip.samples, text)
        for clip, text in zip(clips, texts[1:] + texts[:1], strict=True)
    ]
    strayed = [
        abs(word.start - time)
        for words, times in zip(align_words(model, tokenizer, prompt, wrong), truth, strict=True)
        for word, time in zip(words, times, strict=False)
    ]
    assert np.median(strayed) > 2 * np.median(starts)


def test_speech_is_found_between_silence_of_known_length() -> None:
    samples, _ = speak_words(TEXTS[1], "en-us+m1")
    low, high = speech_span(samples) or (0.0, 0.0)
    silence = np.zeros(round(1.5 * SAMPLE_RATE), dtype=np.float32)
    start, end = speech_span(np.concatenate([silence, samples, silence])) or (0.0, 0.0)
    assert start == pytest.approx(1.5 + low, abs=0.1)
    assert end == pytest.approx(1.5 + high, abs=0.15)
    assert speech_span(silence) is None
    assert speech_span(silence[:0]) is None


def test_tokens_of_words_are_those_of_the_text(tokenizer: Any) -> None:
    text = "Don't call 555-0199, Kathryn (Smyth)..."
    words = word_tokens(tokenizer, text)
    whole = tokenizer.encode(f" {text}", add_special_tokens=False)
    assert [token for _, tokens, _ in words for token in tokens] == whole
    assert [tokenizer.decode(tokens[:spoken]).strip() for _, tokens, spoken in words] == [
        "Don't", "call", "555-0199", "Kathryn", "(Smyth",
    ]  # fmt: skip
