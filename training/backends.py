"""Which backend prepares a run; all after that is the same for Whisper and NeMo."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from training.recipe import TrainingSpec

if TYPE_CHECKING:
    from training.nemo.prepared import NemoRun
    from training.prepared import PreparedRun

    Run = PreparedRun | NemoRun


def prepare(spec: TrainingSpec, workspace: Path | None = None, quantization: Any = None) -> Run:
    """The run, ready for its first step.

    Args:
        spec: the run.
        workspace, quantization: as in `training.prepared.PreparedRun.of`.

    Raises:
        As `training.prepared.PreparedRun.of` and `training.nemo.prepared.NemoRun.of`.
    """
    if spec.params.backend == "nemo":
        from training.nemo.prepared import NemoRun

        return NemoRun.of(spec)
    from training.prepared import PreparedRun

    return PreparedRun.of(spec, workspace, quantization)
