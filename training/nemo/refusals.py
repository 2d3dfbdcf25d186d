"""What params.yaml can ask of Whisper and not of NeMo: refused before a model is loaded."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from voiceforge.errors import UsageError
from voiceforge.params import TrainingParams
from voiceforge.params.training import ALL_LINEAR

KNOWN = frozenset(
    {
        "backend", "steps", "batch_size", "learning_rate", "warmup", "rank", "alpha", "dropout",
        "targets", "trailing_silence", "full_length_share", "human_share", "maximum_seconds",
        "evaluate_every", "checkpoint_every", "dev_utterances", "seed", "augmentation",
        # Of the adapter and its trainer, which do not know whom they train.
        "rslora", "dora", "adapter_weight",
    }
)  # fmt: skip
"""Keys of the training block that this backend heeds."""


def check_params(params: TrainingParams) -> None:
    """Refuse what this backend would pass over in silence.

    `TrainingParams.outcome` leaves out what is off, so that a key which comes to be added is
    refused here when it is switched on, until this backend heeds it.

    Raises:
        UsageError: it names the key and its value.
    """
    asked: Mapping[str, Any] = params.outcome()
    for key in sorted(asked.keys() - KNOWN):
        raise UsageError(
            f"training.{key} is {asked[key]!r}, which the NeMo backend has nothing for. Switch it "
            "off in params.yaml, or train with backend: whisper."
        )
    if params.full_length_share:
        raise UsageError(
            f"training.full_length_share is {params.full_length_share:g}, and NeMo models have no "
            "30 s window to be padded to. Set it to 0 in params.yaml."
        )
    if params.targets == (ALL_LINEAR,):
        raise UsageError(
            f"training.targets is {ALL_LINEAR}, which is for Whisper. Name the layers of a NeMo "
            "model, such as linear_q and linear_v."
        )


def check_targets(model: Any, params: TrainingParams) -> None:
    """Refuse a layer whose weights are another module's too: merging would change both.

    Raises:
        UsageError: it names the target.
    """
    owners: dict[int, list[str]] = {}
    for name, module in model.named_modules():
        for own in module._parameters.values():
            if own is not None:
                owners.setdefault(id(own), []).append(name)
    shared = {name for names in owners.values() if len(names) > 1 for name in names}
    for target in params.targets:
        if any(name.rpartition(".")[2] == target for name in shared):
            raise UsageError(
                f"training.targets names {target!r}, whose weights are those of another module of "
                "the base model too, such as the embedding of the tokens. Leave it out."
            )
