"""A domain: everything its lifecycle is made from."""

from __future__ import annotations

from pydantic import Field, field_validator

from voiceforge.cron import cron_problem
from voiceforge.params.base import DOMAIN_NAME, LanguageCode, Share, Strict
from voiceforge.params.energy import EnergyParams
from voiceforge.params.evaluation import EngineParams, EvaluationParams, GatesParams
from voiceforge.params.sources import EspeakSource, PiperSource, Source, TermsSource
from voiceforge.params.splits import SplitParams
from voiceforge.params.training import TrainingParams
from voiceforge.params.validation import ValidationParams
from voiceforge.params.vocabulary import VocabularyParams


class DomainParams(Strict):
    """Everything the lifecycle of one domain is made from."""

    name: str = Field(pattern=DOMAIN_NAME)
    language: LanguageCode = Field(
        description="Language of the speech, an ISO 639 code of two or three letters."
    )
    base_model: str = Field(
        description="Name in the catalogue ([data-sources.md](data-sources.md)), or the path of a "
        "Hugging Face Whisper folder with safetensors weights, or of a `.nemo` file where "
        "`training.backend` is nemo."
    )
    sources: tuple[Source, ...] = Field(
        min_length=1, description="Where the speech comes from, at least one."
    )
    validation: ValidationParams
    splits: SplitParams
    training: TrainingParams
    vocabulary: VocabularyParams = VocabularyParams()
    engine: EngineParams
    evaluation: EvaluationParams
    gates: GatesParams
    energy: EnergyParams = EnergyParams()
    quarantine_limit: Share = Field(
        description="Largest share of recordings that may be unusable before the run stops."
    )
    schedule: str = Field(
        description="When the schedule, once switched on, runs the domain: a cron line of five "
        "fields in UTC."
    )

    @field_validator("schedule")
    @classmethod
    def _cron(cls, value: str) -> str:
        if problem := cron_problem(value):
            raise ValueError(f"{problem}; a cron line is such as '0 3 * * 1'")
        return value

    @field_validator("sources")
    @classmethod
    def _voices_agree(cls, value: tuple[Source, ...]) -> tuple[Source, ...]:
        """A voice is a speaker and stays in one split, whichever source it speaks for."""
        place: dict[tuple[str, str], str] = {}
        piper = {source.voice for source in value if isinstance(source, PiperSource)}
        for number, source in enumerate(value):
            if not isinstance(source, EspeakSource | TermsSource):
                continue
            for split, voices in source.voices:
                for key in ((accent, voice) for accent in source.accents for voice in voices):
                    if place.setdefault(key, split) != split:
                        raise ValueError(
                            f"sources.{number}.voices: the voice {'+'.join(key)} is in {split}, "
                            f"and in {place[key]} in another source; a voice belongs to one split"
                        )
            if both := piper & set(getattr(source, "piper_voices", ())):
                raise ValueError(
                    f"sources.{number}.piper_voices: the voice {min(both)} speaks for a source of "
                    "the kind piper as well, which is heard in every split; only training may hear "
                    "the voices of terms"
                )
        return value
