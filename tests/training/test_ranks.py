"""Several processes compute what one would, and none outlives the others."""

from __future__ import annotations

import dataclasses
import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file

from training import lora
from training.clips import Draw, batch_frames
from training.launch import run_training
from training.machine import Device
from training.ranks import Ranks, deal
from training.recipe import TrainingProgress, TrainingReport, TrainingSpec
from voiceforge.errors import StageError, UsageError
from voiceforge.files import read_json, write_json

draws = st.tuples(st.integers(0, 3), st.floats(0.0, 2.0)).map(lambda drawn: Draw(*drawn, 0))


@given(st.lists(st.lists(draws, min_size=3, max_size=9), min_size=1, max_size=5), st.integers(1, 3))
def test_every_draw_is_dealt_once_and_as_wide_as_its_batch(
    plan: list[list[Draw]], size: int
) -> None:
    durations = [1.0, 2.0, 4.0, 8.0]
    hands = [deal(plan, durations, Ranks(rank, size, size)) for rank in range(size)]
    for number, batch in enumerate(plan):
        dealt = [draw for hand in hands for draw in hand[number]]
        assert sorted(draw._replace(least_frames=0) for draw in dealt) == sorted(batch)
        widths = {batch_frames(hand[number], durations) for hand in hands}
        assert widths == {batch_frames(batch, durations)}


def test_more_processes_than_clips_in_a_batch_are_refused() -> None:
    with pytest.raises(UsageError, match=r"batch_size is 1, and 2 processes.*VOICEFORGE_PROCESSES"):
        deal([[Draw(0, 0.0, 0)]], [1.0], Ranks(0, 2, 2))


def test_more_processes_than_devices_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "4")
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "4")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    with pytest.raises(UsageError, match=r"PROCESSES is 4, and there are 2 CUDA devices"):
        Ranks.join("cuda")


def several(spec: TrainingSpec, **params: object) -> TrainingSpec:
    changed = spec.params.model_copy(
        update={"steps": 5, "batch_size": 3, "dev_utterances": 1} | params
    )
    return dataclasses.replace(spec, params=changed, processes=2, threads=2)


FLOAT32 = """
import json, sys
from pathlib import Path
from training import lora
from training.machine import Device
from training.recipe import TrainingSpec

lora.choose_device = lambda asked: Device("cpu", "float32", "asked by a test")
spec = TrainingSpec.from_dict(json.loads(Path(sys.argv[1]).read_text()))
lora.take_part(spec, Path(sys.argv[2]), lambda _: None)
"""


@pytest.mark.system
def test_two_processes_have_the_losses_and_weights_of_one(
    spec: TrainingSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three clips a step: one has two of them and most of the tokens, the other has one.

    In float32, since bfloat16 rounds a batch of two otherwise than one of three.
    """
    spec = several(spec)
    monkeypatch.setattr(lora, "choose_device", lambda _: Device("cpu", "float32", "by a test"))
    alone = dataclasses.replace(spec, output=tmp_path / "alone", threads=1)
    expected = lora.train(alone, tmp_path / "alone-w", lambda _: None)

    write_json(tmp_path / "spec.json", spec.as_dict())
    (tmp_path / "float32.py").write_text(FLOAT32)
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    command += ["--nproc-per-node", "2", str(tmp_path / "float32.py")]
    command += [str(tmp_path / "spec.json"), str(tmp_path / "w")]
    path = os.pathsep.join([str(Path(lora.__file__).parents[1]), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": path}
    subprocess.run(command, check=True, env=environment, timeout=300, capture_output=True)
    got = TrainingReport.from_dict(read_json(spec.output / "training_report.json"))

    assert (got.processes, expected.processes) == (2, 1)
    assert [point.step for point in got.losses] == [point.step for point in expected.losses] == [5]
    for one, other in zip(got.losses, expected.losses, strict=True):
        assert one.loss == pytest.approx(other.loss, rel=1e-4)
        assert one.gradient_norm == pytest.approx(other.gradient_norm, rel=1e-3)
    assert got.dev == expected.dev
    name = "adapter_model.safetensors"
    theirs = load_file(alone.output / name)
    for tensor, weights in load_file(spec.output / name).items():
        assert (weights - theirs[tensor]).norm() <= 0.02 * theirs[tensor].norm() + 1e-6


@pytest.mark.system
def test_when_one_process_dies_all_end_and_the_next_run_continues(
    spec: TrainingSpec, tmp_path: Path
) -> None:
    spec = several(spec, steps=10, dropout=0.0)
    others = psutil.Process().children(recursive=True)  # of earlier tests
    started: list[psutil.Process] = []

    def kill_the_second(progress: TrainingProgress) -> None:
        if progress.step == 5 and progress.loss is not None:
            children = psutil.Process().children(recursive=True)
            started.extend(child for child in children if child not in others)
            (second,) = [
                process
                for process in started
                if "training.worker" in process.cmdline()
                and process.environ().get("RANK") == "1"
                and "torch.distributed.run" not in process.cmdline()
            ]
            second.send_signal(signal.SIGKILL)

    with pytest.raises(StageError, match="no memory left"):
        run_training(spec, tmp_path / "w", kill_the_second)
    assert psutil.wait_procs(started, 10)[1] == []
    news: list[TrainingProgress] = []
    report = run_training(spec, tmp_path / "w", news.append)
    assert "2 processes share each batch" in news[0].message
    assert "continues after step" in news[0].message
    assert (report.steps, report.processes) == (10, 2)
    assert [point.step for point in report.losses] == [5, 10]
