"""Which backend prepares a run; all after that is the same for Whisper and NeMo."""

from __future__ import annotations

from typing import TYPE_CHECKING

from training.recipe import TrainingSpec

if TYPE_CHECKING:
    from training.nemo.prepared import NemoRun
    from training.prepared import PreparedRun

    Run = PreparedRun | NemoRun


def prepare(spec: TrainingSpec) -> Run:
    """The run, ready for its first step.

    Raises:
        As `training.prepared.PreparedRun.of` and `training.nemo.prepared.NemoRun.of`.
    """
    if spec.params.backend == "nemo":
        from training.nemo.prepared import NemoRun

        return NemoRun.of(spec)
    from training.prepared import PreparedRun

    return PreparedRun.of(spec)
