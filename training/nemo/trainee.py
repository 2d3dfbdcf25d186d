"""The module that the trainer trains: mels and texts in, the loss out."""

from __future__ import annotations

from typing import Any, Self

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from training.nemo.tasks import Task


class Trainee(nn.Module):
    """A NeMo model as transformers' trainer and peft know modules.

    Attributes:
        model: the NeMo model; what peft adapts lies below it.
    """

    def __init__(self, model: nn.Module, task: Task) -> None:
        super().__init__()
        self.model = model
        self._task = task

    def forward(
        self, mels: torch.Tensor, mel_lengths: torch.Tensor, **texts: torch.Tensor
    ) -> dict[str, torch.Tensor]:
        """The loss of a batch from `training.nemo.prepared.NemoRun.collate`."""
        return {"loss": self._task.loss(mels, mel_lengths, texts)}

    def train(self, mode: bool = True) -> Self:
        """Training mode for all but what holds state that an adapter does not.

        Running statistics of a batch normalization move in training mode, are no part of the
        adapter, and would be missing when it is loaded. The preprocessor would add dither.
        """
        super().train(mode)
        for module in self.model.modules():
            if isinstance(module, _BatchNorm):
                module.eval()
        preprocessor: Any = self.model.preprocessor
        preprocessor.eval()
        return self
