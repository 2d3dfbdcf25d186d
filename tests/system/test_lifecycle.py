"""The whole lifecycle by `voiceforge run`: what it leaves, what it finds and makes again."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx

from serving import client
from serving.launch import free_port, start_service
from serving.registry import CHALLENGER, CHAMPION, Registry
from tests.system.conftest import Finished
from tests.system.projects import DOMAIN, Project
from voiceforge.files import read_json, sha256_folder

MADE = {
    "corpus", "validation", "splits", "base_engine", "adapter", "merged_model", "engine",
    "predictions", "base_predictions", "accuracy_report", "accent_report", "latency_report",
    "model_card", "model_version", "certificate", "promotion", "bento", "dev_predictions",
    "calibration", "signal_to_noise", "evaluation_report",
}  # fmt: skip
DECISION = {"certificate", "promotion"}
Note = Callable[[str, float], None]


def _registry(project: Project) -> Registry:
    return Registry(project.mlflow_uri, project.home / "mlflow" / "artifacts")


def _set(path: str, value: Any) -> Callable[[dict[str, Any]], None]:
    def change(params: dict[str, Any]) -> None:
        *folders, name = path.split(".")
        for folder in folders:
            params = params[folder]
        assert params[name] != value
        params[name] = value

    return change


def test_every_stage_leaves_a_whole_artifact(finished: Finished) -> None:
    assert finished.run.states() == dict.fromkeys(MADE, "made")
    assert set(finished.project.stages()) == MADE
    for stage in MADE:
        folder, manifest = finished.project.current(stage), finished.project.manifest(stage)
        files = sha256_folder(folder)
        del files["manifest.json"]
        assert files == manifest["files"], stage
        assert manifest["inputs"] or manifest["parameters"], stage
    leftovers = [
        *finished.project.artifacts.rglob(".tmp-*"),
        *finished.project.artifacts.rglob(".work-*"),
    ]
    assert leftovers == []


def test_the_table_compares_base_and_fine_tuned(finished: Finished) -> None:
    said = finished.run.out
    for row in ("overall", "human speech", "synthetic speech", "accent en-us", "seconds per clip"):
        assert any(line.strip().startswith(row) for line in said.splitlines()), f"{row}\n{said}"
    assert "Verdict: promote for version 1 against the base model." in said
    assert f"Champion: models:/{DOMAIN}/1" in said
    accuracy = finished.project.manifest("accuracy_report")["summary"]["slices"][0]
    assert f"{100 * accuracy['word_error_rate']:.1f}% [{100 * accuracy['low']:.1f}%" in said
    assert accuracy["word_error_rate"] < accuracy["base"], "trained for nothing"


def test_the_version_is_registered_certified_and_promoted(finished: Finished) -> None:
    registry = _registry(finished.project)
    (version,) = registry.versions(DOMAIN)
    assert set(version.aliases) == {CHALLENGER, CHAMPION}
    attached = registry.latest_certificate(DOMAIN, version.version)
    assert attached is not None
    decided = finished.project.current("certificate")
    assert read_json(attached / "certificate.json") == read_json(decided / "certificate.json")
    assert (attached / "report.html").read_text() == (decided / "report.html").read_text()
    assert read_json(attached / "certificate.json")["verdict"] == "promote"


def test_results_for_git_name_the_same_artifacts(finished: Finished) -> None:
    folder = finished.project.path / "results" / DOMAIN
    written = {path.name for path in folder.iterdir()}
    assert written == {
        "corpus.json", "validation.json", "adapter.json", "loss.csv", "dev.csv", "engine.json",
        "metrics.json", "accents.csv", "certificate.json",
    }  # fmt: skip
    assert read_json(folder / "certificate.json")["champion"] == "1"
    rate = finished.project.manifest("accuracy_report")["summary"]["slices"][0]["word_error_rate"]
    metrics = read_json(folder / "metrics.json")["accuracy"]
    assert next(iter(metrics.values()))["word_error_rate"] == rate


def test_a_second_run_makes_nothing(project: Project, measured: Note) -> None:
    before = project.times()
    again = project.lifecycle()
    measured("second voiceforge run, nothing changed", again.seconds)
    assert again.states() == dict.fromkeys(MADE, "unchanged")
    assert project.times() == before
    assert len(_registry(project).versions(DOMAIN)) == 1
    status = json.loads(project.voiceforge("status", "--json").out)
    assert [(row["domain"], row["champion"]) for row in status] == [(DOMAIN, "1")]


_EXAMINED = """
from cli.main import main
from lifecycle import evaluated_conditions
from voiceforge.params import sources
evaluated_conditions.CLIPS = 4
evaluated_conditions.CONDITIONS = evaluated_conditions.CONDITIONS[::6]
sources.READINGS = {"potato": ("en",)}
main()
"""
"""The command with less to hear: the whole of it takes six minutes."""


def test_the_examination_is_made_on_demand(project: Project, measured: Note) -> None:
    asked = ("stage", "examination", "--domain", DOMAIN)
    began = time.monotonic()
    project.tool(sys.executable, "-c", _EXAMINED, *asked)
    measured("voiceforge stage examination, four clips and one set", time.monotonic() - began)
    robust, general = (
        read_json(project.current(stage) / "report.json")
        for stage in ("robustness_report", "forgetting_report")
    )
    assert [len(one["curve"]) for one in robust["robustness"]] == [3, 3]
    assert {point["utterances"] for one in robust["robustness"] for point in one["curve"]} == {4}
    assert general["evaluation"]["speech"]["name"] == "general:en"
    assert general["scan"]["overall"]["difference"]["words"] > 20
    before = project.times()
    project.tool(sys.executable, "-c", _EXAMINED, *asked)
    assert project.times() == before


def test_a_worse_challenger_does_not_replace_the_champion(project: Project, measured: Note) -> None:
    project.set_params(_set("defaults.training.steps", 2))
    tried = project.lifecycle()
    measured("run with two steps of training instead", tried.seconds)
    unchanged = {stage for stage, state in tried.states().items() if state == "unchanged"}
    assert unchanged == {
        "corpus", "validation", "splits", "base_engine", "base_predictions", "signal_to_noise",
        "champion_predictions", "bento",
    }  # fmt: skip
    registry = _registry(project)
    assert registry.get_alias(DOMAIN, CHALLENGER) == "2"
    assert registry.get_alias(DOMAIN, CHAMPION) == "1"
    decided = project.manifest("certificate")["summary"]
    assert decided["verdict"] != "promote"
    assert decided["reference_name"] == "version 1"
    assert "against the version 1" in tried.out

    # A gate's margin concerns the decision only.
    project.set_params(_set("defaults.gates.human.margin", 31.0))
    decided_again = project.lifecycle()
    made = {stage for stage, state in decided_again.states().items() if state == "made"}
    assert made == DECISION, decided_again.err
    assert registry.get_alias(DOMAIN, CHAMPION) == "1"

    # Back to the parameters of the champion: everything is found again.
    project.set_params(_set("defaults.training.steps", 40))
    project.set_params(_set("defaults.gates.human.margin", 30.0))
    back = project.lifecycle()
    assert set(back.states().values()) == {"unchanged"}, back.err
    assert registry.get_alias(DOMAIN, CHAMPION) == "1"


def test_the_bento_serves_the_certified_engine(
    project: Project, tmp_path: Path, measured: Note
) -> None:
    tag = project.manifest("bento")["summary"]["tag"]
    clip = held_out(project)
    environ = project.environ(BENTOML_HOME=str(project.home / "bentoml"))
    with start_service(free_port(), environ, tmp_path / "bento.log", target=tag) as service:
        answer = client.transcribe(service.url, clip)
        models = httpx.get(f"{service.url}/api/v1/models/list").json()["models"]
    assert answer["text"]
    assert [(m["name"], m["version"], m["certified"]) for m in models] == [(DOMAIN, "1", True)]
    certified = project.manifest("certificate")["summary"]["engine_sha256"]
    assert models[0]["engine_sha256"] == certified
    gates = project.manifest("certificate")["summary"]["gates"]
    (engine,) = (gate for gate in gates if gate["gate"] == "engine")
    assert models[0]["reason"] == engine["reason"]


def held_out(project: Project) -> Path:
    """Some file of the corpus that nothing was trained on."""
    import pandas

    table = pandas.read_parquet(project.current("splits") / "utterances.parquet")
    test = table[(table["split"] == "test") & ~table["is_synthetic"]].sort_values("id")
    return project.path / "data" / "corpora" / DOMAIN / str(test.iloc[0]["audio"])
