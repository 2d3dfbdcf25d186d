"""The adapter that a base model gets: which layers, how large, of what kind.

Sources: Hu et al. 2021, "LoRA: Low-Rank Adaptation of Large Language Models"; Kalajdzievski 2023,
"A Rank Stabilization Scaling Factor for Fine-Tuning with LoRA"; Liu et al. 2024, "DoRA:
Weight-Decomposed Low-Rank Adaptation"; Dettmers et al. 2023, "QLoRA: Efficient Finetuning of
Quantized LLMs"; Wortsman et al. 2022, "Robust Fine-tuning of Zero-shot Models" (weights between
those of the base and the fine-tuned model).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any

import torch
from peft import LoraConfig, PeftModel
from peft.helpers import rescale_adapter_scale

from training.machine import Device
from voiceforge.errors import UsageError
from voiceforge.params import TrainingParams
from voiceforge.params.training import ALL_LINEAR


def lora_config(params: TrainingParams, base: Any) -> LoraConfig:
    """The adapter's shape on this base, a `WhisperForConditionalGeneration`.

    Raises:
        UsageError: a target is not the name of a linear layer of the base, or the rank is larger
            than a layer.
    """
    layers: dict[str, list[torch.nn.Linear]] = {}
    for name, module in base.model.named_modules():
        if isinstance(module, torch.nn.Linear):
            layers.setdefault(name.rpartition(".")[2], []).append(module)
    targets = sorted(layers) if params.targets == (ALL_LINEAR,) else sorted(params.targets)
    for target in targets:
        if target not in layers:
            raise UsageError(
                f"training.targets names {target!r}, which is no linear module of the base model. "
                f"It has: {', '.join(sorted(layers))}; or say {ALL_LINEAR}."
            )
        for layer in layers[target]:
            size = min(layer.in_features, layer.out_features)
            if params.rank > size:
                raise UsageError(
                    f"training.rank is {params.rank}, and the layer {target!r} of the base model "
                    f"is {layer.in_features} x {layer.out_features}: a rank above {size} says no "
                    f"more than the whole layer. Choose one from 1 to {size}."
                )
    return LoraConfig(
        r=params.rank,
        lora_alpha=params.alpha,
        lora_dropout=params.dropout,
        target_modules=targets,
        use_rslora=params.rslora,
        use_dora=params.dora,
        bias="none",
    )


@contextmanager
def weighed(model: PeftModel, weight: float) -> Iterator[None]:
    """The model with `weight` times what its adapter has learnt, to hear with and to save.

    An adapter that is saved meanwhile gives that model wherever it is loaded or merged.
    """
    if weight == 1.0:
        yield
        return
    config = model.peft_config[model.active_adapter]
    alpha = config.lora_alpha
    with rescale_adapter_scale(model, weight):
        config.lora_alpha = alpha * weight
        try:
            yield
        finally:
            config.lora_alpha = alpha


def quantization(params: TrainingParams, device: Device) -> Any:
    """transformers' `BitsAndBytesConfig` of a base held in 4 bits; None where that is not asked.

    Raises:
        UsageError: it is asked and cannot be had here.
    """
    if not params.quantized_base:
        return None
    missing = []
    if device.kind != "cuda":
        missing.append("there is no CUDA device, or VOICEFORGE_DEVICE forbids it")
    if find_spec("bitsandbytes") is None:
        missing.append("the package bitsandbytes is not installed")
    if missing:
        raise UsageError(
            f"training.quantized_base is true, and cannot be had here: {'; '.join(missing)}. Set "
            "it to false in params.yaml, or train on a machine that has both."
        )
    from transformers import BitsAndBytesConfig

    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=getattr(torch, device.precision),
        llm_int8_skip_modules=["proj_out"],
    )
