"""A NeMo speech model from its `.nemo` file, ready to be trained with LoRA."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from data.features import SAMPLE_RATE
from training.nemo.archive import describe, read_weights
from training.nemo.toolkit import nemo_asr
from voiceforge.errors import IntegrityError, UsageError

AED = ("EncDecMultiTaskModel",)
CTC = ("EncDecCTCModelBPE",)
TRANSDUCER = ("EncDecRNNTBPEModel", "EncDecHybridRNNTCTCBPEModel")
SUPPORTED = (*AED, *CTC, *TRANSDUCER)
_UNPICKLE = "TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD"
"""Makes torch unpickle whatever a checkpoint brings, where the caller does not say otherwise."""


def check_model(path: Path) -> str:
    """The class of a `.nemo` file's model; NeMo is not imported.

    Raises:
        UsageError: a model that cannot be trained here.
        IntegrityError: the file is damaged.
    """
    described = describe(path)
    if described.model not in SUPPORTED:
        raise UsageError(
            f"{path} holds a model of class {described.model}. What can be trained is: "
            f"{', '.join(SUPPORTED)}."
        )
    if described.sample_rate != SAMPLE_RATE:
        raise UsageError(
            f"{path} hears {described.sample_rate} Hz, and corpora have {SAMPLE_RATE} Hz. Choose a "
            "base model of that rate."
        )
    return described.model


def restore(path: Path) -> Any:
    """The model in float32 on the CPU, in eval mode, all weights frozen.

    The file chooses among the classes of `SUPPORTED` and nothing else, and every checkpoint in it
    is read with `weights_only` before NeMo reads it again. Masking in training belongs to
    params.yaml (`augmentation.specaugment`): the model's own is taken out.

    Raises:
        UsageError: a model that cannot be trained here, one that only unpickling could read, or no
            NeMo here.
        IntegrityError: the file is damaged.
    """
    import torch

    name = check_model(path)
    read_weights(path)
    models = nemo_asr().models
    forced = os.environ.pop(_UNPICKLE, None)
    try:
        model = getattr(models, name).restore_from(str(path), map_location=torch.device("cpu"))
    except (RuntimeError, KeyError, ValueError, FileNotFoundError) as error:
        raise IntegrityError(
            f"NeMo cannot build the model in {path}: {str(error).splitlines()[0]}. Fetch or copy "
            "the file again, or save it again with a NeMo of today."
        ) from error
    finally:
        if forced is not None:
            os.environ[_UNPICKLE] = forced
    model.spec_augmentation = None
    model.requires_grad_(requires_grad=False)
    return model.float().eval()
