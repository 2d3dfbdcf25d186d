"""The training process from outside: its news, its errors, its death, and its second life."""

from __future__ import annotations

import dataclasses
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from tests.limits import small_files
from training.launch import LOG, run_training
from training.recipe import TrainingProgress, TrainingReport, TrainingSpec
from voiceforge.errors import AudioError, StageError, StorageError, UsageError
from voiceforge.files import read_json, write_json


def worker() -> psutil.Process:
    """The training process that this test has started."""
    (child,) = [
        child
        for child in psutil.Process().children(recursive=True)
        if "training.worker" in child.cmdline()
    ]
    return child


@pytest.mark.system
def test_a_killed_training_continues_where_it_was(spec: TrainingSpec, tmp_path: Path) -> None:
    params = {"steps": 15, "evaluate_every": 10, "checkpoint_every": 5}
    spec = dataclasses.replace(spec, params=spec.params.model_copy(update=params))
    workspace = tmp_path / "workspace"

    def kill_after_ten(progress: TrainingProgress) -> None:
        if progress.step == 10 and progress.loss is not None:
            # Its checkpoint of step 10 may be whole or not; either must do.
            worker().send_signal(signal.SIGKILL)

    with pytest.raises(StageError, match=r"SIGKILL.*continues from its last checkpoint"):
        run_training(spec, workspace, kill_after_ten)
    assert not spec.output.exists()

    second: list[TrainingProgress] = []
    resumed = run_training(spec, workspace, second.append)
    assert second[0].step in (5, 10)
    assert f"continues after step {second[0].step}" in second[0].message
    assert min(news.step for news in second if news.loss is not None) > second[0].step

    whole = run_training(
        dataclasses.replace(spec, output=tmp_path / "whole"), tmp_path / "other", lambda _: None
    )
    assert [point.step for point in resumed.losses] == [5, 10, 15]
    for got, expected in zip(resumed.losses, whole.losses, strict=True):
        assert got.loss == pytest.approx(expected.loss, rel=1e-3)
        assert got.learning_rate == pytest.approx(expected.learning_rate)
    assert [score.step for score in resumed.dev if score.slice == "all"] == [10, 15]
    assert resumed.dev == whole.dev
    assert TrainingReport.from_dict(read_json(spec.output / "training_report.json")) == resumed


def test_another_recipe_does_not_continue(spec: TrainingSpec, tmp_path: Path) -> None:
    run_training(spec, tmp_path / "workspace", lambda _: None)
    other = dataclasses.replace(spec, params=spec.params.model_copy(update={"steps": 8}))
    news: list[TrainingProgress] = []
    report = run_training(other, tmp_path / "workspace", news.append)
    assert "continues" not in news[0].message
    assert [score.step for score in report.dev if score.slice == "all"] == [3, 6, 8]


def test_the_workers_errors_arrive_as_they_were_raised(spec: TrainingSpec, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="English only"):
        run_training(dataclasses.replace(spec, language="it"), tmp_path / "w", lambda _: None)


def test_a_recording_that_is_gone_is_named_with_its_reason(
    spec: TrainingSpec, prompts_corpus: Path, tmp_path: Path
) -> None:
    corpus = tmp_path / "corpus"
    shutil.copytree(prompts_corpus, corpus)
    gone = min(corpus.glob("*.flac"))
    gone.unlink()
    spec = dataclasses.replace(spec, corpus=corpus)
    with pytest.raises(AudioError, match="does not exist") as caught:
        run_training(spec, tmp_path / "w", lambda _: None)
    assert caught.value.reason == "missing"
    assert str(gone) in str(caught.value)


DISK = """
import json, sys
from pathlib import Path
from training.launch import run_training
from training.recipe import TrainingSpec
from voiceforge.errors import StageError, StorageError
spec = TrainingSpec.from_dict(json.loads(Path(sys.argv[2]).read_text()))
try:
    run_training(spec, Path(sys.argv[1]) / "w", lambda _: None)
except (StorageError, StageError) as error:
    print(type(error).__name__, error)
"""


@pytest.mark.parametrize("size", ["64k", "6m"])
def test_a_full_disk_is_said_without_a_traceback(
    spec: TrainingSpec, tmp_path: Path, size: str
) -> None:
    """A real one, full at the adapter's weights or only at the optimizer's state."""
    write_json(tmp_path / "spec.json", spec.as_dict())
    (tmp_path / "disk").mkdir()
    # A tmpfs in a mount namespace of its own.
    mount = 'mount -t tmpfs -o size="$1" none "$2" && exec "$3" -c "$4" "$2" "$5"'
    command = ["unshare", "--mount", "--map-root-user", "sh", "-c", mount, "sh", size]
    command += [str(tmp_path / "disk"), sys.executable, DISK, str(tmp_path / "spec.json")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.stdout.startswith("StorageError "), done.stdout + done.stderr
    assert "disk is full" in done.stdout
    assert len(done.stdout.splitlines()) == 1


def test_a_limit_on_files_is_said_without_a_traceback(spec: TrainingSpec, tmp_path: Path) -> None:
    with small_files(100_000), pytest.raises(StorageError, match="larger than this machine lets"):
        run_training(spec, tmp_path / "w", lambda _: None)


def test_a_crash_tells_the_last_lines_of_the_log(spec: TrainingSpec, tmp_path: Path) -> None:
    folder = tmp_path / "base"
    shutil.copytree(spec.base, folder)
    (folder / "config.json").write_text('{"model_type": "whisper", "d_model": "wide"}')
    broken = dataclasses.replace(spec, base=folder)
    with pytest.raises(StageError, match=r"exit status 1.*the last lines:[\s\S]*Error"):
        run_training(broken, tmp_path / "w", lambda _: None)
    assert "Traceback" in (tmp_path / "w" / LOG).read_text()


def test_an_interrupt_ends_the_training_process(spec: TrainingSpec, tmp_path: Path) -> None:
    seen: list[psutil.Process] = []

    def interrupt(_: TrainingProgress) -> None:
        seen.append(worker())
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_training(spec, tmp_path / "w", interrupt)
    assert seen
    assert not seen[0].is_running()


def test_a_training_process_whose_starter_dies_ends_too(spec: TrainingSpec, tmp_path: Path) -> None:
    params = {"steps": 10_000, "evaluate_every": 10_000, "checkpoint_every": 10_000}
    spec = dataclasses.replace(spec, params=spec.params.model_copy(update=params))
    write_json(tmp_path / "spec.json", spec.as_dict())
    code = (
        "import json, os, sys; from pathlib import Path\n"
        "from training.launch import run_training; from training.recipe import TrainingSpec\n"
        "spec = TrainingSpec.from_dict(json.loads(Path(sys.argv[1]).read_text()))\n"
        "run_training(spec, Path(sys.argv[2]), lambda now: print(now.step, flush=True))\n"
    )
    starter = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path / "spec.json"), str(tmp_path / "w")],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert starter.stdout
    assert starter.stdout.readline() == "0\n"
    (trainer,) = psutil.Process(starter.pid).children()
    os.kill(starter.pid, signal.SIGKILL)
    starter.wait()
    deadline = time.monotonic() + 60
    while trainer.is_running() and time.monotonic() < deadline:
        time.sleep(0.2)
    alive = trainer.is_running()
    if alive:
        trainer.kill()
    assert not alive
