"""The Dagster code location: quick to load, one partition a domain, a schedule a domain."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

SLOW = ("mlflow", "torch", "transformers", "pandas", "peft", "great_expectations", "ctranslate2")

LOAD = """
import json, resource, sys
from pipelines.definitions import defs
used = resource.getrusage(resource.RUSAGE_SELF)
print(json.dumps({"seconds": used.ru_utime + used.ru_stime, "modules": sorted(sys.modules)}))
"""

STAGES = {
    "corpus", "validation", "splits", "base_model", "adapter", "merged_model", "engine",
    "base_engine", "predictions", "base_predictions", "accuracy_report", "accent_report",
    "latency_report", "model_version", "certificate", "promotion", "bento", "calibration",
    "evaluation_report",
}  # fmt: skip
ON_DEMAND = {"forgetting_report", "robustness_report"}


def test_it_loads_in_under_five_seconds_with_nothing_slow(project: Path) -> None:
    """Seconds of the processor: the clock also counts what others do meanwhile."""
    done = subprocess.run(
        [sys.executable, "-c", LOAD], cwd=project, capture_output=True, text=True, check=True
    )
    loaded = json.loads(done.stdout.splitlines()[-1])
    assert loaded["seconds"] < 5.0
    assert "dagster" in loaded["modules"]
    assert {name.split(".")[0] for name in loaded["modules"]}.isdisjoint(SLOW)


@pytest.fixture
def definitions(tmp_path: Path, project: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Of a project whose second domain retrains at another hour."""
    content = yaml.safe_load((project / "params.yaml").read_text())
    content["domains"]["telephony-it"]["schedule"] = "30 4 * * sun"
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(content))
    monkeypatch.setenv("VOICEFORGE_PROJECT", str(tmp_path))
    from pipelines.definitions import build_definitions

    return build_definitions()


def test_every_stage_is_an_asset_partitioned_by_domain(definitions: Any) -> None:
    from assets.common import domains

    graph = definitions.resolve_asset_graph()
    keys = {key.to_user_string() for key in graph.get_all_asset_keys()}
    assert keys == STAGES | ON_DEMAND
    assert {graph.get(key).partitions_def.name for key in graph.get_all_asset_keys()} == {
        domains.name
    }


def test_a_run_leaves_out_what_is_examined_on_demand(definitions: Any) -> None:
    selected = {
        name: {key.to_user_string() for key in job.asset_layer.selected_asset_keys}
        for name in ("lifecycle", "examine")
        if (job := definitions.resolve_job_def(name))
    }
    assert selected == {"lifecycle": STAGES, "examine": ON_DEMAND}
    lifecycle = definitions.resolve_job_def("lifecycle")
    blocking = {key.name for key in lifecycle.asset_layer.asset_graph.asset_check_keys}
    assert {"few_quarantined", "predictions_are_complete", "engine_agrees"} <= blocking


def test_checks_block_where_going_on_would_be_wrong(definitions: Any) -> None:
    blocking = {
        key.name: spec.blocking
        for checks in definitions.asset_checks
        for key, spec in ((spec.key, spec) for spec in checks.check_specs)
    }
    assert blocking == {
        "few_quarantined": True,
        "has_version": False,
        "splits_are_disjoint": True,
        "gate_is_sealed": True,
        "loss_fell": True,
        "weights_are_finite": True,
        "engine_agrees": True,
        "predictions_are_complete": True,
        "certificate_says_promote": False,
    }


def test_every_domain_has_its_weekly_schedule(definitions: Any) -> None:
    """That it fires, by a clock of its own, is a system test."""
    lines = {one.name: one.cron_schedule for one in definitions.schedules}
    assert lines == {"retrain_telephony_en": "0 3 * * 1", "retrain_telephony_it": "30 4 * * sun"}
    assert {one.job_name for one in definitions.schedules} == {"lifecycle"}


def test_a_bad_params_file_is_said_in_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pipelines.definitions import build_definitions
    from voiceforge.errors import UsageError

    (tmp_path / "params.yaml").write_text("defaults: {stpes: 1}\ndomains: {a: {}}\n")
    monkeypatch.setenv("VOICEFORGE_PROJECT", str(tmp_path))
    with pytest.raises(UsageError, match=r"unknown key a\.stpes"):
        build_definitions()
