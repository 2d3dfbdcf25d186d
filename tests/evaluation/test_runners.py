"""Predictions of a real engine on real speech, their file, latency and the sample."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.audio import read_flac
from data.utterance import Utterance
from evaluation import runners
from evaluation.latency import LatencyMeasurement
from evaluation.prediction import Prediction
from evaluation.reports.accuracy import word_error_rate
from evaluation.runners import (
    machine_name,
    measure_latency,
    predict,
    read_predictions,
    stratified_sample,
    write_predictions,
)
from serving.engines.contracts import DecodingOptions, Engine, Samples, Transcript
from voiceforge.errors import AudioError, StorageError

RATES = {
    "normaliser": "whisper-english",
    "language": "en",
    "confidence": 0.95,
    "resamples": 500,
    "seed": 1,
}
PREDICTIONS = st.lists(
    st.builds(
        Prediction,
        utterance_id=st.text(max_size=8),
        reference=st.text(max_size=20),
        hypothesis=st.text(max_size=20),
        token_logprobs=st.lists(st.floats(-30, 0), max_size=4).map(tuple),
        audio_seconds=st.floats(0, 30),
        compute_seconds=st.floats(0, 30),
    ),
    max_size=5,
)


class Watched:
    """A real engine that writes down the lengths of every batch it is given."""

    def __init__(self, engine: Engine) -> None:
        self.description = engine.description
        self.batches: list[list[int]] = []
        self._engine = engine

    def transcribe(self, clips: Sequence[Samples], options: DecodingOptions) -> list[Transcript]:
        self.batches.append([len(clip) for clip in clips])
        return self._engine.transcribe(clips, options)


@pytest.fixture(scope="module")
def heard(prompted: Any, base_engine: Engine) -> tuple[Watched, list[Prediction], list[Any]]:
    engine, seen = Watched(base_engine), []
    rows = predict(
        engine,
        prompted.utterances,
        prompted.folder,
        batch_size=4,
        progress=lambda done, total: seen.append((done, total)),
    )
    return engine, rows, seen


def test_a_real_model_hears_real_prompts(prompted: Any, heard: Any) -> None:
    _, rows, seen = heard
    assert [row.utterance_id for row in rows] == [row.id for row in prompted.utterances]
    assert [row.reference for row in rows] == [row.text for row in prompted.utterances]
    assert seen == [(4, 12), (8, 12), (12, 12)]
    assert word_error_rate(rows, prompted.utterances, **RATES).value < 0.15
    assert all(row.token_logprobs and max(row.token_logprobs) <= 0.0 for row in rows)


class Killed(Watched):
    """An engine that is killed in its third batch."""

    def transcribe(self, clips: Sequence[Samples], options: DecodingOptions) -> list[Transcript]:
        if len(self.batches) == 2:
            raise KeyboardInterrupt
        return super().transcribe(clips, options)


def test_a_killed_run_hears_the_rest_in_the_batches_that_it_would_have_had(
    prompted: Any, base_engine: Engine, heard: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runners, "_SECONDS_BETWEEN_PARTS", 0.0)
    engine, rows, _ = heard
    with pytest.raises(KeyboardInterrupt):
        predict(
            Killed(base_engine), prompted.utterances, prompted.folder, batch_size=4, parts=tmp_path
        )
    rest = Watched(base_engine)
    again = predict(rest, prompted.utterances, prompted.folder, batch_size=4, parts=tmp_path)
    assert rest.batches == engine.batches[2:]
    timed = [replace(row, compute_seconds=0.0) for row in again]
    assert timed == [replace(row, compute_seconds=0.0) for row in rows]


def test_batches_hold_clips_of_like_length(heard: Any) -> None:
    engine, _, _ = heard
    lengths = [length for batch in engine.batches for length in batch]
    assert [len(batch) for batch in engine.batches] == [4, 4, 4]
    assert lengths == sorted(lengths)


def test_a_batchs_seconds_are_shared_by_audio_length(prompted: Any, heard: Any) -> None:
    _, rows, _ = heard
    shares: dict[float, list[str]] = {}
    for row in rows:
        shares.setdefault(round(row.compute_seconds / row.audio_seconds, 9), []).append("x")
    assert sorted(len(rows) for rows in shares.values()) == [4, 4, 4]
    for row, utterance in zip(rows, prompted.utterances, strict=True):
        assert row.audio_seconds == pytest.approx(utterance.duration)


def test_a_recording_that_is_not_there_is_named(prompted: Any, base_engine: Engine) -> None:
    lost = replace(prompted.utterances[0], audio="lost.flac")
    with pytest.raises((AudioError, StorageError), match=r"lost\.flac"):
        predict(base_engine, [lost], prompted.folder, batch_size=8)


def test_no_utterances_are_no_predictions(base_engine: Engine, tmp_path: Path) -> None:
    assert predict(base_engine, [], tmp_path, batch_size=8) == []


def test_latency_of_a_real_engine(prompted: Any, base_engine: Engine, threads: int) -> None:
    engine = Watched(base_engine)
    clips = [read_flac(prompted.folder / row.audio) for row in prompted.utterances[:4]]
    found = measure_latency(engine, clips, repeats=2, threads=threads, batch_size=2)
    assert [len(batch) for batch in engine.batches] == [1] + [1] * 8 + [2, 2]
    assert 0 < found.seconds.p50 <= found.seconds.p95 <= found.seconds.p99
    assert found.audio_seconds == pytest.approx(
        sum(row.duration for row in prompted.utterances[:4])
    )
    assert (found.clips, found.repeats, found.threads) == (4, 2, threads)
    assert found.machine == machine_name()
    assert LatencyMeasurement.from_dict(found.as_dict()) == found


def test_latency_is_wall_time_of_the_engines_calls(
    base_engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An engine that takes 5 s at first and then a tenth of its longest clip, on its own clock."""
    now = 0.0

    class Clocked:
        description = base_engine.description

        def transcribe(self, clips: Sequence[Samples], _: DecodingOptions) -> list[Transcript]:
            nonlocal now
            now += 5.0 if now == 0.0 else max(len(clip) for clip in clips) / 160_000
            return []

    monkeypatch.setattr(time, "perf_counter", lambda: now)
    clips = [np.zeros(16_000 * seconds, np.float32) for seconds in (4, 1, 2, 3)]
    found = measure_latency(Clocked(), clips, repeats=3, threads=1, batch_size=2)
    assert found.cold_seconds == 5.0
    assert found.seconds.p50 == pytest.approx(0.25)
    assert found.rtfx == pytest.approx(10.0)
    assert found.rtfx_batch == pytest.approx(10 / (0.2 + 0.4))
    assert (found.audio_seconds, found.median_clip_seconds) == (10.0, 3.0)


