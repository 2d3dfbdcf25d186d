"""Killed at any stage, the lifecycle goes on from its last finished artifact."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.system.projects import (
    DOMAIN,
    Project,
    left_running,
    new_project,
    small_params,
)
from voiceforge.files import read_json, sha256_folder

Note = Callable[[str, float], None]
_STAGES = [
    ("corpus", signal.SIGKILL, 1.5),
    ("corpus", signal.SIGINT, 0.5),
    ("splits", signal.SIGKILL, 0.0),
    ("adapter", signal.SIGKILL, 0.0),
    ("adapter", signal.SIGINT, 0.0),
    ("merged_model", signal.SIGKILL, 0.3),
    ("engine", signal.SIGKILL, 1.0),
    ("latency_report", signal.SIGKILL, 1.0),
    ("predictions", signal.SIGINT, 1.0),
    ("predictions", signal.SIGKILL, 1.0),
    ("model_version", signal.SIGKILL, 1.0),
    ("certificate", signal.SIGKILL, 0.3),
    ("promotion", signal.SIGKILL, 0.0),
    ("bento", signal.SIGINT, 0.5),
    ("bento", signal.SIGKILL, 1.0),
]
"""Stage, signal, and how long the stage works before it comes."""


@pytest.fixture
def tiny(cache: Path, tmp_path: Path) -> Project:
    """A project that trains for eight steps and promotes whatever that gives."""
    params = small_params(
        steps=8, evaluate_every=4, checkpoint_every=2, dev_utterances=4, maximum_seconds=4.0
    )
    params["defaults"]["evaluation"] |= {"base_words_per_accent": 250, "base_human_words": 120}
    gate = {"kind": "non-inferiority", "margin": 100.0}
    gates = dict.fromkeys(("overall", "human", "synthetic", "each_accent"), gate)
    params["defaults"]["gates"] |= gates | {"minimum_words": 10}
    speech = next(s for s in params["domains"][DOMAIN]["sources"] if s["kind"] == "espeak")
    speech |= {"accents": ["en-us"], "words_per_accent": 250}
    return new_project(tmp_path / "tiny", cache, params)


def test_killed_at_every_stage_it_goes_on(tiny: Project, measured: Note) -> None:
    steps: list[int] = []
    seen: dict[str, int] = {}
    began = time.monotonic()
    for stage, number, delay in _STAGES:
        with tiny.start("run", "--domain", DOMAIN) as running:
            running.wait_for(_at_work(tiny, stage, steps), f"work on {stage}")
            time.sleep(delay)
            assert running.process.poll() is None, f"{stage} took less than {delay} s"
            family = running.family()
            if number == signal.SIGKILL:
                running.kill()
            else:
                running.interrupt()
                ended = running.end(60.0)
                assert ended.code == 130, ended.err
                assert "Interrupted." in ended.err
            assert "Traceback" not in running.err, running.err
        psutil.wait_procs(family, 30)
        assert left_running(tiny.path) == []
        _check_whole(tiny)
        now = _manifests(tiny)
        assert {name: now[name] for name in seen} == seen, f"killed in {stage}: made again"
        seen = now
    last = tiny.lifecycle()
    measured(f"killed {len(_STAGES)} times, lifecycle finished", time.monotonic() - began)
    _check_whole(tiny)
    now = _manifests(tiny)
    assert {name: now[name] for name in seen} == seen
    assert {stage for stage, state in last.states().items() if state == "made"} <= {"bento"}
    leftovers = [*tiny.artifacts.rglob(".tmp-*"), *tiny.artifacts.rglob(".work-*")]
    assert leftovers == []
    assert f"Champion: models:/{DOMAIN}/1" in last.out
    # Three attempts at training, and none began at the beginning again.
    trained = tiny.manifest("adapter")["summary"]
    assert trained["steps"] == 8
    assert [point["step"] for point in trained["loss_curve"]] == sorted(
        {point["step"] for point in trained["loss_curve"]}
    )
    assert steps == sorted(steps) and steps[0] > 0 and steps[-1] > steps[0], steps


def test_training_ends_with_the_run_that_started_it(tiny: Project) -> None:
    """Only the command is killed, as an out-of-memory killer might: its child must not stay."""
    with tiny.start("run", "--domain", DOMAIN) as running:
        running.wait_for(_at_work(tiny, "adapter", []), "a checkpoint")
        family = running.family()
        assert any("training.worker" in " ".join(p.cmdline()) for p in family[1:])
        running.process.kill()
        running.process.wait()
        _, alive = psutil.wait_procs(family, 60)
        assert alive == []
    assert left_running(tiny.path) == []


def test_one_domain_runs_once_at_a_time(tiny: Project) -> None:
    with tiny.start("run", "--domain", DOMAIN) as running:
        running.wait_for(_at_work(tiny, "corpus", []), "work on the corpus")
        second = tiny.voiceforge("run", "--domain", DOMAIN, code=1)
        assert f"Another run of {DOMAIN} is going on" in second.err
        assert running.process.poll() is None
        running.interrupt()
        assert running.end(60.0).code == 130


def _at_work(project: Project, stage: str, steps: list[int]) -> Callable[[], bool]:
    """Whether a stage is being made; training is where a checkpoint beyond the last is whole."""
    folder = project.artifacts / DOMAIN / stage
    unfinished = project.path / "data" / "corpora" if stage == "corpus" else folder
    before = set(unfinished.glob(".tmp-*"))

    def working() -> bool:
        if stage != "adapter":
            return bool(set(unfinished.glob(".tmp-*")) - before)
        done = [
            int(path.parent.name.removeprefix("checkpoint-"))
            for path in folder.glob(".work-*/trainer/checkpoint-*/history.json")
        ]
        if not done or (steps and max(done) <= steps[-1]):
            return False
        steps.append(max(done))
        return True

    return working


def _manifests(project: Project) -> dict[str, int]:
    """Every finished artifact and when its manifest was written."""
    found = list(project.artifacts.glob(f"{DOMAIN}/*/[!.]*/manifest.json"))
    found += project.path.glob(f"data/corpora/{DOMAIN}/manifest.json")
    return {str(path): path.stat().st_mtime_ns for path in found}


def _check_whole(project: Project) -> None:
    for name in _manifests(project):
        fields: dict[str, Any] = read_json(Path(name))
        files = sha256_folder(Path(name).parent)
        del files["manifest.json"]
        assert files == fields["files"], name
