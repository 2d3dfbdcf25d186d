"""Synthetic accents: reproducible speech, and plans in which no voice and no text leaks."""

from __future__ import annotations

import itertools
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.audio import SAMPLE_RATE, Samples
from data.sources.base import FileAudio, Recording
from data.sources.espeak import check_voices, plan_speech, speaker_id
from data.sources.espeak_library import accents, speak, voices
from data.splits import hash_split, text_key
from voiceforge.errors import UsageError
from voiceforge.params import ClipsPerAccent, EspeakSource, SplitParams, Voices, load_params

SPLITS = SplitParams(train=0.5, dev=0.1, test=0.4, minimum_speakers=5, seed=20)
TEXT = "Please enter your password followed by the pound key."


def source(**changes: object) -> EspeakSource:
    fields: dict[str, object] = {
        "kind": "espeak",
        "texts": "prompts",
        "language": "en",
        "accents": ("en-us", "en-gb"),
        "voices": Voices(train=("m1", "f1"), dev=("m5",), test=("m7", "f5", "m8")),
        "clips_per_accent": ClipsPerAccent(train=30, dev=4),
        "words_per_accent": 200,
    }
    return EspeakSource.model_validate({**fields, **changes})


@pytest.fixture(scope="module")
def shipped(project: Path) -> EspeakSource:
    sources = load_params(project / "params.yaml")["telephony-en"].sources
    (found,) = [one for one in sources if isinstance(one, EspeakSource)]
    return found


def texts(number: int) -> list[Recording]:
    words = ["alpha", "bravo", "charlie", "delta", "echo", "foxtrot", "golf", "hotel"]
    phrases = [f"{number} " + " ".join(words[: 1 + number % 8]) for number in range(number)]
    return [
        Recording(
            f"prompts-en-t{n}",
            text,
            "en",
            "en-us",
            "p",
            "prompts:en",
            "L",
            "granted",
            False,
            "w",
            FileAudio(Path("never-read.g722")),
        )
        for n, text in enumerate(phrases)
    ]


def pitch(samples: Samples) -> float:
    """Median fundamental frequency in Hz over voiced frames, by autocorrelation."""
    found = []
    for start in range(0, samples.size - 1024, 512):
        frame = samples[start : start + 1024] * np.hanning(1024)
        if np.abs(frame).max() < 0.05:
            continue
        echo = np.correlate(frame, frame, "full")[1023:]
        low, high = SAMPLE_RATE // 400, SAMPLE_RATE // 60
        lag = low + int(np.argmax(echo[low:high]))
        if echo[lag] > 0.4 * echo[0]:
            found.append(SAMPLE_RATE / lag)
    return float(np.median(found))


def test_speech_does_not_depend_on_what_was_spoken_before() -> None:
    wanted = list(itertools.product([TEXT, "One."], ["en-us+f2", "en-gb+m1", "en-gb-scotland+f5"]))
    first = [speak(*pair).tobytes() for pair in wanted]
    again = [speak(*pair).tobytes() for pair in wanted[::-1]][::-1]
    assert first == again
    assert len(set(first)) == len(wanted)


def test_every_voice_of_the_shipped_domain_speaks_like_a_person(shipped: EspeakSource) -> None:
    check_voices(shipped)
    for voice in (*shipped.voices.train, *shipped.voices.dev, *shipped.voices.test):
        samples = speak(TEXT, f"en-us+{voice}")
        assert 1.5 < samples.size / SAMPLE_RATE < 6.0
        assert 0.1 < np.abs(samples).max() <= 1.01
        assert (np.abs(samples) >= 0.999).mean() < 0.001
        low, high = (60, 170) if voice.startswith("m") else (130, 300)
        assert low < pitch(samples) < high, voice


def test_accents_and_voices_are_those_of_the_library() -> None:
    assert {"en-us", "en-gb", "en-gb-scotland", "en-029", "en-gb-x-rp"} <= set(accents("en"))
    assert accents("it") == ["it"] and accents("xx") == []
    assert {"m1", "f1", "whisper"} <= set(voices())


