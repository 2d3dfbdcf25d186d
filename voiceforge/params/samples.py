"""Kinds of training samples beside plain transcripts; `training.samples` says what each is."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, model_validator

from voiceforge.params.base import Between, Share, Strict

NoSpeechSound = Literal["silence", "white", "pink", "tones", "pause"]


class SampleParams(Strict):
    """Shares of the draws; what they leave of 1 are plain transcripts."""

    timestamps: Share = Field(
        description="Share of the draws whose transcripts have Whisper's time tokens; half of "
        "them are two clips in a row."
    )
    prompted: Share = Field(
        description="Share of the draws that follow a prompt: words of their own transcript among "
        "words of others, only words of others, or another transcript."
    )
    no_speech: Share = Field(
        description="Share of the draws in which nobody speaks (silence, noise, tones of a "
        "telephone, the pauses of a clip) and the transcript is empty."
    )
    prefix: Share = Field(
        description="Share of the draws that are cut in mid-utterance, with the words up to the "
        "cut. Words are found by spaces: not for Chinese, Japanese, Thai, Lao, Burmese, Khmer."
    )
    leading_silence: Share = Field(
        description="Share of the draws with silence before the speech, for `silence_before`."
    )
    silence_before: Annotated[
        tuple[float, float], AfterValidator(Between(0.0, 10.0, "seconds"))
    ] = Field(description="Least and most seconds of silence before the speech.")

    @model_validator(mode="after")
    def _leave_the_rest(self) -> SampleParams:
        total = sum(self.shares.values())
        if total > 1.0 + 1e-9:
            raise ValueError(f"the shares may add up to 1 at most, and are {total:g}")
        return self

    @property
    def shares(self) -> dict[str, float]:
        """Every share by its key, in order."""
        return {name: getattr(self, name) for name in type(self).model_fields if name != _RANGE}

    @property
    def is_on(self) -> bool:
        """Whether any draw is not plain."""
        return any(self.shares.values())

    def outcome(self) -> dict[str, Any]:
        """What a training's outcome depends on: nothing of kinds that are off."""
        fields = self.model_dump(mode="json")
        used = {name: fields[name] for name, share in self.shares.items() if share}
        return {**used, _RANGE: fields[_RANGE]} if self.leading_silence else used


_RANGE = "silence_before"
