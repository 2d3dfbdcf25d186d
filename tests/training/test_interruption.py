"""Killed, out of disk, or damaged: a training ends as if nothing had been."""

from __future__ import annotations

import dataclasses
import json
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.training.kills import die
from tests.training.test_launch import worker
from training.attempts import Attempts
from training.launch import run_training
from training.lora import train
from training.prepared import PreparedRun
from training.recipe import TrainingProgress, TrainingReport, TrainingSpec
from voiceforge.errors import StageError
from voiceforge.files import read_json, write_json

WEIGHTS = "adapter_model.safetensors"


def short(spec: TrainingSpec, output: Path, **params: Any) -> TrainingSpec:
    """Ten steps with dropout; checkpoints and points of the loss curve fall on different steps."""
    few = {"steps": 10, "batch_size": 2, "checkpoint_every": 2, "evaluate_every": 4, "dropout": 0.1}
    few |= {"dev_utterances": 2}
    changed = spec.params.model_copy(update=few | params)
    return dataclasses.replace(spec, params=changed, output=output)


def check_same(got: TrainingReport, expected: TrainingReport) -> None:
    """Exactly: on one CPU thread the same numbers are added in the same order.

    Both in this process or both in the worker's, whose `OMP_NUM_THREADS` holds for NumPy as well.
    """
    assert got.losses == expected.losses
    assert got.dev == expected.dev
    assert (got.steps, got.best_step) == (expected.steps, expected.best_step)


class Killed(Exception):
    pass


def kill_in_step(monkeypatch: pytest.MonkeyPatch, step: int) -> None:
    """Break the next training off while it makes the batch of that step of its attempt."""
    made: list[int] = []
    collate = PreparedRun.collate

    def counted(run: PreparedRun, items: Any) -> dict[str, torch.Tensor]:
        made.append(1)
        if len(made) == step:
            raise Killed
        return collate(run, items)

    monkeypatch.setattr(PreparedRun, "collate", counted)


def test_broken_off_anywhere_it_has_the_losses_and_the_adapter_of_one_that_was_not(
    spec: TrainingSpec, tmp_path: Path
) -> None:
    whole = short(spec, tmp_path / "whole")
    expected = train(whole, tmp_path / "w", lambda _: None)
    assert [point.step for point in expected.losses] == [5, 10]
    parts = short(spec, tmp_path / "parts")
    for step in (3, 5, 2):  # 1 and 2 done, then 3 to 6, then 7 again
        with pytest.MonkeyPatch.context() as patch:
            kill_in_step(patch, step)
            with pytest.raises(Killed):
                train(parts, tmp_path / "p", lambda _: None)
    news: list[TrainingProgress] = []
    got = train(parts, tmp_path / "p", news.append)
    assert "continues after step 6" in news[0].message
    check_same(got, expected)
    assert (parts.output / WEIGHTS).read_bytes() == (whole.output / WEIGHTS).read_bytes()


def test_a_checkpoint_holds_what_it_needs_and_is_read_without_pickle(
    spec: TrainingSpec, tmp_path: Path
) -> None:
    train(short(spec, tmp_path / "out", steps=8), tmp_path / "w", lambda _: None)
    left = sorted(path.name for path in (tmp_path / "w" / "trainer").iterdir())
    assert left == ["checkpoint-6", "checkpoint-8"]
    folder = tmp_path / "w" / "trainer" / "checkpoint-8"
    names = {path.name for path in folder.iterdir()}
    assert names == {
        "adapter_config.json",
        WEIGHTS,
        "optimizer.pt",
        "scheduler.pt",
        "rng_state.pth",
        "trainer_state.json",
        "history.json",
    }
    for name in ("optimizer.pt", "scheduler.pt"):
        assert torch.load(folder / name, weights_only=True)
    from transformers.trainer_pt_utils import safe_globals

    with safe_globals():  # NumPy's arrays, named one by one
        assert torch.load(folder / "rng_state.pth", weights_only=True)["cpu"].dtype == torch.uint8


def test_a_damaged_checkpoint_is_passed_over_for_the_one_before(
    spec: TrainingSpec, tmp_path: Path
) -> None:
    """As a power cut leaves it: the name and the size, and other bytes."""
    whole = short(spec, tmp_path / "whole")
    expected = train(whole, tmp_path / "w", lambda _: None)
    damaged = tmp_path / "w" / "trainer" / "checkpoint-10" / "optimizer.pt"
    damaged.write_bytes(bytes(damaged.stat().st_size))
    news: list[TrainingProgress] = []
    again = train(dataclasses.replace(whole, output=tmp_path / "x"), tmp_path / "w", news.append)
    assert "continues after step 8" in news[0].message
    check_same(again, expected)


def test_adapters_that_no_attempt_could_choose_are_removed(
    spec: TrainingSpec, tmp_path: Path
) -> None:
    report = train(short(spec, tmp_path / "out", evaluate_every=1), tmp_path / "w", lambda _: None)
    left = {int(path.name) for path in (tmp_path / "w" / "adapters").iterdir()}
    assert report.best_step in left
    assert len(left) <= 2
    assert len({score.step for score in report.dev}) == 10


