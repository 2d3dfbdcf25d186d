"""What a training tells and keeps while it runs: progress, dev scores, whole checkpoints."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from peft import PeftModel
from transformers import TrainerCallback

from training.adapters import weighed
from training.attempts import Attempts, History
from training.ranks import Ranks
from training.recipe import TrainingProgress
from training.scoring import score

if TYPE_CHECKING:
    from training.backends import Run

OnProgress = Callable[[TrainingProgress], None]


class News(TrainerCallback):  # type: ignore[misc]
    """Keeps the history, evaluates on dev, tells progress, and declares checkpoints whole."""

    def __init__(
        self,
        run: Run,
        model: PeftModel,
        history: History,
        attempts: Attempts,
        on_progress: OnProgress,
        ranks: Ranks,
    ) -> None:
        self._run, self._model, self._history = run, model, history
        self._attempts, self._on_progress, self._ranks = attempts, on_progress, ranks
        self._seconds_before, self._steps_before = history.seconds, history.step
        self._heard_before = self._heard(history.step)
        self._started = time.monotonic()

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self._started = time.monotonic()

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self._history.step = state.global_step
        params = self._run.spec.params
        due = state.global_step % params.evaluate_every == 0 or state.global_step == params.steps
        if due and self._ranks.is_first:
            self._evaluate()

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, float], **_: Any) -> None:
        if "loss" in logs and self._history.recent:
            # The trainer's own mean knows the steps of this attempt only.
            point = self._history.add_point(state.global_step, logs["learning_rate"])
            self._tell(
                loss=point.loss,
                learning_rate=point.learning_rate,
                gradient_norm=point.gradient_norm,
            )

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self._clock()
        self._ranks.wait()  # for the random numbers of the others
        if self._ranks.is_first:
            self._attempts.finish_checkpoint(self._history)

    def on_train_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self._clock()

    def _evaluate(self) -> None:
        run, step = self._run, self._history.step
        with weighed(self._model, run.spec.params.adapter_weight):
            hypotheses = run.transcribe(run.dev)
            scores = score(step, run.dev, hypotheses, run.spec)
            self._history.dev.extend(scores)
            self._attempts.save_adapter(step, self._model, run.spec.base.name)
        self._tell(dev=tuple(scores))

    def _clock(self) -> float:
        """Seconds of this attempt; brings the history's clock up to date."""
        seconds = time.monotonic() - self._started
        self._history.seconds = self._seconds_before + seconds
        return seconds

    def _heard(self, steps: int) -> float:
        durations = self._run.durations
        return sum(draw.seconds(durations) for batch in self._run.plan[:steps] for draw in batch)

    def _tell(self, **news: Any) -> None:
        if not self._ranks.is_first:
            return
        step, steps = self._history.step, self._run.spec.params.steps
        seconds = self._clock()
        self._on_progress(
            TrainingProgress(
                step=step,
                steps=steps,
                seconds=self._history.seconds,
                seconds_left=seconds / (step - self._steps_before) * (steps - step),
                audio_seconds_per_second=(self._heard(step) - self._heard_before) / seconds,
                **news,
            )
        )
