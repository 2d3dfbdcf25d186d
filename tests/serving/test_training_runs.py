"""The MLflow run of a training: open while it trains, found again, honest about its end."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from serving.registry import Registry, RunRecord
from voiceforge.errors import StageError

DOMAIN = "telephony-test"
PARAMS = {"steps": 20, "learning_rate": 0.001}


@pytest.fixture(scope="module")
def registry(
    new_registry: Callable[[Path], Registry], tmp_path_factory: pytest.TempPathFactory
) -> Registry:
    return new_registry(tmp_path_factory.mktemp("mlflow"))


@pytest.fixture(scope="module")
def client(registry: Registry) -> Any:
    from mlflow import MlflowClient

    return MlflowClient(registry.uri, registry.uri)


def points(client: Any, run_id: str, name: str) -> list[tuple[int, float]]:
    return [(one.step, one.value) for one in client.get_metric_history(run_id, name)]


def test_figures_are_there_while_it_trains_and_the_run_ends_finished(
    registry: Registry, client: Any
) -> None:
    with registry.training(DOMAIN, "key-a", PARAMS, {"splits_sha256": "5a"}) as run:
        run.log(0, {})
        run.log(5, {"loss": 2.5, "learning rate": 1e-3})
        run.log(5, {"dev word error rate": float("nan")})
        now = client.get_run(run.run_id)
        assert now.info.status == "RUNNING"
        assert (now.data.metrics, now.data.params["steps"]) == (
            {"loss": 2.5, "learning rate": 1e-3},
            "20",
        )
        run.log(10, {"loss": 1.5})
    ended = client.get_run(run.run_id)
    assert (ended.info.status, ended.data.tags["splits_sha256"]) == ("FINISHED", "5a")
    assert points(client, run.run_id, "loss") == [(5, 2.5), (10, 1.5)]
    assert registry.training_run(DOMAIN, "key-a") == run.run_id
    assert registry.training_run(DOMAIN, "key-z") == registry.training_run("none", "key-a") == ""


def test_a_training_that_fails_and_goes_on_keeps_its_run_and_tells_no_step_twice(
    registry: Registry, client: Any
) -> None:
    with (
        pytest.raises(StageError, match="no memory"),
        registry.training(DOMAIN, "key-b", PARAMS, {}) as run,
    ):
        run.log(5, {"loss": 2.5})
        run.log(10, {"loss": 1.5})
        raise StageError("no memory left")
    failed = client.get_run(run.run_id)
    assert (failed.info.status, failed.data.tags["error"]) == (
        "FAILED",
        "StageError: no memory left",
    )
    with registry.training(DOMAIN, "key-b", PARAMS, {}) as again:
        assert again.run_id == run.run_id
        now = client.get_run(run.run_id)
        assert now.info.status == "RUNNING" and "error" not in now.data.tags
        again.log(10, {"loss": 1.5001})  # from the checkpoint of step 5
        again.log(15, {"loss": 1.0})
    assert points(client, run.run_id, "loss") == [(5, 2.5), (10, 1.5), (15, 1.0)]
    assert client.get_run(run.run_id).info.status == "FINISHED"


def test_an_interrupted_training_and_one_whose_process_died_count_as_killed(
    registry: Registry, client: Any
) -> None:
    with pytest.raises(KeyboardInterrupt), registry.training(DOMAIN, "key-c", PARAMS, {}) as run:
        raise KeyboardInterrupt
    assert client.get_run(run.run_id).info.status == "KILLED"
    client.update_run(run.run_id, "RUNNING")  # as kill -9 leaves it
    other = client.create_run(client.get_experiment_by_name(DOMAIN).experiment_id)
    with registry.training(DOMAIN, "key-d", PARAMS, {}):
        assert client.get_run(run.run_id).info.status == "KILLED"
        assert client.get_run(other.info.run_id).info.status == "RUNNING"  # no training of ours


def test_figures_that_are_not_taken_now_come_with_the_next_ones(
    registry: Registry, client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mlflow import MlflowClient

    with registry.training(DOMAIN, "key-e", PARAMS, {}) as run:
        with monkeypatch.context() as broken:

            def locked(*_: Any, **__: Any) -> None:
                raise RuntimeError("database is locked")

            broken.setattr(MlflowClient, "log_batch", locked)
            run.log(5, {"loss": 2.5})
            assert run.trouble == "RuntimeError: database is locked"
        run.log(10, {"loss": 1.5})
        assert run.trouble == ""
    assert points(client, run.run_id, "loss") == [(5, 2.5), (10, 1.5)]


def test_the_run_of_a_version_stands_below_that_of_its_training(
    registry: Registry, client: Any, engine_folder: Path, tmp_path: Path
) -> None:
    with registry.training(DOMAIN, "key-f", PARAMS, {}) as run:
        run.log(5, {"loss": 2.5})
    (tmp_path / "adapter").mkdir()
    (tmp_path / "adapter" / "adapter_model.safetensors").write_bytes(b"\0" * 64)
    version = registry.register(
        DOMAIN,
        RunRecord(training=run.run_id),
        engine=engine_folder,
        adapter=tmp_path / "adapter",
        reports={},
    )
    made = client.get_run(registry.version(DOMAIN, version).run_id)
    assert made.data.tags["mlflow.parentRunId"] == run.run_id
