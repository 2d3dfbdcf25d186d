"""A domain: everything its lifecycle is made from."""

from __future__ import annotations

from pydantic import Field, field_validator

from voiceforge.cron import cron_problem
from voiceforge.params.base import DOMAIN_NAME, LanguageCode, Share, Strict
from voiceforge.params.evaluation import EngineParams, EvaluationParams, GatesParams
from voiceforge.params.sources import Source
from voiceforge.params.splits import SplitParams
from voiceforge.params.training import TrainingParams
from voiceforge.params.validation import ValidationParams


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
    engine: EngineParams
    evaluation: EvaluationParams
    gates: GatesParams
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
