"""`voiceforge evaluate` with engines by name, latency and streams, heard by a real model."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jiwer
import pytest

from data.audio import decode, write_flac
from data.tables import UTTERANCES, read_utterances
from evaluation.runners import read_predictions
from evaluation.text import normalise
from evaluation.trace_files import read_traces
from lifecycle.evaluate import Asked, evaluate
from lifecycle.evaluated_latency import Effort, measure_latency, read_latency
from lifecycle.evaluated_speech import Speech
from lifecycle.evaluated_streams import stream
from lifecycle.evaluation_report import write_report
from lifecycle.named_models import engine_of
from serving.engines.contracts import DecodingOptions, Samples, Transcript
from serving.engines.loading import OnDemand
from tests.cli.conftest import Place
from voiceforge.files import write_json
from voiceforge.settings import Settings, load_settings

pytestmark = pytest.mark.system  # models are exported, streams take their time

MODEL = "base:whisper-tiny.en"
TEXTS = {"vm-goodbye": "Goodbye.", "vm-password": "The password."}
"""What is said, but for one word: so that something is to be seen."""


MODES = {"real-time": "wall", "compute-unaware": "audio"}
EXACT = "ctranslate2:float32"
BOTH = ("--model", MODEL, "--baseline", MODEL, "--baseline-engine", EXACT)


@dataclass(frozen=True)
class Heard:
    """A project, its settings, and an evaluation that the command left in it."""

    place: Place
    settings: Settings
    table: Path
    out: Path

    def report(self) -> dict[str, Any]:
        return json.loads((self.out / "report.json").read_text())


@pytest.fixture(scope="module")
def heard(
    tmp_path_factory: pytest.TempPathFactory,
    project: Path,
    cache: Path,
    prompt: Callable[[str, str], Path],
) -> Heard:
    """Two prompts of a second, heard by two engines of one model, as a whole and as streams."""
    folder = tmp_path_factory.mktemp("project")
    (folder / "var").mkdir()
    (folder / "params.yaml").write_bytes((project / "params.yaml").read_bytes())
    (folder / "var" / "cache").symlink_to(cache)
    lines = [["audio", "text", "speaker"]]
    for name, text in TEXTS.items():
        write_flac(folder / "calls" / f"{name}.flac", decode(prompt("en", name)))
        lines.append([f"{name}.flac", text, "allison"])
    table, out = folder / "calls" / "calls.csv", folder / "out"
    with table.open("w", newline="") as stream:
        csv.writer(stream).writerows(lines)
    place = Place(folder, cache)
    done = place("evaluate", table, *BOTH, "--streaming", "--out", out)
    assert done.code == 0, done.err
    settings = load_settings({"VOICEFORGE_HOME": str(folder / "var")}, folder)
    return Heard(place, settings, table, out)


def test_engines_of_one_model_are_built_named_and_told_apart(heard: Heard) -> None:
    models = json.loads((heard.out / "evaluation.json").read_text())["models"]
    engines = [models[role]["engine"] for role in ("candidate", "baseline")]
    assert engines == ["ctranslate2:int8", EXACT]
    assert models["candidate"]["engine_sha256"] != models["baseline"]["engine_sha256"]
    report = heard.report()
    assert report["evaluation"]["models"] == models
    assert report["baseline"]["name"] == f"{MODEL}, {EXACT}"
    page = (heard.out / "report.html").read_text()
    assert f"{MODEL}, ctranslate2:int8" in page and f"engine {EXACT}, sha256" in page


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        (["--model", MODEL, "--engine", EXACT], "holds an evaluation of other models"),
        (["--model", "FOLDER", "--engine", EXACT], "has the engine ctranslate2:int8, and"),
        (["--model", MODEL, "--engine", "onnxruntime:int8_static"], "built with recordings"),
        (["--model", MODEL, "--engine", "onnx:int8"], "There is no engine 'onnx:int8'. There is:"),
        (["--model", MODEL, "--baseline-engine", EXACT], "There is no baseline whose engine"),
    ],
)
def test_engines_that_cannot_be_are_refused(heard: Heard, asked: list[str], words: str) -> None:
    folder, _ = engine_of(heard.settings, MODEL)
    given = [str(folder) if one == "FOLDER" else one for one in asked]
    done = heard.place("evaluate", heard.table, *given, "--out", heard.out)
    assert done.code == 2
    assert words in " ".join(done.paragraph().split())


def test_streams_of_both_modes_are_compared_with_batch(heard: Heard) -> None:
    references = {row.id: row.text for row in read_utterances(heard.out / UTTERANCES)}
    for role, found in zip(("candidate", "baseline"), heard.report()["streaming"], strict=True):
        place = heard.out / "streams" / role
        traces = {mode: read_traces(place / f"{mode}.jsonl") for mode in MODES}
        for (mode, clock), of in zip(MODES.items(), ("real_time", "compute_unaware"), strict=True):
            measured = found[of]
            assert (measured["clock"], measured["streams"]) == (clock, 2)
            assert measured["final"]["p50"]["value"] > 0.4  # half a second of silence ends it
            assert {one.mode for one in traces[mode]} == {mode}
        # Computing only makes one wait longer.
        finals = [found[of]["final"]["p50"]["value"] for of in ("real_time", "compute_unaware")]
        assert finals[0] > finals[1]
        batch = {
            row.utterance_id: row.hypothesis
            for row in read_predictions(heard.out / "predictions" / f"{role}.parquet")
        }
        ids = [one.utterance_id for one in traces["real-time"]]

        def rate(texts: list[str], ids: list[str] = ids) -> float:
            columns = [references[name] for name in ids], texts
            plain = [[normalise(one, "whisper-english", "en") for one in row] for row in columns]
            return float(jiwer.wer(*plain))

        streamed = rate([one.text for one in traces["real-time"]])
        whole = rate([batch[name] for name in ids])
        compared = found["against_batch"]
        assert compared["candidate"]["value"] == pytest.approx(streamed)
        assert compared["baseline"]["value"] == pytest.approx(whole)
        assert compared["difference"]["value"] == pytest.approx(streamed - whole)
    assert "What streaming costs in words" in (heard.out / "report.html").read_text()


class Always(OnDemand):
    """Hears "Goodbye." in whatever it is given, at once."""

    def transcribe(self, clips: Sequence[Samples], options: DecodingOptions) -> list[Transcript]:
        return [Transcript("Goodbye.", "en", (-0.1,), 0.0) for _ in clips]


def test_streams_go_on_where_they_were_interrupted(heard: Heard, tmp_path: Path) -> None:
    place = tmp_path / "candidate"
    shutil.copytree(heard.out / "streams" / "candidate", place)
    before = {path: path.stat().st_mtime_ns for path in place.iterdir()}
    engine = Always(engine_of(heard.settings, MODEL)[0], heard.settings.threads)
    speech = Speech("calls", read_utterances(heard.out / UTTERANCES), heard.out / "corpus")
    told: list[tuple[int, int]] = []

    def again() -> None:
        stream(
            engine, speech, place, language="en", threads=heard.settings.threads,
            tell=lambda done, total: told.append((done, total)),
        )  # fmt: skip

    again()
    assert {path: path.stat().st_mtime_ns for path in place.iterdir()} == before
    assert not told
    # As after a kill between the files of the second.
    traces = {mode: read_traces(place / f"{mode}.jsonl") for mode in MODES}
    lines = (place / "compute-unaware.jsonl").read_text().splitlines()
    (place / "compute-unaware.jsonl").write_text(lines[0] + "\n")
    again()
    assert told == [(1, 2), (2, 2)]
    for mode in MODES:
        found = read_traces(place / f"{mode}.jsonl")
        assert [one.utterance_id for one in found] == [one.utterance_id for one in traces[mode]]
        assert found[0] == traces[mode][0]
    # Half of the streams on another machine would be no figure of either.
    (place / "compute-unaware.jsonl").write_text(lines[0] + "\n")
    conditions = json.loads((place / "conditions.json").read_text())
    write_json(place / "conditions.json", {**conditions, "machine": "another"})
    again()
    assert told[2:] == [(0, 2), (1, 2), (2, 2)]
    assert json.loads((place / "conditions.json").read_text()) == conditions


def test_latency_is_measured_in_new_processes_once_and_reported(
    heard: Heard, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    shutil.copytree(heard.out, out)
    engine, _ = engine_of(heard.settings, MODEL)
    speech = Speech("calls", read_utterances(out / UTTERANCES), out / "corpus")
    told: list[tuple[int, int]] = []
    file = out / "latency" / "candidate.json"
    measure_latency(
        engine,
        speech,
        file,
        sha256="a" * 64,
        language="en",
        threads=2,
        tell=lambda done, total: told.append((done, total)),
        effort=Effort(lengths=(1.0,), batches=(1, 2), repeats=3, budget=1.0),
    )
    found = read_latency(file, MODEL)
    assert found is not None
    assert told == [(0, 2), (1, 2), (2, 2)]
    both, one = found.grids
    assert (both.threads, one.threads) == (2, 1)
    assert [(cell.clip_seconds, cell.batch_size) for cell in both.cells] == [
        (1.0, 1),
        (5.0, 1),
        (5.0, 2),
    ]
    assert [(cell.clip_seconds, cell.batch_size) for cell in one.cells] == [(1.0, 1)]
    for grid in found.grids:
        assert grid.engine == "ctranslate2 int8"
        assert min(grid.load_seconds, grid.cold_seconds) > 0.0
        assert 50e6 < grid.loaded_memory_bytes < grid.single_memory_bytes < 2e9
    # It is found again, and nothing is timed.
    shutil.copyfile(file, file.with_name("baseline.json"))
    written = file.stat().st_mtime_ns
    asked = Asked(
        str(heard.table), MODEL, MODEL, "en", baseline_engine=EXACT, latency=True, streaming=True
    )
    write_report(evaluate(heard.settings, asked, out), out, resamples=500)
    assert file.stat().st_mtime_ns == written
    latency = json.loads((out / "report.json").read_text())["latency"]
    for model in latency["models"]:
        assert model["grids"] == json.loads(file.read_text())["grids"]
    assert {ratio["value"] for ratio in latency["ratios"]} == {1.0}
    page = (out / "report.html").read_text()
    assert "One clip at a time, 1 thread<" in page and both.machine in page
