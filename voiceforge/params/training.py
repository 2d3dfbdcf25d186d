"""How a model is fine-tuned; `training.recipe` says what each does."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from voiceforge.params.augmentation import AugmentationParams
from voiceforge.params.base import Between, Positive, Share, Strict
from voiceforge.params.samples import SampleParams
from voiceforge.params.sources import Source


class ReplayParams(Strict):
    """General audio in the mix, so that other speech and other languages are not forgotten."""

    share: Share = Field(description="Share of the drawn clips that are replayed; 0 for off.")
    sources: tuple[Source, ...] = Field(
        description="Where they come from, of the kinds of `sources`. Of each the texts of the "
        "train split are replayed, those of dev and test are left to evaluation."
    )
    labels: Literal["base-model", "reference"] = Field(
        description="Whose transcripts: the base model's where it is sure and does not differ from "
        "the source's by over 10% of words, so that its spelling and punctuation stay, or the "
        "source's."
    )

    @model_validator(mode="after")
    def _sourced(self) -> Self:
        if self.share and not self.sources:
            raise ValueError("share is above 0 and sources is empty: name what to replay")
        return self


class DistillationParams(Strict):
    """What the student learns from the base model that hears the whole 30 s window."""

    logits: float = Field(
        ge=0.0,
        description="Weight of the divergence from the base model's next tokens, beside 1 for the "
        "transcript; 0 for off. It counts where the base model's likeliest token is the "
        "transcript's.",
    )
    encoder: float = Field(
        ge=0.0,
        description="Weight of the distance from the base model's encoder states on the clip's own "
        "frames; 0 for off.",
    )
    temperature: float = Field(
        gt=0.0, le=20.0, description="Divides both models' logits before they are compared."
    )

    @property
    def is_on(self) -> bool:
        """Whether anything is learnt from the base model."""
        return self.logits > 0 or self.encoder > 0


ALL_LINEAR = "all-linear"
"""In place of names of targets: every linear layer but the output projection."""


def _names(value: object) -> object:
    """`targets: all-linear` without the brackets of a list."""
    return (value,) if value == ALL_LINEAR else value


class TrainingParams(Strict):
    """See training.recipe for what each does."""

    backend: Literal["whisper", "nemo"] = Field(
        description="What the base model is: a Whisper model, or a NeMo model in a `.nemo` file "
        "([nemo.md](nemo.md))."
    )
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
    adapter_weight: float = Field(
        default=1.0,
        gt=0.0,
        le=1.0,
        description="How much of what was learnt the model gets: below 1 its weights lie between "
        "those of the base model and the fine-tuned ones, and it forgets less. Dev word error "
        "rates are of that model. Not for DoRA.",
    )
    decoder_layers: Positive | None = Field(
        default=None,
        description="Layers of the decoder that are kept, evenly spaced; the others are taken out "
        "before the adapter learns. Fewer decode faster and say less: the certificate judges the "
        "model as any other. All without it. For `backend: whisper`.",
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
    samples: SampleParams
    augmentation: AugmentationParams
    distillation: DistillationParams
    replay: ReplayParams

    @model_validator(mode="after")
    def _weighed(self) -> Self:
        if self.dora and self.adapter_weight < 1.0:
            raise ValueError(
                f"adapter_weight is {self.adapter_weight:g} and dora is true: a DoRA adapter of "
                "less weight does not lie between base and fine-tuned model; set adapter_weight "
                "to 1 or dora to false"
            )
        if self.decoder_layers is not None and self.backend != "whisper":
            raise ValueError(
                f"decoder_layers is {self.decoder_layers} and backend is {self.backend!r}: the "
                "decoder of a Whisper alone can lose layers; leave decoder_layers out"
            )
        return self

    def outcome(self) -> dict[str, Any]:
        """What a training's outcome depends on, JSON values: all but what is off.

        Adapters keep their key when a new switch appears that they were trained without.
        """
        fields = self.model_dump(mode="json")
        fields["samples"] = self.samples.outcome()
        fields["augmentation"] = self.augmentation.outcome()
        is_on = {
            "backend": self.backend != "whisper",
            "rslora": self.rslora,
            "dora": self.dora,
            "adapter_weight": self.adapter_weight < 1.0,
            "decoder_layers": self.decoder_layers is not None,
            "quantized_base": self.quantized_base,
            "gradient_checkpointing": False,  # the same numbers, in less memory
            "term_factor": self.term_factor > 1,
            "samples": self.samples.is_on,
            "augmentation": self.augmentation.is_on,
            "distillation": self.distillation.is_on,
            "replay": self.replay.share > 0,
        }
        return {key: value for key, value in fields.items() if is_on.get(key, True)}
