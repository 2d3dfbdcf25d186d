"""Fold an adapter into its `.nemo` model: a plain `.nemo` file that needs no peft."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

from training.nemo.archive import SUFFIX, repack, tensor_digest
from voiceforge.errors import StageError, VoiceForgeError
from voiceforge.files import new_folder, storage_errors

FILE = f"model{SUFFIX}"


def merge(base: Path, adapter: Path, out: Path) -> str:
    """Write the merged model.

    Args:
        base: `.nemo` file of the base model.
        adapter: output folder of the training.
        out: folder to make or replace; it holds `model.nemo`, the base's file with other weights.

    Returns:
        Digest over the merged tensors, the model's identity.

    Raises:
        StageError: the adapter does not fit the base.
        UsageError, IntegrityError: as `training.nemo.models.restore`.
    """
    model = merged_model(base, adapter)
    with new_folder(out) as folder:
        with storage_errors(folder):
            repack(base, model.state_dict(), folder / FILE)
        return tensor_digest(folder / FILE)


def merged_model(base: Path, adapter: Path) -> Any:
    """The NeMo model with its adapter folded in, in eval mode; nothing of peft is left in it.

    Raises:
        As `merge`.
    """
    from peft import PeftModel, get_peft_model_state_dict
    from safetensors.torch import load_file

    from training.nemo.models import restore
    from training.nemo.tasks import task_of
    from training.nemo.trainee import Trainee

    model = restore(base)
    trainee = Trainee(model, task_of(model, language="", punctuated=False))
    try:
        with warnings.catch_warnings():
            # peft only warns of what has no place, or none in the file; both are errors below.
            warnings.filterwarnings("ignore", message="Found missing adapter keys")
            adapted = PeftModel.from_pretrained(trainee, adapter)
        saved = load_file(adapter / "adapter_model.safetensors").keys()
        if strange := sorted(saved ^ get_peft_model_state_dict(adapted).keys()):
            raise KeyError(strange[0])
        merged = adapted.merge_and_unload(safe_merge=True)
    except VoiceForgeError:
        raise
    except (RuntimeError, ValueError, KeyError) as error:
        raise StageError(
            f"The adapter {adapter} cannot be merged into {base}: {error}. Train it again on this "
            "base model."
        ) from error
    return merged.model.eval()
