"""Checks that block: what follows them is not made. Small Dagster jobs, in this process."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import yaml

from assets import corpus as corpus_assets
from assets import model as model_assets
from data.fetch import fetch
from data.splits import assign_splits
from data.tables import load_corpus, write_utterances
from evaluation.estimate import Estimate
from lifecycle import corpus as corpus_stage
from lifecycle import engine as engine_stage
from lifecycle import splits as splits_stage
from lifecycle.workspace import Workspace
from pipelines.definitions import build_definitions
from pipelines.instance import environment, open_instance
from pipelines.run import run_lifecycle
from voiceforge.errors import StageError
from voiceforge.settings import Settings, load_settings

DOMAIN = "calls"
NAMES = ("agent-alreadyon", "all-circuits-busy-now", "agent-newlocation", "agent-pass")


@pytest.fixture
def settings(
    tmp_path: Path, project: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> Settings:
    """A project with one domain: four real recordings and one that is none."""
    folder = tmp_path / "project"
    (folder / "var").mkdir(parents=True)
    (folder / "var" / "cache").symlink_to(cache)
    content = yaml.safe_load((project / "params.yaml").read_text())
    source = {"kind": "folder", "path": "recordings", "language": "en"}
    unheard = {"agreement": {"enabled": False}}
    content["domains"] = {DOMAIN: {"sources": [source], "validation": unheard}}
    (folder / "params.yaml").write_text(yaml.safe_dump(content))
    prompts = fetch("prompts-en", cache=cache, offline=False, timeout=60.0)
    (folder / "recordings").mkdir()
    rows = ["audio,text", "broken.wav,nothing"]
    for name in NAMES:
        shutil.copy(next(prompts.rglob(f"{name}.g722")), folder / "recordings")
        rows.append(f"{name}.g722,{name.replace('-', ' ')}")
    (folder / "recordings" / "broken.wav").write_text("no recording")
    (folder / "recordings" / "table.csv").write_text("\n".join(rows) + "\n")
    monkeypatch.setenv("VOICEFORGE_PROJECT", str(folder))
    settings = load_settings()
    for name, value in environment(settings).items():
        monkeypatch.setenv(name, value)
    return settings


@pytest.fixture
def instance(settings: Settings) -> Iterator[dg.DagsterInstance]:
    with open_instance(settings) as instance:
        yield instance


def run(instance: dg.DagsterInstance, *assets: str) -> tuple[bool, set[str]]:
    """Run some of the lifecycle's assets with their checks; returns success and what was made."""
    job = build_definitions().resolve_job_def("lifecycle")
    outcome = job.execute_in_process(
        instance=instance,
        partition_key=DOMAIN,
        asset_selection=[dg.AssetKey(name) for name in assets],
        raise_on_error=False,
        run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
    )
    made = outcome.get_asset_materialization_events()
    return outcome.success, {event.asset_key.to_user_string() for event in made}


def change(settings: Settings, **keys: Any) -> None:
    path = settings.project / "params.yaml"
    content = yaml.safe_load(path.read_text())
    content["domains"][DOMAIN] |= keys
    path.write_text(yaml.safe_dump(content))


def test_a_corpus_goes_on_with_few_in_quarantine_and_no_further_with_more(
    settings: Settings, instance: dg.DagsterInstance
) -> None:
    _, made = run(instance, "corpus", "validation", "splits")
    assert made == {"corpus", "validation", "splits"}  # one of five: exactly the limit
    metadata = instance.get_latest_materialization_event(dg.AssetKey("corpus"))
    assert metadata is not None and metadata.asset_materialization is not None
    shown = metadata.asset_materialization.metadata
    assert shown["dagster/row_count"].value == 4
    assert shown["not decoded"].value == 1
    assert str(shown["DVC version"].value).endswith(".dir")
    assert metadata.asset_materialization.partition == DOMAIN
    change(settings, quarantine_limit=0.1)
    success, made = run(instance, "corpus", "validation", "splits")
    assert (success, made) == (False, {"corpus", "validation"})


