"""How a model is fine-tuned; `training.recipe` says what each does."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field

from voiceforge.params.augmentation import AugmentationParams
from voiceforge.params.base import Between, Positive, Share, Strict

_SWITCHES = ("rslora", "dora", "quantized_base")

ALL_LINEAR = "all-linear"
"""In place of names of targets: every linear layer but the output projection."""


def _names(value: object) -> object:
    """`targets: all-linear` without the brackets of a list."""
    return (value,) if value == ALL_LINEAR else value


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
    targets: Annotated[tuple[str, ...], BeforeValidator(_names)] = Field(
        min_length=1,
        description="Names of the linear layers that get LoRA matrices, or `all-linear` for all of "
        "them but the output projection.",
    )
    rslora: bool = Field(
        description="Rank-stabilised LoRA: the update counts alpha / sqrt(rank) times, so that a "
        "high rank does not learn slower."
    )
    dora: bool = Field(
        description="Weight-decomposed LoRA: the size of every weight column is learnt apart from "
        "its direction; slower and a little larger."
    )
    quantized_base: bool = Field(
        description="QLoRA: the frozen base is held in 4 bits (NF4) while the adapter learns. "
        "Needs a CUDA device and bitsandbytes."
    )
    gradient_checkpointing: bool = Field(
        description="Compute activations again in the backward pass instead of keeping them: less "
        "memory, about a third slower."
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
        """What a training's outcome depends on, JSON values: all but what is off.

        Adapters keep their key when a new switch appears that they were trained without.
        """
        fields = self.model_dump(mode="json")
        for switch in _SWITCHES:
            if not fields[switch]:
                del fields[switch]
        del fields["gradient_checkpointing"]  # the same numbers, in less memory
        effects = self.augmentation.effects
        used = {name: fields["augmentation"][name] for name in effects if effects[name].probability}
        return {**fields, "augmentation": used} if used else _without(fields, "augmentation")


def _without(fields: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in fields.items() if key != name}
