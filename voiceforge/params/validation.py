"""What an utterance must be like to be trained on or measured with; `data.validation` judges."""

from __future__ import annotations

from pydantic import Field, model_validator

from voiceforge.params.base import Positive, Share, Strict


class AgreementParams(Strict):
    """Whether the base model hears anything like the transcript."""

    enabled: bool = Field(
        description="Whether the base model's engine hears what people say and compares. Synthetic "
        "speech says its text by construction and is never heard."
    )
    maximum_errors: float = Field(
        gt=0.0,
        description="Character error rate of the base model above which a transcript is suspect.",
    )
    minimum_characters: Positive = Field(
        description="Texts with fewer characters, normalised, are not judged: of a letter or a "
        "name the base model knows too little."
    )


class ValidationParams(Strict):
    """Bounds of one utterance; what lies beyond goes to quarantine."""

    minimum_seconds: float = Field(ge=0.0, le=30.0, description="Shortest utterance (s).")
    maximum_seconds: float = Field(
        gt=0.0, le=30.0, description="Longest utterance (s); Whisper hears 30 s at once."
    )
    minimum_characters_per_second: float = Field(
        ge=0.0,
        description="Fewest letters and digits of the text for a second of speech; with fewer, "
        "words are missing from the text.",
    )
    maximum_characters_per_second: float = Field(
        gt=0.0,
        description="Most letters and digits of the text for a second of audio; nobody speaks "
        "faster, so words are missing from the audio.",
    )
    foreign_letters: Share = Field(
        description="Largest share of letters in a script that the language is not written in."
    )
    clipping: Share = Field(description="Largest share of samples that are clipped.")
    silence: Share = Field(description="Largest share of silence.")
    dc_offset: Share = Field(description="Largest mean sample, of full scale.")
    minimum_level: float = Field(
        ge=-96.0, le=0.0, description="Least active level (dBFS); what is quieter is noise."
    )
    minimum_bandwidth: float = Field(
        ge=0.0,
        le=8000.0,
        description="Least bandwidth (Hz). Telephone speech has about 4,000; hums, tones and what "
        "no words can be made out in have less.",
    )
    minimum_speech: float = Field(
        ge=0.0,
        le=30.0,
        description="Least speech (s) that a voice activity detector hears in a clip of a second "
        "or more.",
    )
    near_duplicates: Share = Field(
        description="Similarity of acoustic fingerprints from which on two recordings of people "
        "count as one; 1 for none but equal ones."
    )
    require_consent: bool = Field(
        description="Whether a speaker's consent must be known to be granted. A refusal always "
        "keeps an utterance out."
    )
    licences: tuple[str, ...] = Field(
        description="Licences that are allowed, as sources spell them; an empty list allows any."
    )
    agreement: AgreementParams

    @model_validator(mode="after")
    def _ordered(self) -> ValidationParams:
        for least, most in (
            ("minimum_seconds", "maximum_seconds"),
            ("minimum_characters_per_second", "maximum_characters_per_second"),
        ):
            low, high = getattr(self, least), getattr(self, most)
            if low >= high:
                raise ValueError(f"{least} {low:g} must be below {most} {high:g}")
        return self
