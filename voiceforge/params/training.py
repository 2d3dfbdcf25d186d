"""How a model is fine-tuned; `training.recipe` says what each does."""

from __future__ import annotations

from pydantic import Field, field_validator

from voiceforge.params.base import Positive, Share, Strict


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
    trailing_silence: tuple[float, float] = Field(
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
        description="Seed of the order of clips, their silence and the LoRA initialisation."
    )

    @field_validator("trailing_silence")
    @classmethod
    def _range(cls, value: tuple[float, float]) -> tuple[float, float]:
        if not 0.0 <= value[0] <= value[1] <= 10.0:
            raise ValueError("must be [least, most] seconds, 0 <= least <= most <= 10")
        return value
