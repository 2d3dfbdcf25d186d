"""The kinds of sources that a domain's corpus may be built from; `data.sources` reads each."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from voiceforge.params.base import Consent, LanguageCode, Positive, Strict

PromptLanguage = Literal["en", "es", "fr", "it", "ru"]


class _OwnRecordings(Strict):
    """What sources of a user's own recordings have in common."""

    path: str = Field(description="Where it lies, absolute or relative to params.yaml.")
    language: LanguageCode = Field(description="Language of rows that name none.")
    licence: str = Field(default="unknown", description="Licence of rows that name none.")
    consent: Consent = Field(
        default="unknown", description="Whether the speakers of rows that say nothing agreed."
    )


class FolderSource(_OwnRecordings):
    """Your own recordings: a folder with a CSV or TSV of `audio,text[,speaker,accent,...]`
    ([adapt.md](adapt.md))."""

    kind: Literal["folder"] = Field(description="This kind of source.")
    table: str | None = Field(
        default=None,
        description="Name of the CSV or TSV, needed where the folder holds several.",
    )


class PromptsSource(Strict):
    """Telephone prompts that a professional speaker reads."""

    kind: Literal["prompts"] = Field(description="This kind of source.")
    language: PromptLanguage = Field(description="Which of the catalogue's prompts.")


class Voices(Strict):
    """eSpeak voice variants by split: a voice is a speaker, and no split hears another's."""

    train: tuple[str, ...] = Field(min_length=1, description="Voice variants that training hears.")
    dev: tuple[str, ...] = Field(min_length=1, description="Voice variants of dev.")
    test: tuple[str, ...] = Field(
        min_length=1,
        description="Voice variants of test. No variant may be in two of the three lists.",
    )

    @model_validator(mode="after")
    def _disjoint(self) -> Voices:
        every = [*self.train, *self.dev, *self.test]
        shared = sorted({voice for voice in every if every.count(voice) > 1})
        if shared:
            raise ValueError(f"the voice {shared[0]} is named twice; each belongs to one split")
        return self


class ClipsPerAccent(Strict):
    train: Positive = Field(description="Clips for training, of each accent.")
    dev: Positive = Field(description="Clips for dev, of each accent.")


class EspeakSource(Strict):
    """Synthetic accents: eSpeak NG speaks the texts of another source."""

    kind: Literal["espeak"] = Field(description="This kind of source.")
    texts: Literal["prompts"] = Field(description="Whose texts are spoken.")
    language: PromptLanguage = Field(description="Language of the texts and voices.")
    accents: tuple[str, ...] = Field(
        min_length=1, description="eSpeak accents, such as `en-gb-scotland`."
    )
    voices: Voices
    clips_per_accent: ClipsPerAccent
    words_per_accent: Positive = Field(
        description="Held-out words of each accent, as far as texts and test voices reach."
    )


Source = Annotated[PromptsSource | EspeakSource | FolderSource, Field(discriminator="kind")]
SOURCES: tuple[type[Strict], ...] = (FolderSource, PromptsSource, EspeakSource)
"""Every kind, in the order of docs/parameters.md; `Source` is their union."""
