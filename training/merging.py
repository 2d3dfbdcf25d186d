"""Fold an adapter into its base model: a plain Hugging Face folder that needs no peft.

The base stays in float32 while the adapter's products are added, so that the merged model gives
the adapter's logits but for rounding.
"""

from __future__ import annotations

import shutil
import warnings
from pathlib import Path

from data.sealed import MANIFEST
from training.pruning import KEY, prune_decoder, state_pruned
from training.recipe import REPORT, TrainingReport
from voiceforge.errors import StageError
from voiceforge.files import new_folder, read_json, storage_errors, write_json

DESCRIPTION = "voiceforge.json"
_WEIGHTS = (".safetensors", ".safetensors.index.json")


def merge(base: Path, adapter: Path, out: Path) -> str:
    """Write the merged model.

    Args:
        base: Hugging Face folder of the base model.
        adapter: output folder of `training.lora.train`.
        out: folder to make or replace: the base's tokenizer and configuration files, merged
            safetensors, and voiceforge.json with `minimum_mel_frames` and `trailing_silence`, what
            the model was trained to hear and serving must give it.

    Returns:
        Digest over the merged tensors, the model's identity.

    Raises:
        StageError: the adapter does not fit the base.
    """
    import torch
    from peft import PeftModel
    from transformers import WhisperForConditionalGeneration

    from training.base_models import tensor_digest

    report = TrainingReport.from_dict(read_json(adapter / REPORT))
    model = WhisperForConditionalGeneration.from_pretrained(
        base, local_files_only=True, use_safetensors=True, dtype=torch.float32
    )
    layers = report.hyperparameters.get(KEY)
    try:
        if layers is not None:
            prune_decoder(model, layers)
        with warnings.catch_warnings():
            # peft still asks for a name that transformers has given up.
            warnings.filterwarnings("ignore", message="`is_gradient_checkpointing`")
            adapted = PeftModel.from_pretrained(model, adapter, local_files_only=True)
        merged = adapted.merge_and_unload(safe_merge=True)
    except (RuntimeError, ValueError, KeyError) as error:
        raise StageError(
            f"The adapter {adapter} cannot be merged into {base}: {error}. Train it again on this "
            "base model."
        ) from error
    with new_folder(out) as folder:
        with storage_errors(folder):
            merged.save_pretrained(folder)
            for file in base.iterdir():
                kept = file.name != MANIFEST and not file.name.endswith(_WEIGHTS)
                if file.is_file() and kept:
                    shutil.copyfile(file, folder / file.name)
            if layers is not None:
                state_pruned(folder, merged)
            for file in folder.iterdir():
                file.chmod(0o644)
        write_json(
            folder / DESCRIPTION,
            {
                "minimum_mel_frames": report.minimum_mel_frames,
                "trailing_silence": list(report.trailing_silence),
            },
        )
        return tensor_digest(folder)
