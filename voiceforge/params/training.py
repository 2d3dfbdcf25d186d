"""How a model is fine-tuned; `training.recipe` says what each does."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, Field

from voiceforge.params.augmentation import AugmentationParams
from voiceforge.params.base import Between, Positive, Share, Strict


class TrainingParams(Strict):
    """See training.recipe for what each does."""

    steps: Positive = Field(description="Optimizer steps.")
    batch_size: Positive = Field(description="Clips in a step.")
    learning_rate: float = Field(gt=0.0, le=1.0, description="Peak learning rate.")
    warmup: Share = Field(
        description="Share of the steps in which the learning rate rises to its peak."
    )
    rank: Positive = Field(description="Rank of the LoRA matrices.")
    alpha: Positive = Field(description="LoRA scaling: the update counts alpha / rank times.")
    dropout: float = Field(ge=0.0, lt=1.0, description="Dropout on the input of the LoRA matrices.")
    targets: tuple[str, ...] = Field(
        min_length=1, description="Names of the linear layers that get LoRA matrices."
    )
    trailing_silence: Annotated[
        tuple[float, float], AfterValidator(Between(0.0, 10.0, "seconds"))
    ] = Field(
        description="Least and most seconds of silence after each training clip, instead of "
        "padding to 30 s."
    )
    full_length_share: Share = Field(
        description="Share of batches that are padded to the whole 30 s window nevertheless."
    )
    human_share: Share = Field(
        description="Share of the drawn clips that people speak, where a domain has people and "
        "synthetic voices."
    )
    term_factor: int = Field(
        default=1,
        ge=1,
        le=10,
        description="How many times as often a training clip is drawn whose text holds a term of "
        "`vocabulary`; 1 for as often as any other.",
    )
    maximum_seconds: float = Field(
        gt=0.0, le=30.0, description="Longer clips (s) are not trained on."
    )
    evaluate_every: Positive = Field(description="Steps between word error rates on dev.")
    checkpoint_every: Positive = Field(
        description="Steps between checkpoints: what a kill costs at most."
    )
    dev_utterances: Positive = Field(
        description="Dev clips that are transcribed for each dev word error rate."
    )
    seed: int = Field(
        description="Seed of the order of clips, their silence, their augmentation and the LoRA "
        "initialisation."
    )
    augmentation: AugmentationParams

    def outcome(self) -> dict[str, Any]:
        """What a training's outcome depends on, JSON values: all but effects that are off."""
        fields = self.model_dump(mode="json")
        if self.term_factor == 1:
            fields = _without(fields, "term_factor")
        effects = self.augmentation.effects
        used = {name: fields["augmentation"][name] for name in effects if effects[name].probability}
        return {**fields, "augmentation": used} if used else _without(fields, "augmentation")


def _without(fields: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in fields.items() if key != name}
