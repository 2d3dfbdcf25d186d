"""`dvc repro`, metrics, plots and corpus versions on a domain's lifecycle."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable
from typing import Any

from tests.system.projects import DOMAIN, Project
from voiceforge.files import sha256_folder

Note = Callable[[str, float], None]


def test_repro_metrics_and_plots_over_two_commits(project: Project, measured: Note) -> None:
    project.commit("First model")
    made = project.times()
    began = time.monotonic()
    project.tool("dvc", "repro")
    measured("dvc repro of a finished lifecycle", time.monotonic() - began)
    assert project.times() == made
    began = time.monotonic()
    said = project.tool("dvc", "repro")
    measured("dvc repro again", time.monotonic() - began)
    # Only the sources know whether recordings changed, and DVC knows neither split ledger nor gate
    # sets, so corpus and adapter are asked for every time.
    running = [line for line in said.splitlines() if "Running stage" in line]
    assert running == [f"Running stage '{stage}@{DOMAIN}':" for stage in ("corpus", "adapter")]
    assert project.times() == made
    project.commit("First model, seen by DVC")

    def fewer_steps(params: dict[str, Any]) -> None:
        params["defaults"]["training"]["steps"] = 5

    project.set_params(fewer_steps)
    began = time.monotonic()
    project.tool("dvc", "repro")
    measured("dvc repro with five steps of training instead", time.monotonic() - began)
    project.commit("Five steps")

    metrics = f"results/{DOMAIN}/metrics.json"
    shown = json.loads(project.tool("dvc", "metrics", "show", "--json"))
    assert shown[""]["data"][metrics]["data"]["accuracy"]
    changed = json.loads(project.tool("dvc", "metrics", "diff", "--json", "HEAD~1"))
    rates = [
        value
        for name, value in changed[metrics].items()
        if name.startswith("accuracy.") and name.endswith(".word_error_rate")
    ]
    assert rates and any(rate["diff"] > 0 for rate in rates), changed
    project.tool("dvc", "plots", "show", "--out", "plots")
    page = (project.path / "plots" / "index.html").read_text()
    for title in ("training loss", "dev word error rate", "word error rate by accent"):
        assert f"{DOMAIN}: {title}" in page
    project.tool("dvc", "plots", "diff", "--out", "difference", "HEAD~1")
    assert (project.path / "difference" / "index.html").is_file()


def test_any_recorded_version_of_a_corpus_comes_back(project: Project) -> None:
    corpus = project.path / "data" / "corpora" / DOMAIN
    first = project.tool("cat", f"results/{DOMAIN}/corpus.json")
    version = json.loads(first)["dvc"]["md5"]
    content = sha256_folder(corpus)
    shutil.rmtree(corpus)
    project.voiceforge("corpus", "checkout", f"{DOMAIN}@{version}")
    assert sha256_folder(corpus) == content

    def fewer_clips(params: dict[str, Any]) -> None:
        for source in params["domains"][DOMAIN]["sources"]:
            if source["kind"] == "espeak":
                source["words_per_accent"] = 100

    before = (project.path / "params.yaml").read_text()
    project.set_params(fewer_clips)
    project.voiceforge("stage", "corpus", "--domain", DOMAIN)
    newer = sha256_folder(corpus)
    assert newer != content
    shown = json.loads(project.voiceforge("corpus", "show", DOMAIN, "--json").out)
    versions = [one["md5"] for one in shown["versions"]]
    assert version in versions and len(versions) == 2
    project.voiceforge("corpus", "checkout", f"{DOMAIN}@{version}")
    assert sha256_folder(corpus) == content
    # With its parameters the restored corpus is what the next run finds.
    (project.path / "params.yaml").write_text(before)
    assert set(project.lifecycle().states().values()) == {"unchanged"}
