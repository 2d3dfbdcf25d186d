"""Latency by clip length and batch size: on a clock of the test's own, and of a real engine."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from data.audio import read_flac
from evaluation.latency_grid import LatencyGrid, latency_cell
from evaluation.timing import measure_grid
from serving.engines.contracts import DecodingOptions, Engine, Samples, Transcript

RATE = 16_000


class Clocked:
    """Loads in 3 s, takes 5 s at first, and then a tenth of what it hears on its own clock."""

    def __init__(self, engine: Engine) -> None:
        self.description = engine.description
        self.now = 0.0
        self.calls: list[list[Samples]] = []

    def load(self) -> Clocked:
        self.now += 3.0
        return self

    def transcribe(self, clips: Sequence[Samples], _: DecodingOptions) -> list[Transcript]:
        self.now += sum(map(len, clips)) / RATE / 10 if self.calls else 5.0
        self.calls.append(list(clips))
        return [Transcript("", "en", (), 0.0) for _ in clips]


@pytest.fixture
def clocked(base_engine: Engine, monkeypatch: pytest.MonkeyPatch) -> Clocked:
    engine = Clocked(base_engine)
    monkeypatch.setattr(time, "perf_counter", lambda: engine.now)
    return engine


SPEECH = np.random.default_rng(1).normal(0.0, 0.1, 7 * RATE).astype(np.float32)


def grid(engine: Any, **changes: Any) -> LatencyGrid:
    asked = {"threads": 2, "lengths": (1.0, 30.0, 60.0), "batches": (1, 4), "repeats": 5}
    return measure_grid(engine.load, SPEECH, **{**asked, **changes})


def test_every_length_and_batch_is_timed_warm_and_the_first_call_cold(clocked: Clocked) -> None:
    found = grid(clocked)
    assert (found.load_seconds, found.cold_seconds, found.cold_clip_seconds) == (3.0, 5.0, 1.0)
    cells = [(one.clip_seconds, one.batch_size, one.calls) for one in found.cells]
    assert cells == [(1.0, 1, 5), (5.0, 1, 5), (5.0, 4, 5), (30.0, 1, 5), (60.0, 1, 5)]
    for one in found.cells:
        expected = one.clip_seconds * one.batch_size / 10
        assert (one.p50.value, one.p99.value) == (pytest.approx(expected), pytest.approx(expected))
        assert one.rtf == pytest.approx(0.1)
        assert one.rtfx == pytest.approx(10.0)
        assert one.p99.high is None
    assert found.cell(5.0, 4).p50.value == pytest.approx(2.0)
    with pytest.raises(KeyError, match="clips of 5 s, 3 at once"):
        found.cell(5.0, 3)


def test_clips_have_their_length_and_differ_and_long_ones_are_cut(clocked: Clocked) -> None:
    grid(clocked, lengths=(1.0,), batches=(3,))
    single = [call for call in clocked.calls[1:] if len(call) == 1]
    assert all(len(clip) == RATE for call in single for clip in call)
    assert not np.array_equal(single[0][0], single[1][0])
    (together, *_) = [call for call in clocked.calls if len(call) == 3]
    assert {len(clip) for clip in together} == {5 * RATE}
    clocked.calls.clear()
    grid(clocked, lengths=(60.0,), batches=())
    assert all(len(clip) <= 30 * RATE for call in clocked.calls for clip in call)
    assert sum(len(clip) for clip in clocked.calls[0]) == 60 * RATE


def test_a_cell_ends_when_its_time_is_up_and_not_before_its_median_has_an_interval(
    clocked: Clocked,
) -> None:
    asked: dict[str, Any] = {"lengths": (30.0,), "batches": (), "budget": 1.0, "repeats": 50}
    few = grid(clocked, **asked).cell(30.0)
    assert few.calls == 6
    assert few.p50.low is not None and few.p50.high is not None
    assert grid(clocked, **asked, patience=11.0).cell(30.0).calls == 3
    many = grid(clocked, lengths=(30.0,), batches=(), budget=20.0, repeats=50)
    assert 5 <= many.cell(30.0).calls <= 7


def test_batches_that_would_take_too_long_are_left_out_and_named(clocked: Clocked) -> None:
    found = grid(clocked, lengths=(5.0,), batches=(1, 2, 8, 32), budget=1.0, patience=10.0)
    assert [(one.batch_size, one.calls) for one in found.cells] == [(1, 5), (2, 1), (8, 1)]
    assert found.left_out == ((5.0, 32),)  # two calls of 32 times half a second


def test_memory_is_what_the_process_had_reached_by_then(
    clocked: Clocked, monkeypatch: pytest.MonkeyPatch
) -> None:
    def reached() -> int:
        return 1000 + len(clocked.calls)

    monkeypatch.setattr("evaluation.timing.peak_memory", reached)
    found = grid(clocked, lengths=(1.0,), batches=(2,), repeats=5)
    assert found.loaded_memory_bytes == 1000
    assert found.single_memory_bytes == 1000 + 1 + 6  # the cold call, the one that warms up, five
    assert found.peak_memory_bytes == 1000 + 1 + 6 + 6


def test_a_grid_comes_back_from_json(clocked: Clocked) -> None:
    found = grid(clocked)
    assert LatencyGrid.from_dict(json.loads(json.dumps(found.as_dict()))) == found


@pytest.mark.parametrize("changes", [{"lengths": ()}, {"repeats": 2}, {"batch_clip_seconds": 31.0}])
def test_what_cannot_be_timed_is_refused(clocked: Clocked, changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"Latency needs|cannot be decoded"):
        grid(clocked, **changes)
    with pytest.raises(ValueError, match="no durations"):
        latency_cell([], 1.0, 1)
    with pytest.raises(ValueError, match="have no latency"):
        latency_cell([1.0], 0.0, 1)


def test_a_real_engine_is_timed(prompted: Any, base_engine: Engine, threads: int) -> None:
    speech = read_flac(prompted.folder / prompted.utterances[0].audio)
    asked: dict[str, Any] = {"threads": threads, "lengths": (1.0,), "batches": (), "repeats": 3}
    found = measure_grid(lambda: base_engine, speech, **asked)
    one = found.cell(1.0)
    assert 0.0 < one.p50.value <= one.p95.value <= one.p99.value
    assert found.engine == "ctranslate2 int8"
    assert found.peak_memory_bytes > 100e6