def test_the_check_links_the_data_docs_and_counts_reasons(
    settings: Settings, instance: dg.DagsterInstance
) -> None:
    run(instance, "corpus", "validation")
    key = dg.AssetCheckKey(dg.AssetKey("validation"), "few_quarantined")
    (record,) = instance.event_log_storage.get_asset_check_execution_history(key, limit=5)
    assert record.event is not None and record.event.dagster_event is not None
    outcome = record.event.dagster_event.asset_check_evaluation_data
    assert outcome.passed and outcome.blocking
    assert outcome.metadata["quarantined: not-audio"].value == 1
    page = Path(str(outcome.metadata["Data Docs"].value).removeprefix("file://"))
    assert "Great Expectations" in page.read_text()


def test_the_command_says_which_check_blocked(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def laid_down(workspace: Workspace) -> Any:
        return workspace.make(engine_stage.BASE, 0, {}, {}, lambda *_: {"precision": "int8"})

    monkeypatch.setattr(model_assets, "make_base_engine", laid_down)
    change(settings, quarantine_limit=0.1)
    with pytest.raises(StageError) as caught:
        run_lifecycle(settings, DOMAIN, lambda _: None)
    assert "The check 'few_quarantined' of validation blocks the lifecycle of calls" in str(
        caught.value
    )
    assert "1 of 5 recordings (20.0%) are in quarantine (not-audio 1)" in str(caught.value)


def test_a_leak_between_splits_stops_training(
    settings: Settings, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Splits that let a text of the training split into test."""

    def leaking(workspace: Workspace) -> Any:
        source = workspace.current(corpus_stage.STAGE)
        rows = assign_splits(load_corpus(source.path), workspace.domain.splits, {})
        leak = replace(rows[0], id="again", split="test")
        rows = [replace(rows[0], split="train"), *rows[1:], leak]

        def build(folder: Path, _: Path) -> dict[str, Any]:
            from data.splits import split_summary

            write_utterances(folder / splits_stage.TABLE, rows)
            return dict(split_summary(rows))

        return workspace.make(splits_stage.STAGE, 0, {"corpus": source.sha256}, {}, build)

    monkeypatch.setattr(corpus_assets, "make_splits", leaking)
    success, made = run(instance, "corpus", "validation", "splits", "adapter")
    assert (success, made) == (False, {"corpus", "validation", "splits"})


@pytest.mark.parametrize(("loss", "goes_on"), [(0.05, False), (0.005, True)])
def test_an_engine_that_lost_too_much_is_not_evaluated(
    settings: Settings,
    instance: dg.DagsterInstance,
    monkeypatch: pytest.MonkeyPatch,
    loss: float,
    goes_on: bool,
) -> None:
    """`engine.margin` is 1 point; the measured loss is laid down instead of measured."""

    def laid_down(workspace: Workspace) -> Any:
        rate = Estimate(0.1, 0.1, 0.1, 0.95, 900, 90, 3, "laid down")
        cost = Estimate(loss, loss - 0.001, loss + 0.001, 0.95, 900, 90, 3, "laid down")
        return workspace.make(
            engine_stage.STAGE,
            0,
            {},
            {"loss": loss},
            lambda *_: {
                "kind": "ctranslate2",
                "precision": "int8",
                "bytes": 1,
                "word_error_rate_before": rate.as_dict(),
                "word_error_rate_after": rate.as_dict(),
                "loss": cost.as_dict(),
            },
        )

    def heard(workspace: Workspace) -> Any:
        summary = {"utterances": 1, "audio_seconds": 1.0, "compute_seconds": 1.0}
        return workspace.make("predictions", 0, {}, {}, lambda *_: summary)

    monkeypatch.setattr(model_assets, "make_engine", laid_down)
    monkeypatch.setattr("assets.evaluation.make_predictions", heard)
    _, made = run(instance, "engine", "predictions")
    assert made == ({"engine", "predictions"} if goes_on else {"engine"})
