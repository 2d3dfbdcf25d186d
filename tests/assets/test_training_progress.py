"""A real training in a Dagster run: what observations and MLflow say while it works, and after its
process was killed. The base model is a Whisper of one narrow layer, so that steps take no time."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import dagster as dg
import psutil
import pytest
import yaml

from data.audio import SAMPLE_RATE, decode, write_flac
from data.fetch import fetch
from data.tables import write_utterances
from data.utterance import Utterance
from lifecycle import splits as splits_stage
from lifecycle.adapter import STAGE as ADAPTER
from lifecycle.model_registry import open_registry
from lifecycle.progress import Progress, listening
from lifecycle.workspace import open_workspace
from pipelines.definitions import build_definitions
from pipelines.instance import environment, open_instance
from tests.narrow_whisper import narrow_whisper
from training.base_models import resolve
from voiceforge.settings import Settings, load_settings

DOMAIN = "calls"
NAMES = ("agent-alreadyon", "all-circuits-busy-now", "agent-newlocation", "agent-pass")


@pytest.fixture
def settings(
    tmp_path: Path, project: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> Settings:
    """A project whose splits are there, and whose training has 20 steps."""
    folder = tmp_path / "project"
    (folder / "var").mkdir(parents=True)
    (folder / "var" / "cache").symlink_to(cache)
    narrow_whisper(resolve("whisper-tiny.en", cache=cache, offline=False, timeout=60.0).path,
                    folder / "narrow")  # fmt: skip
    content = yaml.safe_load((project / "params.yaml").read_text())
    training = {
        "steps": 20,
        "batch_size": 2,
        "evaluate_every": 10,
        "checkpoint_every": 5,
        "rank": 2,
    }
    source = {"kind": "folder", "path": "recordings", "language": "en"}
    content["domains"] = {
        DOMAIN: {"sources": [source], "base_model": "narrow", "training": training}
    }
    (folder / "params.yaml").write_text(yaml.safe_dump(content))
    monkeypatch.setenv("VOICEFORGE_PROJECT", str(folder))
    monkeypatch.setenv("VOICEFORGE_THREADS", "1")
    settings = load_settings()
    for name, value in environment(settings).items():
        monkeypatch.setenv(name, value)
    _lay_down_splits(settings, cache)
    return settings


def _lay_down_splits(settings: Settings, cache: Path) -> None:
    workspace = open_workspace(DOMAIN, settings)
    prompts = fetch("prompts-en", cache=cache, offline=False, timeout=60.0)
    rows = []
    for name in NAMES:
        samples = decode(next(prompts.rglob(f"{name}.g722")))
        write_flac(workspace.corpus / f"{name}.flac", samples)
        rows.append(
            Utterance(
                name, f"{name}.flac", len(samples) / SAMPLE_RATE, name.replace("-", " "), "en",
                "en", "someone", DOMAIN, "laid down", "CC0-1.0", "granted", "train", False, "",
            )
        )  # fmt: skip
    rows += [replace(row, id=f"{row.id}-dev", split="dev") for row in rows]

    def build(out: Path, _: Path) -> dict[str, Any]:
        write_utterances(out / splits_stage.TABLE, rows)
        return {"utterances": len(rows)}

    workspace.make(splits_stage.STAGE, 0, {}, {}, build)


@pytest.fixture
def instance(settings: Settings) -> Iterator[dg.DagsterInstance]:
    with open_instance(settings) as instance:
        yield instance


def train(instance: dg.DagsterInstance) -> bool:
    outcome = (
        build_definitions()
        .resolve_job_def("lifecycle")
        .execute_in_process(
            instance=instance,
            partition_key=DOMAIN,
            asset_selection=[dg.AssetKey(ADAPTER)],
            raise_on_error=False,
            run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
        )
    )
    return outcome.success


def kill_at_ten(news: Progress) -> None:
    if news.stage == ADAPTER and news.done == 10 and "dev word error rate" in news.values:
        for child in psutil.Process().children(recursive=True):
            if "training.worker" in child.cmdline():
                child.send_signal(signal.SIGKILL)


@pytest.mark.system
def test_a_killed_training_is_failed_and_goes_on_in_its_run_seen_by_dagster_and_mlflow(
    settings: Settings, instance: dg.DagsterInstance
) -> None:
    from mlflow import MlflowClient

    with listening(kill_at_ten):
        assert not train(instance)
    client = MlflowClient(settings.mlflow_uri, settings.mlflow_uri)
    (failed,) = client.search_runs([client.get_experiment_by_name(DOMAIN).experiment_id])
    assert failed.info.status == "FAILED" and "SIGKILL" in failed.data.tags["error"]
    seen: list[str] = []

    def look(news: Progress) -> None:
        if news.state == "working" and "loss" in news.values:
            seen.append(client.get_run(failed.info.run_id).info.status)

    with listening(look):
        assert train(instance)
    assert seen and set(seen) == {"RUNNING"}

    (run,) = client.search_runs([failed.info.experiment_id])
    assert (run.info.run_id, run.info.status) == (failed.info.run_id, "FINISHED")
    made = open_workspace(DOMAIN, settings).current(ADAPTER)
    assert open_registry(settings).training_run(DOMAIN, made.key) == run.info.run_id

    def told(name: str) -> list[tuple[int, float]]:
        return [(one.step, one.value) for one in client.get_metric_history(run.info.run_id, name)]

    losses, dev = made.summary["loss_curve"], made.summary["dev_curve"]
    assert [step for step, _ in told("loss")] == [5, 10, 15, 20]
    assert told("loss") == [(one["step"], pytest.approx(one["loss"], rel=1e-3)) for one in losses]
    assert [step for step, _ in told("dev word error rate")] == [one["step"] for one in dev]
    assert {one["step"] for one in dev} == {10, 20}
    for name in ("learning rate", "gradient norm", "audio seconds per second", "seconds left"):
        assert len(told(name)) >= 4, name

    records = instance.fetch_observations(dg.AssetKey(ADAPTER), limit=100).records
    shown = [one.asset_observation for one in records if one.asset_observation is not None]
    assert {one.partition for one in shown} == {DOMAIN}
    rates = {
        (one.metadata["done"].value, one.metadata["dev word error rate"].value)
        for one in shown
        if "dev word error rate" in one.metadata
    }
    assert {step for step, _ in rates} == {10, 20}
    assert {"loss", "learning rate", "gradient norm", "audio seconds per second"} <= {
        name for one in shown for name in one.metadata
    }
