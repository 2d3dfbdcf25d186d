"""The chain: what a draw meets depends on seed and position alone, in every process."""

from __future__ import annotations

import hashlib
import os
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.audio import Samples
from data.augmentation.chain import Augmenter, Recipe, draw_recipe
from data.augmentation.codecs import through_codec
from data.augmentation.rooms import impulse_response, reverberate
from data.augmentation.speed import change_speed
from data.features import log_mel
from voiceforge.errors import UsageError
from voiceforge.params import AugmentationParams

EFFECTS = ("speed", "room", "noise", "codec", "packet_loss", "specaugment")


def on(params: AugmentationParams, probability: float = 1.0, *names: str) -> AugmentationParams:
    """The effects of these names at a probability, the others as they are; all by default."""
    update = {
        name: params.effects[name].model_copy(update={"probability": probability})
        for name in names or EFFECTS
    }
    return params.model_copy(update=update)


def has(recipe: Recipe, name: str) -> bool:
    return bool(getattr(recipe, name) != getattr(Recipe((0, 0)), name))


def augmenter(params: AugmentationParams, voices: list[Samples], seed: int = 7) -> Augmenter:
    return Augmenter(params, seed, len(voices), voices.__getitem__)


def test_the_shipped_parameters_change_nothing(shipped: AugmentationParams) -> None:
    assert not shipped.is_on
    assert {draw_recipe(shipped, 1, at, 3.0) for at in range(50)} == {
        Recipe((1, at)) for at in range(50)
    }
    assert all(on(shipped, 0.1, name).is_on for name in EFFECTS)


@settings(max_examples=50)
@given(st.integers(), st.integers(0, 10**9), st.sampled_from(EFFECTS))
def test_an_effect_is_the_same_whatever_the_others_do(
    shipped: AugmentationParams, seed: int, position: int, name: str
) -> None:
    alone = draw_recipe(on(shipped, 1.0, name), seed, position, 3.0)
    together = draw_recipe(on(shipped), seed, position, 3.0)
    assert getattr(alone, name) == getattr(together, name)
    assert has(alone, name)


def test_probabilities_are_those_of_the_parameters_and_values_within_their_ranges(
    shipped: AugmentationParams,
) -> None:
    params = on(on(shipped, 0.25), 0.8, "noise")
    recipes = [draw_recipe(params, 3, position, 3.0) for position in range(2000)]
    for name in EFFECTS:
        share = np.mean([has(recipe, name) for recipe in recipes])
        assert share == pytest.approx(0.8 if name == "noise" else 0.25, abs=0.04)
    both = np.mean([recipe.room is not None and recipe.codec is not None for recipe in recipes])
    assert both == pytest.approx(1 / 16, abs=0.02)  # independent of each other
    noises = [recipe.noise for recipe in recipes if recipe.noise]
    assert {noise.kind for noise in noises} == {"white", "pink", "babble"}
    assert {noise.talkers for noise in noises} == set(range(3, 9))
    assert 5.0 <= min(noise.snr for noise in noises) < max(noise.snr for noise in noises) <= 25.0
    codecs = [recipe.codec for recipe in recipes if recipe.codec]
    assert {codec.kind for codec in codecs} == {"mu-law", "a-law", "gsm", "opus"}
    assert all(0.9 <= recipe.speed <= 1.1 for recipe in recipes)
    assert {recipe.room for recipe in recipes} == {None, *range(params.room.rooms)}


PROGRAM = """
import hashlib, sys
from pathlib import Path
from data.audio import read_flac
from data.augmentation.chain import Augmenter
from data.features import log_mel
from voiceforge.params import AugmentationParams
params = AugmentationParams.model_validate_json(sys.argv[1])
voices = [read_flac(Path(name)) for name in sys.argv[2:]]
augmenter = Augmenter(params, 11, len(voices), voices.__getitem__)
for position in (5, 0, 3):
    recipe = augmenter.recipe(position, 2.0)
    heard = augmenter.hear(0, voices[0], recipe)
    seen = augmenter.see(log_mel(heard, 80, 900), len(heard), recipe)
    print(position, hashlib.sha256(heard.tobytes() + seen.tobytes()).hexdigest())
"""


def test_another_process_gives_equal_samples_in_any_order(
    shipped: AugmentationParams, voices: list[Samples], tmp_path: Path, project: Path
) -> None:
    from data.audio import read_flac, write_flac

    paths = [tmp_path / f"{number}.flac" for number in range(len(voices))]
    for path, voice in zip(paths, voices, strict=True):
        write_flac(path, voice)
    params = on(shipped)
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, params.model_dump_json(), *map(str, paths)],
        capture_output=True, text=True, check=True, cwd=project,
        env={**os.environ, "PRA_NUM_THREADS": "3"},
    )  # fmt: skip
    theirs = dict(line.split() for line in done.stdout.splitlines())
    ours = augmenter(params, [read_flac(path) for path in paths], seed=11)
    first = read_flac(paths[0])
    for position in (0, 3, 5):
        recipe = ours.recipe(position, 2.0)
        heard = ours.hear(0, first, recipe)
        seen = ours.see(log_mel(heard, 80, 900), len(heard), recipe)
        digest = hashlib.sha256(heard.tobytes() + seen.tobytes()).hexdigest()
        assert theirs[str(position)] == digest
    assert len(set(theirs.values())) == 3