def test_each_accent_of_the_shipped_domain_sounds_different(shipped: EspeakSource) -> None:
    sentence = "The water in the car park is not rather cold."
    spoken = [speak(sentence, accent) for accent in shipped.accents]
    assert len({samples.tobytes() for samples in spoken}) == len(shipped.accents) >= 8


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"accents": ("en-gb", "en-mars")}, ["'en-mars'", "en-gb-scotland"]),
        ({"accents": ("it",)}, ["'it'", "'en'"]),
        ({"voices": Voices(train=("m1",), dev=("m2",), test=("m99",))}, ["'m99'", "f1"]),
    ],
)
def test_unknown_accents_and_voices_are_named(changes: dict[str, object], says: list[str]) -> None:
    with pytest.raises(UsageError) as caught:
        check_voices(source(**changes))
    assert all(words in str(caught.value) for words in says)
    with pytest.raises(UsageError, match="en-mars"):
        speak("Hello", "en-mars+m1")


@settings(max_examples=40)
@given(st.integers(0, 120), st.integers(1, 60), st.integers(1, 800), st.integers(0, 5))
def test_plans_keep_voices_and_texts_apart(number: int, clips: int, words: int, seed: int) -> None:
    splits = SPLITS.model_copy(update={"seed": seed})
    params = source(clips_per_accent=ClipsPerAccent(train=clips, dev=4), words_per_accent=words)
    plan = plan_speech(params, splits, texts(number))
    of_voice = {v: s for s in ("train", "dev", "test") for v in getattr(params.voices, s)}
    assert len({r.id for r in plan.recordings}) == len(plan.recordings)
    assert len({(r.text, r.speaker) for r in plan.recordings}) == len(plan.recordings)
    for r in plan.recordings:
        accent, voice = r.where.split("+")
        assert r.speaker == speaker_id(accent, voice) and r.accent == accent
        assert hash_split(text_key(r.text), splits) == of_voice[voice]
        assert r.is_synthetic and r.licence == "L"
    pool = Counter(hash_split(text_key(r.text), splits) for r in texts(number))
    for accent in params.accents:
        spoken = [r for r in plan.recordings if r.accent == accent]
        counts = Counter(of_voice[r.where.split("+")[1]] for r in spoken)
        assert counts["train"] == min(clips, 2 * pool["train"])
        assert counts["dev"] == min(4, pool["dev"])
        test = [r for r in spoken if of_voice[r.where.split("+")[1]] == "test"]
        total = sum(len(r.text.split()) for r in test)
        every_pair = 3 * pool["test"]
        assert len(test) == every_pair or words <= total < words + 9


def test_plans_are_even_and_take_sentences_first() -> None:
    plan = plan_speech(source(), SPLITS, texts(120))
    train = [r for r in plan.recordings if r.accent == "en-gb" and r.where[-2:] in ("m1", "f1")]
    assert Counter(r.where for r in train) == {"en-gb+m1": 15, "en-gb+f1": 15}
    assert max(Counter(r.text for r in train).values()) == 1
    test = [
        r for r in plan.recordings if r.accent == "en-gb" and r.where[-2:] in ("m7", "f5", "m8")
    ]
    assert min(len(r.text.split()) for r in test) >= 3
    by_voice = Counter(r.where for r in test)
    assert max(by_voice.values()) - min(by_voice.values()) <= 1


def test_a_new_text_leaves_the_others_where_they_were() -> None:
    params = source(clips_per_accent=ClipsPerAccent(train=1000, dev=1000), words_per_accent=10**6)
    before = {r.id: r for r in plan_speech(params, SPLITS, texts(50)).recordings}
    after = {r.id: r for r in plan_speech(params, SPLITS, texts(60)).recordings}
    assert {name: after[name] for name in before} == before


def test_repeated_and_endless_texts_are_not_spoken() -> None:
    one, *others = texts(3)
    endless = Recording(**{**_fields(one), "id": "prompts-en-long", "text": "word " * 61})
    again = Recording(**{**_fields(one), "id": "prompts-en-again", "text": one.text.upper() + "!"})
    plan = plan_speech(source(), SPLITS, [one, *others, again, endless])
    assert plan.skipped == {"texts over 60 words": 1}
    assert plan.recordings == plan_speech(source(), SPLITS, [one, *others]).recordings


def _fields(recording: Recording) -> dict[str, object]:
    return {name: getattr(recording, name) for name in Recording.__slots__}
