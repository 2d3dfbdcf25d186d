"""Test conditions of real speech: as named, drawn anew for nobody, and nobody speaks in silence."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from data.audio import SAMPLE_RATE, Samples
from data.augmentation.clipping import clip_peaks
from data.augmentation.conditions import degrade, without_speech
from data.augmentation.level import active_level, mean_level
from data.conditions import NO_SPEECH_CONDITIONS, SPEECH_CONDITIONS, Condition, NoSpeechKind
from data.music import music_on_hold
from data.signals import clipped_share
from data.speech_activity import speech_seconds
from voiceforge.errors import UsageError


@pytest.fixture(scope="session")
def music(cache: Path) -> list[Samples]:
    return music_on_hold(cache=cache, offline=False, timeout=60.0)


@pytest.mark.parametrize("condition", SPEECH_CONDITIONS, ids=lambda one: one.title)
def test_a_condition_changes_speech_and_keeps_its_length(
    condition: Condition, speech: Samples, voices: list[Samples]
) -> None:
    found = degrade(speech, condition, seed=1, utterance_id="a", voices=voices[1:])
    again = degrade(speech, condition, seed=1, utterance_id="a", voices=voices[1:])
    assert found.shape == speech.shape
    assert found.dtype == np.float32
    assert np.abs(found).max() <= 1.0
    assert not np.array_equal(found, speech)
    assert np.array_equal(found, again)


@pytest.mark.parametrize("kind", ["white noise", "pink noise", "babble"])
def test_noise_is_as_far_below_speech_as_its_level_says_and_the_same_at_every_level(
    kind: str, speech: Samples, voices: list[Samples]
) -> None:
    added = {
        snr: degrade(
            speech, Condition(kind, snr), seed=1, utterance_id="a", voices=voices[1:]
        ) - speech
        for snr in (20.0, 5.0)
    }  # fmt: skip
    for snr, noise in added.items():
        assert active_level(speech) - mean_level(noise) == pytest.approx(snr, abs=0.1)
    assert np.corrcoef(added[20.0], added[5.0])[0, 1] > 0.999


def test_other_clips_and_other_seeds_get_other_noise(speech: Samples) -> None:
    noise = Condition("white noise", 5.0)
    one, two, three = (
        degrade(speech, noise, seed=seed, utterance_id=name)
        for seed, name in ((1, "a"), (1, "b"), (2, "a"))
    )
    assert not np.array_equal(one, two)
    assert not np.array_equal(one, three)


def test_a_lower_ceiling_clips_more(speech: Samples) -> None:
    shares = [clipped_share(clip_peaks(speech, ceiling)) for ceiling in (20.0, 6.0, 0.0, -12.0)]
    assert shares == sorted(shares)
    assert shares[0] < 0.001 < 0.05 < shares[-1]
    silence = np.zeros(1600, np.float32)
    assert np.array_equal(clip_peaks(silence, 0.0), silence)


@pytest.mark.parametrize("kind", NO_SPEECH_CONDITIONS)
def test_nobody_speaks_where_nobody_should(kind: NoSpeechKind, music: list[Samples]) -> None:
    clips = [without_speech(kind, 10.0, seed=1, number=n, music=music) for n in range(3)]
    for number, clip in enumerate(clips):
        assert len(clip) == 10 * SAMPLE_RATE
        assert speech_seconds(clip) < 0.5
        again = without_speech(kind, 10.0, seed=1, number=number, music=music)
        assert np.array_equal(clip, again)
    if kind == "silence":
        assert not np.any(clips[0])
    else:
        assert not np.array_equal(clips[0], clips[1]) or not np.array_equal(clips[0], clips[2])
        assert mean_level(clips[0]) == pytest.approx(-30.0, abs=0.5)


def test_music_is_18_minutes_of_real_pieces(music: list[Samples]) -> None:
    assert len(music) == 5
    assert sum(map(len, music)) / SAMPLE_RATE / 60 == pytest.approx(18.4, abs=0.1)


def test_what_is_missing_is_named(speech: Samples, music: list[Samples]) -> None:
    with pytest.raises(UsageError, match="Babble is mixed from other recordings"):
        degrade(speech, Condition("babble", 5.0), seed=1, utterance_id="a")
    with pytest.raises(UsageError, match="None of 5 pieces of music lasts 400 s"):
        without_speech("music", 400.0, seed=1, number=0, music=music)
    empty = np.zeros(0, np.float32)
    assert degrade(empty, Condition("gsm"), seed=1, utterance_id="a").size == 0


@pytest.mark.parametrize(
    ("kind", "level", "message"),
    [
        ("thunder", None, "no condition 'thunder'"),
        ("pink noise", None, "takes a level in dB SNR"),
        ("gsm", 3.0, "gsm takes no level"),
    ],
)
def test_conditions_that_mean_nothing_are_refused(
    kind: str, level: float | None, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        Condition(kind, level)  # type: ignore[arg-type]


def test_titles_name_level_and_unit() -> None:
    assert Condition("pink noise", 10.0).title == "pink noise, 10 dB SNR"
    assert Condition("mu-law").title == "mu-law"
    assert len({one.title for one in SPEECH_CONDITIONS}) == len(SPEECH_CONDITIONS)
