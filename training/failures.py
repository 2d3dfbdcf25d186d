"""A training that goes astray: what is said, what is kept, and why it is not tried again."""

from __future__ import annotations

from training.attempts import Attempts, Failure, History
from training.machine import Device, versions
from training.recipe import TrainingReport, TrainingSpec
from voiceforge.errors import StageError


class NotFiniteError(ArithmeticError):
    """A loss or a gradient became NaN or infinite.

    Attributes:
        name: "loss" or "gradient norm".
        value: NaN or infinity.
        step: the step that had it, from 1.
        learning_rate: of that step.
    """

    def __init__(self, name: str, value: float, step: int, learning_rate: float) -> None:
        super().__init__(f"the {name} of step {step} is {value}")
        self.name, self.value = name, value
        self.step, self.learning_rate = step, learning_rate


def note_failure(
    error: NotFiniteError,
    spec: TrainingSpec,
    attempts: Attempts,
    history: History,
    report: TrainingReport | None,
    device: Device,
) -> StageError:
    """Keep what is good, note that the run failed, and make the error that says so.

    Args:
        history: of the steps before.
        report: of the same steps; None where dev had not been evaluated yet.
    """
    points = [point.gradient_norm or 0.0 for point in history.losses[-1:]]
    norm = max([history.gradient_norm, *points])
    before = f"; the gradient norm before it was up to {norm:.3g}" if history.step else ""
    message = (
        f"Training went astray: the {error.name} of step {error.step} is {error.value}, at a "
        f"learning rate of {error.learning_rate:.3g}{before}. Lower training.learning_rate (now "
        f"{spec.params.learning_rate:g}) in params.yaml, or look for clips that are not what "
        "their texts say, and run again: that is another training, from its first step."
    )
    if report:
        kept = next(score for score in report.dev_scores() if score.slice == "all")
        message += (
            f" The best adapter so far (step {kept.step}, dev word error rate {kept.rate:.1%} of "
            f"{kept.words} words) is kept in {attempts.keep_best(report)}."
        )
    if checkpoint := attempts.last_checkpoint():
        message += f" The last checkpoint before it is {checkpoint}."
    attempts.fail(Failure(message, _machine(device)))
    return StageError(message)


def refuse_to_repeat(attempts: Attempts, device: Device) -> None:
    """Do not fail in the same way again, hours later.

    Raises:
        StageError: this very run went astray before, and the machine is the same.
    """
    failure = attempts.failure()
    if failure and failure.machine == _machine(device):
        raise StageError(
            f"{failure.message} It was not tried again, since the same parameters on the same "
            f"machine do the same; to try nevertheless, delete {attempts.failure_file}."
        )


def _machine(device: Device) -> dict[str, str]:
    return {"device": device.why, **versions()}
