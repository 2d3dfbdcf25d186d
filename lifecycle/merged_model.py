"""Stage merged model: the adapter folded into the base model, a Hugging Face folder or `.nemo`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lifecycle import adapter
from lifecycle.artifacts import Artifact
from lifecycle.base_model import base_model
from lifecycle.nemo import is_nemo
from lifecycle.workspace import Workspace

STAGE = "merged_model"
VERSION = 1


def make_merged_model(workspace: Workspace) -> Artifact:
    """Merge; the summary holds the tensor digest that is the merged model's identity."""
    if is_nemo(workspace):
        from training.nemo.merging import merge
    else:
        from training.merging import merge
    base, source = base_model(workspace), workspace.current(adapter.STAGE)

    def build(folder: Path, _: Path) -> Mapping[str, Any]:
        digest = merge(base.path, source.path, folder)
        return {"tensors_sha256": digest, "non_finite": non_finite_tensors(folder)}

    return workspace.make(
        STAGE, VERSION, {"base_model": base.sha256, adapter.STAGE: source.sha256}, {}, build
    )


def non_finite_tensors(folder: Path) -> list[str]:
    """Names of a model's tensors that hold NaN or infinity."""
    import torch
    from safetensors import safe_open

    from training.nemo.archive import SUFFIX, read_weights

    bad = []
    for file in sorted(folder.glob("*.safetensors")):
        with safe_open(file, framework="pt") as tensors:
            names = list(tensors.keys())
            bad += [name for name in names if not torch.isfinite(tensors.get_tensor(name)).all()]
    for file in sorted(folder.glob(f"*{SUFFIX}")):
        weights = read_weights(file)
        bad += [name for name, tensor in weights.items() if not torch.isfinite(tensor).all()]
    return bad
