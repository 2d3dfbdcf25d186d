"""How engines are built and models compared, and what lets one through."""

from __future__ import annotations

from typing import Any, Literal, get_args

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from voiceforge.params.base import Positive, Strict

EngineName = Literal[
    "ctranslate2:int8",
    "ctranslate2:int8_float32",
    "ctranslate2:float32",
    "onnxruntime:int8",
    "onnxruntime:int8_static",
    "onnxruntime:float32",
]
"""Kind and precision of an engine that a domain may be served by."""


class EngineParams(Strict):
    kind: Literal["ctranslate2", "onnxruntime"] = Field(description="Inference engine.")
    precision: Literal["int8", "int8_float32", "float32"] = Field(
        description="Precision of the engine's weights."
    )
    alternatives: tuple[EngineName, ...] = Field(
        default=(),
        description="Further engines, as KIND:PRECISION. Each is built and checked on dev like the "
        "first; of those that pass, the fastest goes on to the tests ([engines.md](engines.md)).",
    )
    trailing_silence: float = Field(
        ge=0.0, le=10.0, description="Seconds of silence that the engine adds to each clip."
    )
    margin: float = Field(
        ge=0.0,
        le=100.0,
        description="Largest loss of word error rate, in points, that the precision may surely "
        "cost on dev.",
    )

    @property
    def names(self) -> tuple[str, ...]:
        """Every engine that is built, the first one first."""
        return (f"{self.kind}:{self.precision}", *self.alternatives)

    @model_validator(mode="after")
    def _each_is_one_engine(self) -> EngineParams:
        first, known = self.names[0], get_args(EngineName)
        if first not in known:
            raise ValueError(f"there is no engine {first}; there is: {', '.join(known)}")
        if twice := [name for name in self.names if self.names.count(name) > 1]:
            raise ValueError(f"{twice[0]} is named twice: alternatives are further engines")
        return self

    @model_serializer(mode="wrap")
    def _without_what_is_not_asked(self, plain: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """As of `EvaluationParams`: without alternatives the hash is that of before there were."""
        fields: dict[str, Any] = plain(self)
        if not self.alternatives:
            del fields["alternatives"]
        return fields


class EvaluationParams(Strict):
    normaliser: Literal["whisper-english", "whisper-basic", "raw"] = Field(
        description="How texts are normalised before words are counted. English: "
        "`whisper-english`; other languages: `whisper-basic`; `raw` compares as written."
    )
    replacements: str | None = Field(
        default=None,
        min_length=1,
        description="File of words and what they become (TSV or YAML), absolute or relative to "
        "params.yaml: applied after the normaliser wherever a report or certificate counts words "
        "([metrics.md](metrics.md#texts-before-words)).",
    )
    confidence: float = Field(gt=0.5, lt=1.0, description="Coverage of every interval.")
    resamples: int = Field(ge=200, description="Bootstrap resamples behind every interval.")
    batch_size: Positive = Field(description="Clips decoded together.")
    base_words_per_accent: Positive = Field(
        description="The padded base model hears about this many words of each synthetic accent."
    )
    base_human_words: Positive = Field(
        description="The padded base model hears about this many words of people, of each accent. "
        "More words, narrower intervals, a slower run."
    )
    latency_clips: int = Field(ge=8, description="Clips that latency is measured on.")
    seed: int = Field(description="Seed of the base model's sample and of the resamples.")

    @model_serializer(mode="wrap")
    def _without_what_is_not_asked(self, plain: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Without replacements the parameters are those of before there were any, and so is their
        hash in certificates."""
        fields: dict[str, Any] = plain(self)
        if self.replacements is None:
            del fields["replacements"]
        return fields


class GateParams(Strict):
    kind: Literal["superiority", "non-inferiority", "off"]
    margin: float = Field(ge=0.0, le=100.0)

    @model_validator(mode="after")
    def _better_has_no_margin(self) -> GateParams:
        if self.kind == "superiority" and self.margin:
            raise ValueError(
                "superiority means better than the reference and has no margin: set margin to 0.0, "
                "or kind to non-inferiority"
            )
        return self


class GatesParams(Strict):
    """Margins are points of word error rate."""

    overall: GateParams = Field(description="all held-out speech")
    human: GateParams = Field(description="people's speech")
    synthetic: GateParams = Field(description="synthetic speech, where there is any")
    each_accent: GateParams = Field(description="each accent by itself")
    minimum_words: Positive = Field(
        description="A slice with fewer words that both models heard cannot tell."
    )
