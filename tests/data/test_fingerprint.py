"""The same recording has near-same fingerprints whatever happened to it; other recordings have not.

The bounds are those measured on these prompts, with a little room. A failure prints the figures.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soxr
from hypothesis import given
from hypothesis import strategies as st

from data.audio import SAMPLE_RATE, Samples, decode_bytes
from data.fetch import fetch
from data.fingerprint import NEAR, _candidates, fingerprint, near_pairs, similarity
from tests.data.recordings import encode, prompts

_DIGITS = st.text("0123456789abcdef", min_size=6, max_size=6)
_PRINTS = st.lists(_DIGITS, max_size=60).map("".join)


@pytest.fixture(scope="module")
def voice(cache: Path) -> dict[str, Samples]:
    """One speaker's prompts with words in them, letters and digits included."""
    folder = fetch("prompts-en", cache=cache, offline=False, timeout=10)
    return {name: samples for name, samples in prompts(folder, 600) if samples.size > 1600}


@given(_PRINTS, _PRINTS)
def test_similarity_is_symmetric_and_within_its_range(one: str, other: str) -> None:
    assert 0.0 <= similarity(one, other) <= 1.0
    assert similarity(one, other) == similarity(other, one)


@given(st.integers(0, 2**32), st.integers(20, 90))
def test_itself_is_nearest_and_chance_is_far(seed: int, length: int) -> None:
    rng = np.random.default_rng(seed)
    one, other = ("".join(f"{n:06x}" for n in rng.integers(1, 2**24, length)) for _ in range(2))
    assert similarity(one, one) == pytest.approx(length / (length + 3))
    assert similarity(one, other) < 0.3
    assert similarity(one, "") == 0.0


def test_a_voice_that_begins_all_alike_does_not_make_all_of_it_candidates() -> None:
    """Of four times the clips about four times the pairs; the copies among them are found."""
    rng = np.random.default_rng(3)
    beginning = rng.integers(1, 2**24, 12)
    clips = [np.array([*beginning, *rng.integers(1, 2**24, 20)], np.uint32) for _ in range(2400)]
    few, many = (set(_candidates([*clips[:size], *clips[:20]])) for size in (600, 2400))
    assert {(n, 2400 + n) for n in range(20)} <= many
    assert len(many) < 5 * len(few), (len(few), len(many))


def test_gain_and_a_mean_change_next_to_nothing(voice: dict[str, Samples]) -> None:
    for name in ("vm-login", "demo-thanks", "auth-incorrect"):
        whole = fingerprint(voice[name])
        assert similarity(whole, fingerprint(voice[name] * np.float32(0.05))) > 0.85
        assert similarity(whole, fingerprint(voice[name] + np.float32(0.05))) > 0.85
        assert similarity(whole, fingerprint(np.pad(voice[name], 8000))) > 0.7


def _trimmed(samples: Samples) -> Samples:
    return samples[round(0.2 * SAMPLE_RATE) :]


_CHANGES: dict[str, tuple[Callable[[Samples], Samples], float]] = {
    "opus": (lambda x: decode_bytes(encode(x, "ogg", "libopus", 48_000, bits=24_000), "x"), 0.97),
    "mp3": (lambda x: decode_bytes(encode(x, "mp3", "libmp3lame", 44_100, bits=32_000), "x"), 0.97),
    "G.711": (lambda x: decode_bytes(encode(x, "wav", "pcm_mulaw", 8000), "x"), 0.94),
    "+6 dB, clipped": (lambda x: np.clip(2 * x, -1, 1), 0.97),
    "11 kHz": (lambda x: soxr.resample(soxr.resample(x, 16_000, 11_025), 11_025, 16_000), 0.98),
    "trimmed": (_trimmed, 0.85),
    "trimmed, G.711, -8 dB": (
        lambda x: decode_bytes(encode(_trimmed(x), "wav", "pcm_mulaw", 8000), "x") * 0.4,
        0.85,
    ),
}


@pytest.mark.parametrize("change", _CHANGES)
def test_what_happens_to_recordings_leaves_them_near(
    voice: dict[str, Samples], change: str
) -> None:
    apply, expected = _CHANGES[change]
    chosen = [samples for samples in voice.values() if samples.size > SAMPLE_RATE // 2][::9]
    before = [fingerprint(samples) for samples in chosen]
    after = [fingerprint(apply(samples).astype(np.float32)) for samples in chosen]
    found = np.array([similarity(*pair) for pair in zip(before, after, strict=True)])
    share = float((found >= NEAR).mean())
    assert share >= expected, f"{share:.3f} of {len(found)} clips; lowest {np.sort(found)[:5]}"
    # The index finds nearly all of them, and little else.
    pairs = {(one, other) for one, other, _ in near_pairs(before + after)}
    wanted = {(n, n + len(chosen)) for n, score in enumerate(found) if score >= NEAR}
    assert len(pairs & wanted) >= (0.8 if "trimmed" in change else 0.9) * len(wanted)


def test_other_recordings_of_a_voice_are_not_near(voice: dict[str, Samples]) -> None:
    names = sorted(voice)
    prints = [fingerprint(voice[name]) for name in names]
    # One recording that the speaker's publisher shipped under several names.
    same = [{"auth-thankyou", "privacy-thankyou"}, {"queue-seconds", "seconds"}]
    near = [
        (names[one], names[other], score)
        for one, other, score in near_pairs(prints)
        if {names[one], names[other]} not in same
    ]
    # Of 160,000 pairs: words with a beginning in common, "30" and "40".
    assert len(near) <= 3, near
    found = {frozenset((names[one], names[other])) for one, other, _ in near_pairs(prints)}
    assert all(frozenset(pair) in found for pair in same)


def test_single_letters_and_digits_are_told_apart(voice: dict[str, Samples]) -> None:
    """Short ones have least to go by; every pair is compared."""
    short = {name: fingerprint(x) for name, x in voice.items() if x.size < 0.8 * SAMPLE_RATE}
    names = sorted(short)
    pairs = [(one, other) for at, one in enumerate(names) for other in names[at + 1 :]]
    scores = {pair: similarity(short[pair[0]], short[pair[1]]) for pair in pairs}
    near = {pair: score for pair, score in scores.items() if score >= NEAR}
    assert len(pairs) > 3000
    assert len(near) <= 2, near
