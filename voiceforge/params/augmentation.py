"""How clips are changed while a model trains on them; `data.augmentation` does it."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field

from voiceforge.params.base import Between, Share, Strict

NoiseKind = Literal["white", "pink", "babble"]
CodecKind = Literal["mu-law", "a-law", "gsm", "opus"]
Concealment = Literal["zero", "repeat"]


class Effect(Strict):
    """What every effect has."""

    probability: Share = Field(description="Share of the drawn clips that the effect changes.")


class SpeedParams(Effect):
    """Faster or slower speech, its pitch with it."""

    ratio: Annotated[tuple[float, float], AfterValidator(Between(0.5, 2.0))] = Field(
        description="Speed, 1 for unchanged; a clip never becomes longer than the 30 s window."
    )


class RoomParams(Effect):
    """Reverberation of simulated rooms."""

    rt60: Annotated[tuple[float, float], AfterValidator(Between(0.1, 1.2, "seconds"))] = Field(
        description="Reverberation time: until the sound of the room is 60 dB down."
    )
    distance: Annotated[tuple[float, float], AfterValidator(Between(0.1, 5.0, "metres"))] = Field(
        description="From the mouth to the microphone; less in rooms that are smaller."
    )
    rooms: Annotated[int, Field(ge=1, le=500)] = Field(
        description="Different rooms in a training. Each is simulated when it is first drawn, in "
        "about 0.1 s."
    )


class NoiseParams(Effect):
    """Noise under the speech."""

    kinds: tuple[NoiseKind, ...] = Field(
        min_length=1, description="One is drawn; babble is a mix of other training clips."
    )
    snr: Annotated[tuple[float, float], AfterValidator(Between(-10.0, 60.0, "dB"))] = Field(
        description="Active speech level (ITU-T P.56) above the level of the noise."
    )
    talkers: Annotated[tuple[int, int], AfterValidator(Between(2, 20))] = Field(
        description="Voices in a babble."
    )


class CodecParams(Effect):
    """Speech codecs; all but Opus through an 8 kHz telephone line (300 to 3400 Hz)."""

    kinds: tuple[CodecKind, ...] = Field(
        min_length=1, description="One is drawn; gsm is GSM 06.10 full rate."
    )
    bit_rate: Annotated[tuple[int, int], AfterValidator(Between(6000, 64000, "bit/s"))] = Field(
        description="Of Opus. Below about 9,000 bit/s it keeps no more than a telephone line does."
    )


class PacketLossParams(Effect):
    """Lost packets of 20 ms, in bursts."""

    rate: Annotated[tuple[float, float], AfterValidator(Between(0.0, 0.5))] = Field(
        description="Share of packets lost."
    )
    burst: Annotated[tuple[float, float], AfterValidator(Between(1.0, 20.0, "packets"))] = Field(
        description="Mean length of a burst of lost packets."
    )
    concealment: tuple[Concealment, ...] = Field(
        min_length=1,
        description="What stands in for a lost packet, one drawn a clip: silence, or the last "
        "packet that came, fading.",
    )


class SpecAugmentParams(Effect):
    """Masks on the mel spectrogram (Park et al. 2019)."""

    time_masks: Annotated[int, Field(ge=0, le=20)] = Field(description="Masks in time.")
    time_share: Annotated[float, Field(ge=0.0, le=0.5)] = Field(
        description="Widest mask in time, as a share of the clip (padding not counted)."
    )
    frequency_masks: Annotated[int, Field(ge=0, le=20)] = Field(description="Masks in frequency.")
    frequency_share: Annotated[float, Field(ge=0.0, le=0.5)] = Field(
        description="Widest mask in frequency, as a share of the mel bands."
    )


class AugmentationParams(Strict):
    """Effects in the order in which a call meets them. Each is off at probability 0."""

    speed: SpeedParams
    room: RoomParams
    noise: NoiseParams
    codec: CodecParams
    packet_loss: PacketLossParams
    specaugment: SpecAugmentParams

    @property
    def effects(self) -> dict[str, Effect]:
        """Every effect by its key, in order."""
        return {name: getattr(self, name) for name in type(self).model_fields}

    @property
    def is_on(self) -> bool:
        """Whether anything is ever changed."""
        return any(effect.probability > 0.0 for effect in self.effects.values())

    def outcome(self) -> dict[str, Any]:
        """What a training's outcome depends on: nothing of effects that are off."""
        fields = self.model_dump(mode="json")
        return {name: fields[name] for name, effect in self.effects.items() if effect.probability}