@pytest.mark.system
def test_killed_at_every_point_of_a_save_it_continues_from_the_last_whole_checkpoint(
    spec: TrainingSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The real worker, by the kernel: in the optimizer's bytes, in an adapter, before the mark."""
    expected = run_training(short(spec, tmp_path / "whole"), tmp_path / "w", lambda _: None)
    parts, workspace = short(spec, tmp_path / "parts"), tmp_path / "p"
    trainer, adapters = workspace / "trainer", workspace / "adapters"
    first: list[int] = []

    def attempt(kill: Any = None, **death: Any) -> None:
        die(tmp_path / "path", monkeypatch, **death)
        news: list[TrainingProgress] = []

        def told(progress: TrainingProgress) -> None:
            news.append(progress)
            if kill:
                kill(progress)

        with pytest.raises(StageError, match=r"ended with signal SIG(KILL|XFSZ)"):
            run_training(parts, workspace, told)
        first.append(news[0].step)

    attempt(beyond=6_000_000)
    assert (trainer / "checkpoint-2" / "optimizer.pt").stat().st_size <= 6_000_000
    assert not (trainer / "checkpoint-2" / "history.json").exists()

    attempt(at="adapters/.tmp-4-")
    assert [path.name[:7] for path in adapters.iterdir()] == [".tmp-4-"]
    assert (trainer / "checkpoint-2" / "history.json").exists()

    attempt(at="checkpoint-4/.history.json")
    assert (trainer / "checkpoint-4" / "optimizer.pt").exists()
    assert not (trainer / "checkpoint-4" / "history.json").exists()

    def in_some_step(progress: TrainingProgress) -> None:
        if progress.step == 5:
            time.sleep(random.uniform(0.0, 0.3))
            worker().send_signal(signal.SIGKILL)

    attempt(kill=in_some_step)
    assert first == [0, 0, 2, 2]

    die(tmp_path / "path", monkeypatch)
    news: list[TrainingProgress] = []
    got = run_training(parts, workspace, news.append)
    assert news[0].step >= 4
    check_same(got, expected)
    (overall, reference) = (report.dev_scores()[0].rate for report in (got, expected))
    assert abs(overall - reference) <= 0.003
    assert (parts.output / WEIGHTS).read_bytes() == (tmp_path / "whole" / WEIGHTS).read_bytes()
    assert not [*workspace.rglob(".tmp-*")]


DISK = """
import json, subprocess, sys
from pathlib import Path
from training.launch import run_training
from training.recipe import TrainingSpec
from voiceforge.errors import StorageError

disk = Path(sys.argv[1])
spec = TrainingSpec.from_dict(json.loads(Path(sys.argv[2]).read_text()))

def run():
    news = []
    try:
        report = run_training(spec, disk / "work" / "w", news.append)
    except StorageError as error:
        return {"error": str(error), "from": news[0].step}
    return {"from": news[0].step, "report": report.as_dict()}

def room(name, size):
    subprocess.run(["mount", "-o", "remount,size=" + size, "none", disk / name], check=True)

said = [run()]
room("work", "100m")
said.append(run())
room("output", "100m")
said.append(run())
print(json.dumps(said))
"""


@pytest.mark.system
def test_when_a_full_disk_has_room_again_the_training_goes_on(
    spec: TrainingSpec, tmp_path: Path
) -> None:
    """Full in the second checkpoint, then, in a file system of its own, at the report's place."""
    expected = run_training(short(spec, tmp_path / "whole"), tmp_path / "w", lambda _: None)
    disk = tmp_path / "disk"
    write_json(tmp_path / "spec.json", short(spec, disk / "output" / "adapter").as_dict())
    for name in ("work", "output"):
        (disk / name).mkdir(parents=True)
    mounts = (
        'mount -t tmpfs -o size=20m none "$1/work" && mount -t tmpfs -o size=1m none "$1/output" '
        '&& exec "$2" -c "$3" "$1" "$4"'
    )
    command = ["unshare", "--mount", "--map-root-user", "sh", "-c", mounts, "sh"]
    command += [str(disk), sys.executable, DISK, str(tmp_path / "spec.json")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    checkpoint, report, finished = json.loads(done.stdout)
    assert "disk is full" in checkpoint["error"]
    assert "disk is full" in report["error"]
    assert [said["from"] for said in (checkpoint, report, finished)] == [0, 2, 10]
    check_same(TrainingReport.from_dict(finished["report"]), expected)


def test_another_run_in_the_same_place_starts_from_nothing(
    spec: TrainingSpec, tmp_path: Path
) -> None:
    one = short(spec, tmp_path / "one", steps=2)
    train(one, tmp_path / "w", lambda _: None)
    assert Attempts(tmp_path / "w", one).last_checkpoint()
    shutil.rmtree(one.output)
    assert Attempts(tmp_path / "w", short(spec, one.output, steps=3)).last_checkpoint() is None
    assert read_json(tmp_path / "w" / "fingerprint.json")