def test_latency_needs_clips(base_engine: Engine) -> None:
    with pytest.raises(ValueError, match="at least one clip"):
        measure_latency(base_engine, [], repeats=1, threads=1)


@given(rows=PREDICTIONS)
def test_predictions_come_back_as_written(
    rows: list[Prediction], tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.getbasetemp() / "predictions.parquet"
    write_predictions(path, rows)
    assert read_predictions(path) == rows


def test_a_file_that_is_no_predictions_file_is_refused(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    with pytest.raises(StorageError, match="missing"):
        read_predictions(tmp_path / "none.parquet")
    (tmp_path / "text.parquet").write_text("hello")
    with pytest.raises(StorageError, match="not a predictions file"):
        read_predictions(tmp_path / "text.parquet")
    pq.write_table(pa.table({"utterance_id": ["a"]}), tmp_path / "other.parquet")
    with pytest.raises(StorageError, match="not a predictions file"):
        read_predictions(tmp_path / "other.parquet")


def words_by_stratum(rows: Sequence[Utterance]) -> dict[tuple[bool, str], int]:
    words: dict[tuple[bool, str], int] = {}
    for row in rows:
        key = (row.is_synthetic, row.accent)
        words[key] = words.get(key, 0) + len(row.text.split())
    return words


def test_the_sample_holds_enough_of_each_accent_and_little_more(many: list[Utterance]) -> None:
    sample = stratified_sample(many, 300, seed=5)
    words = words_by_stratum(sample)
    assert set(words) == {(False, "en-us"), (True, "en-us"), (True, "en-gb")}
    longest = max(len(row.text.split()) for row in many)
    assert all(300 <= count < 300 + longest for count in words.values())
    assert [row.id for row in sample] == [
        row.id for row in many if row.id in {chosen.id for chosen in sample}
    ]


def test_the_sample_depends_on_ids_and_seed_alone(many: list[Utterance]) -> None:
    sample = {row.id for row in stratified_sample(many, 300, seed=5)}
    assert sample == {row.id for row in stratified_sample(many[::-1], 300, seed=5)}
    assert sample != {row.id for row in stratified_sample(many, 300, seed=6)}
    assert sample < {row.id for row in stratified_sample(many, 400, seed=5)}


def test_a_scarce_accent_is_taken_whole(many: list[Utterance]) -> None:
    people = [row for row in many if not row.is_synthetic]
    sample = stratified_sample(many, 10_000, seed=5)
    assert [row for row in sample if not row.is_synthetic] == people
