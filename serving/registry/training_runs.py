"""A training as an MLflow run that is open while it trains, with its figures by step.

The run is known by the key of the adapter that it makes, so that a training which was killed and
goes on finds its run again. It ends as finished, failed or killed. Versions that are made from its
adapter are runs below it.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from typing import Any

TRAINING_TAG = "training"
"""The key of the adapter that a run trains."""

_FINISHED, _FAILED, _KILLED = "FINISHED", "FAILED", "KILLED"


class TrainingRun:
    """One open run. Figures that MLflow does not take are kept and sent with the next ones: a
    database that is busy for a moment does not end a training of hours.

    Attributes:
        run_id: MLflow's id of it.
        trouble: what MLflow said when it last refused figures, "" where it took them.
    """

    def __init__(self, client: Any, run_id: str) -> None:
        self._client = client
        self.run_id = run_id
        self.trouble = ""
        self._waiting: list[Any] = []
        # What an earlier attempt told already: steps after its last checkpoint come again.
        run = client.get_run(run_id)
        self._told = {name: self._last_step(name) for name in run.data.metrics}

    def log(self, step: int, figures: Mapping[str, float]) -> None:
        """Add figures of a step; those of a step that is known already, and NaN, are left out."""
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        for name, value in figures.items():
            if step > self._told.get(name, -1) and math.isfinite(value):
                self._told[name] = step
                self._waiting.append(Metric(name, float(value), now, step))
        try:
            self.send()
        except Exception as error:
            self.trouble = f"{type(error).__name__}: {error}"

    def send(self) -> None:
        """Send what is waiting; raises whatever MLflow raises."""
        if self._waiting:
            self._client.log_batch(self.run_id, metrics=self._waiting)
        self._waiting, self.trouble = [], ""

    def end(self, error: BaseException | None) -> None:
        """Close the run: finished without an error, killed by Ctrl-C, failed otherwise."""
        self.send()
        if error is not None:
            said = f"{type(error).__name__}: {error}"[:4000]
            self._client.set_tag(self.run_id, "error", said)
        status = (
            _FINISHED if error is None else _FAILED if isinstance(error, Exception) else _KILLED
        )
        self._client.set_terminated(self.run_id, status)

    def _last_step(self, name: str) -> int:
        points = self._client.get_metric_history(self.run_id, name)
        return max(int(point.step) for point in points)


def open_training_run(
    client: Any,
    experiment: str,
    name: str,
    key: str,
    params: Mapping[str, Any],
    tags: Mapping[str, str],
) -> TrainingRun:
    """The run of a training: the one it had before it was interrupted, or a new one.

    Other trainings of the experiment that still count as running were killed with their process:
    the domain's lock keeps two apart. They are closed.
    """
    unfinished = client.search_runs(
        [experiment], f"attributes.status = 'RUNNING' and tags.{TRAINING_TAG} != '{key}'"
    )
    for run in unfinished:
        if TRAINING_TAG in run.data.tags:
            client.set_terminated(run.info.run_id, _KILLED)
    if known := find_training_run(client, experiment, key):
        client.update_run(known, "RUNNING")
        if "error" in client.get_run(known).data.tags:
            client.delete_tag(known, "error")
        return TrainingRun(client, known)
    run = client.create_run(experiment, run_name=name, tags={**tags, TRAINING_TAG: key})
    client.log_batch(
        run.info.run_id, params=[_param(name, value) for name, value in params.items()]
    )
    return TrainingRun(client, run.info.run_id)


def find_training_run(client: Any, experiment: str, key: str) -> str:
    """Id of the newest run that trained this adapter, "" where there is none."""
    found = client.search_runs([experiment], f"tags.{TRAINING_TAG} = '{key}'", max_results=1)
    return str(found[0].info.run_id) if found else ""


def _param(name: str, value: Any) -> Any:
    from mlflow.entities import Param

    return Param(name, str(value))