def test_random_numbers_of_others_are_neither_used_nor_moved_on(
    shipped: AugmentationParams, voices: list[Samples]
) -> None:
    """What the same process draws meanwhile (dropout, shuffling) stays as it was."""
    chain = augmenter(on(shipped), voices)
    np.random.seed(1)
    random.seed(1)
    first = chain.hear(0, voices[0], chain.recipe(4, 2.0))
    drawn = float(np.random.random()), random.random()
    again = augmenter(on(shipped), voices)
    np.random.seed(1)
    random.seed(1)
    assert drawn == (float(np.random.random()), random.random())
    np.testing.assert_array_equal(first, again.hear(0, voices[0], again.recipe(4, 2.0)))


def test_effects_come_in_the_order_of_a_call(
    shipped: AugmentationParams, voices: list[Samples]
) -> None:
    """Speed, then room, then codec: the same as the effects one by one, and no other order is."""
    chain = augmenter(on(shipped, 1.0, "speed", "room", "codec"), voices)
    recipe = chain.recipe(0, 3.0)
    assert recipe.room is not None
    assert recipe.codec is not None
    response = impulse_response(chain.room(recipe.room))
    codec = recipe.codec.kind, recipe.codec.bit_rate
    by_hand = through_codec(reverberate(change_speed(voices[0], recipe.speed), response), *codec)
    heard = chain.hear(0, voices[0], recipe)
    np.testing.assert_array_equal(heard, by_hand)
    codec_first = reverberate(
        change_speed(through_codec(voices[0], *codec), recipe.speed), response
    )
    assert not np.allclose(heard, codec_first, atol=1e-3)


@settings(max_examples=25)
@given(st.integers(0, 10_000), st.integers(0, 40_000), st.floats(0.0, 1.0))
def test_any_clip_keeps_the_length_of_its_speed_and_the_range(
    shipped: AugmentationParams, voices: list[Samples], position: int, length: int, gain: float
) -> None:
    narrow = shipped.room.model_copy(update={"rt60": (0.15, 0.25), "rooms": 3})
    chain = augmenter(on(shipped.model_copy(update={"room": narrow}), 0.7), voices, seed=1)
    chain._responses.update(RESPONSES)
    clip = np.resize(voices[1] / np.abs(voices[1]).max(), length) * np.float32(gain)
    recipe = chain.recipe(position, length / 16_000)
    heard = chain.hear(1, clip, recipe)
    RESPONSES.update(chain._responses)
    assert len(heard) == round(length / recipe.speed)
    assert heard.dtype == np.float32
    assert np.isfinite(heard).all()
    assert np.abs(heard).max(initial=0.0) <= 1.0


RESPONSES: dict[int, Samples] = {}


@given(st.floats(1.0, 30.0), st.integers(0, 500))
def test_a_slower_clip_still_fits_the_window(
    shipped: AugmentationParams, seconds: float, position: int
) -> None:
    recipe = draw_recipe(on(shipped, 1.0, "speed"), 4, position, seconds)
    assert seconds / recipe.speed <= 30.0 + 1e-9
    assert recipe.speed >= 0.9


def test_babble_is_mixed_from_other_clips_than_the_one_it_lies_under(
    shipped: AugmentationParams, voices: list[Samples]
) -> None:
    only = shipped.noise.model_copy(update={"kinds": ("babble",), "probability": 1.0})
    params = shipped.model_copy(update={"noise": only})
    heard: list[int] = []

    def read(clip: int) -> Samples:
        heard.append(clip)
        return voices[clip]

    for clip in range(len(voices)):
        heard.clear()
        chain = Augmenter(params, 5, len(voices), read)
        for position in range(8):
            chain.hear(clip, voices[clip], chain.recipe(position, 2.0))
        assert set(heard) == set(range(len(voices))) - {clip}
    with pytest.raises(UsageError, match="babble, which is mixed from other training clips"):
        Augmenter(params, 5, 1, read)


def test_a_room_is_simulated_once_and_only_when_it_is_drawn(
    shipped: AugmentationParams, voices: list[Samples], monkeypatch: pytest.MonkeyPatch
) -> None:
    from data.augmentation import chain as module

    simulated: list[Any] = []

    def counting(room: Any) -> Samples:
        simulated.append(room)
        return impulse_response(room)

    monkeypatch.setattr(module, "impulse_response", counting)
    few = shipped.room.model_copy(update={"rooms": 2, "probability": 1.0, "rt60": (0.15, 0.2)})
    chain = augmenter(shipped.model_copy(update={"room": few}), voices)
    assert simulated == []
    for position in range(12):
        chain.hear(0, voices[1], chain.recipe(position, 2.0))
    assert len(simulated) == len(set(simulated)) == 2
    assert all(0.15 <= room.rt60 <= 0.2 for room in simulated)
