"""What happens to each drawn clip of a training, in the order of a call.

A speaker talks (speed) in a room (room) that is not silent (noise) into a telephone (codec) over a
network (packet loss); the model's ears may miss parts (SpecAugment). A recipe depends on the seed
and the draw's position in the plan alone, effect by effect: switching one on or off leaves what
the others do as it was.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from data.audio import Samples
from data.augmentation.codecs import through_codec
from data.augmentation.noise import add_noise, babble, pink_noise, white_noise
from data.augmentation.packet_loss import PACKET, conceal, draw_losses
from data.augmentation.rooms import Room, draw_room, impulse_response, reverberate
from data.augmentation.samples import generator
from data.augmentation.spec_augment import mask
from data.augmentation.speed import change_speed
from data.features import FRAMES_PER_SECOND, HOP, WINDOW_FRAMES, Floats
from voiceforge.errors import UsageError
from voiceforge.params import AugmentationParams, CodecKind, Concealment, NoiseKind

_WINDOW_SECONDS = WINDOW_FRAMES / FRAMES_PER_SECOND


@dataclass(frozen=True, slots=True)
class Noise:
    """Noise at `snr` dB below the speech; `talkers` voices where it is babble."""

    kind: NoiseKind
    snr: float
    talkers: int


@dataclass(frozen=True, slots=True)
class Codec:
    """A codec; the bit rate (bit/s) is that of Opus."""

    kind: CodecKind
    bit_rate: int


@dataclass(frozen=True, slots=True)
class PacketLoss:
    """Loss of a share `rate` of the packets, `burst` in a row on average."""

    rate: float
    burst: float
    concealment: Concealment


@dataclass(frozen=True, slots=True)
class Recipe:
    """What happens to one draw; None for an effect that leaves it alone.

    Attributes:
        key: what random samples and places of masks depend on.
        speed: 1 for unchanged.
        room: number of a room of the training.
    """

    key: tuple[int, int]
    speed: float = 1.0
    room: int | None = None
    noise: Noise | None = None
    codec: Codec | None = None
    packet_loss: PacketLoss | None = None
    specaugment: bool = False


def draw_recipe(params: AugmentationParams, seed: int, position: int, seconds: float) -> Recipe:
    """The recipe of one draw.

    Args:
        params: the effects, their probabilities and ranges.
        seed: of the training.
        position: of the draw in the plan: how many came before it.
        seconds: duration of the clip; nothing becomes so slow that it leaves the 30 s window.
    """

    def drawn(effect: str) -> np.random.Generator | None:
        probability = params.effects[effect].probability
        if not probability:
            return None
        rng = generator(seed, position, effect)
        return rng if rng.random() < probability else None

    speed, room, noise, codec, loss = 1.0, None, None, None, None
    if rng := drawn("speed"):
        speed = max(float(rng.uniform(*params.speed.ratio)), seconds / _WINDOW_SECONDS)
    if rng := drawn("room"):
        room = int(rng.integers(params.room.rooms))
    if rng := drawn("noise"):
        kind = params.noise.kinds[rng.integers(len(params.noise.kinds))]
        snr = float(rng.uniform(*params.noise.snr))
        noise = Noise(kind, snr, _whole(params.noise.talkers, rng))
    if rng := drawn("codec"):
        name = params.codec.kinds[rng.integers(len(params.codec.kinds))]
        codec = Codec(name, _whole(params.codec.bit_rate, rng))
    if rng := drawn("packet_loss"):
        lossy = params.packet_loss
        rate, burst = (float(rng.uniform(*ends)) for ends in (lossy.rate, lossy.burst))
        loss = PacketLoss(rate, burst, lossy.concealment[rng.integers(len(lossy.concealment))])
    masks = drawn("specaugment") is not None
    return Recipe((seed, position), speed, room, noise, codec, loss, masks)


def _whole(ends: tuple[int, int], rng: np.random.Generator) -> int:
    return int(rng.integers(ends[0], ends[1], endpoint=True))


@dataclass(frozen=True)
class Augmenter:
    """Applies recipes to the clips of one training.

    Attributes:
        params: the effects.
        seed: of the training.
        clips: how many clips the training has.
        read: the samples of one of them; babble is mixed from others than the clip itself.

    Raises:
        UsageError: babble is asked for, and there is no other clip to mix it from.
    """

    params: AugmentationParams
    seed: int
    clips: int
    read: Callable[[int], Samples]
    _responses: dict[int, Samples] = field(default_factory=dict)

    def __post_init__(self) -> None:
        noise = self.params.noise
        if noise.probability and "babble" in noise.kinds and self.clips < 2:
            raise UsageError(
                "training.augmentation.noise.kinds has babble, which is mixed from other training "
                f"clips, and there are {self.clips} clips. Take babble out of it in params.yaml."
            )

    def recipe(self, position: int, seconds: float) -> Recipe:
        """The recipe of the draw at that position, of a clip of that duration."""
        return draw_recipe(self.params, self.seed, position, seconds)

    def room(self, number: int) -> Room:
        """A room of this training."""
        ranges = self.params.room
        return draw_room(generator(self.seed, "rooms", number), ranges.rt60, ranges.distance)

    def hear(self, clip: int, samples: Samples, recipe: Recipe) -> Samples:
        """A clip after every effect of its recipe but SpecAugment.

        Args:
            clip: its number.
            samples: its samples.

        Returns:
            `speed.changed_length` samples: only speed changes how many there are.
        """
        samples = change_speed(samples, recipe.speed)
        if recipe.room is not None:
            samples = reverberate(samples, self._response(recipe.room))
        if recipe.noise is not None:
            rng = generator(*recipe.key, "noise samples")
            present = self._noise(recipe.noise, clip, len(samples), rng)
            samples = add_noise(samples, present, recipe.noise.snr)
        if recipe.codec is not None:
            samples = through_codec(samples, recipe.codec.kind, recipe.codec.bit_rate)
        if recipe.packet_loss is not None:
            lost = self.losses(recipe, len(samples))
            samples = conceal(samples, lost, recipe.packet_loss.concealment)
        return samples

    def see(self, mel: Floats, samples: int, recipe: Recipe) -> Floats:
        """A mel [n_mels, width] of `samples` samples and padding after SpecAugment."""
        if not recipe.specaugment:
            return mel
        rng = generator(*recipe.key, "masks")
        return mask(mel, samples // HOP, self.params.specaugment, rng)

    def losses(self, recipe: Recipe, length: int) -> npt.NDArray[np.bool_]:
        """Which packets of 20 ms of a clip of `length` samples are lost."""
        packets, loss = math.ceil(length / PACKET), recipe.packet_loss
        if loss is None:
            return np.zeros(packets, dtype=np.bool_)
        return draw_losses(packets, loss.rate, loss.burst, generator(*recipe.key, "packets"))

    def _noise(self, noise: Noise, clip: int, length: int, rng: np.random.Generator) -> Samples:
        if noise.kind == "white":
            return white_noise(length, rng)
        if noise.kind == "pink":
            return pink_noise(length, rng)
        others = rng.integers(self.clips - 1, size=noise.talkers)
        return babble(length, [self.read(int(one + (one >= clip))) for one in others], rng)

    def _response(self, number: int) -> Samples:
        if number not in self._responses:
            self._responses[number] = impulse_response(self.room(number))
        return self._responses[number]
