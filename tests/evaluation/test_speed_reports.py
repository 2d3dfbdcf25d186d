"""Latency and streams of two models side by side: ratios, columns, and what is not compared."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import pytest

from cli.evaluate_speed import speed_said
from evaluation.latency_grid import LatencyGrid, latency_cell
from evaluation.reports.evaluated_latency import ModelLatency, evaluated_latency
from evaluation.reports.evaluated_streaming import Streamed, evaluated_streaming
from evaluation.reports.speed_sections import latency_section, span, streaming_section, times
from evaluation.slices import Resampling
from evaluation.traces import TimedWord, Trace, TraceEvent
from tests.evaluation.conftest import row

LENGTHS = (1.0, 5.0, 30.0)


def model(name: str, seconds: float, **changes: Any) -> ModelLatency:
    """One that takes `seconds` for each second of audio, give or take a tenth, in 40 calls."""
    spread = [seconds * (0.9 + number / 195) for number in range(40)]

    def grid(threads: int, batches: tuple[int, ...]) -> LatencyGrid:
        asked = [(length, 1) for length in LENGTHS] + [(5.0, size) for size in batches]
        return LatencyGrid(
            engine="ctranslate2 int8", engine_sha256="0" * 64, threads=threads,
            machine="a machine, 2 CPUs", load_seconds=1.5, cold_seconds=2.5, cold_clip_seconds=1.0,
            loaded_memory_bytes=200_000_000, single_memory_bytes=300_000_000,
            peak_memory_bytes=400_000_000,
            cells=tuple(
                latency_cell([one * length * size / threads for one in spread], length, size)
                for length, size in asked
            ),
            left_out=(),
        )  # fmt: skip

    made = ModelLatency(name, "2026-01-05", "a" * 64, 300.0, (grid(2, (4,)), grid(1, ())))
    return replace(made, **changes)


def test_a_ratio_is_of_medians_and_its_interval_holds_wherever_theirs_do() -> None:
    found = evaluated_latency([model("quick", 0.1), model("slow", 0.3)])
    assert len(found.ratios) == 7
    ratio = found.ratio(1, 30.0, 1)
    assert ratio is not None
    assert ratio.value == pytest.approx(3.0)
    ours, theirs = (one.grids[1].cell(30.0).p50 for one in found.models)
    assert ours.low and ours.high and theirs.low and theirs.high
    assert (ratio.low, ratio.high) == (theirs.low / ours.high, theirs.high / ours.low)
    assert ratio.confidence == pytest.approx(0.9)
    assert found.ratio(1, 5.0, 4) is None


@pytest.mark.parametrize(
    ("changes", "why"),
    [({"speech_sha256": "b" * 64}, "clips differ"), ({"grids": ()}, "machines differ")],
)
def test_what_was_not_measured_side_by_side_has_no_ratios(
    changes: dict[str, Any], why: str
) -> None:
    found = evaluated_latency([model("quick", 0.1), model("slow", 0.3, **changes)])
    assert not found.ratios
    assert why in found.not_compared


def test_the_section_has_every_length_thread_and_batch() -> None:
    found = evaluated_latency([model("quick", 0.1), model("slow", 0.3)])
    html = latency_section(found).html
    ratio = times(found.ratio(2, 5.0, 4))
    assert ratio.startswith("3.0× [2.")
    for text in ("One clip at a time, 2 threads", "One clip at a time, 1 thread<", "400 MB",
                 ratio, "1.50 s", ">2 threads</th>"):  # fmt: skip
        assert text in html, text
    assert html.count("<svg") == 1
    alone = latency_section(evaluated_latency([model("quick", 0.1)])).html
    assert "times as fast" not in alone and ">quick<" in alone


def test_a_batch_that_is_missing_says_why() -> None:
    quick, slow = model("quick", 0.1), model("slow", 0.3)

    def without(grid: LatencyGrid, left_out: tuple[tuple[float, int], ...]) -> LatencyGrid:
        cells = tuple(cell for cell in grid.cells if cell.batch_size == 1)
        return replace(grid, cells=cells, left_out=left_out)

    too_long = replace(slow, grids=tuple(without(grid, ((5.0, 4),)) for grid in slow.grids))
    beside = latency_section(evaluated_latency([quick, too_long])).html
    assert "would have taken too long" in beside and "not measured" not in beside
    unasked = replace(slow, grids=tuple(without(grid, ()) for grid in slow.grids))
    assert "not measured" in latency_section(evaluated_latency([quick, unasked])).html
    alone = latency_section(evaluated_latency([too_long])).html
    assert "Clips of 5 s together" in alone and "would have taken too long" in alone


def test_ends_that_are_not_known_are_dashes() -> None:
    three = latency_cell([0.1, 0.11, 0.12], 1.0, 1)
    assert span(three.p50) == "too few calls for an interval"
    many = latency_cell([0.1 + n / 1000 for n in range(100)], 1.0, 1)
    assert span(many.p99) == "[196 ms, –]"
    assert times(None) == ""


def trace(name: str, text: str, mode: Any, late: float) -> Trace:
    """Two words that end at 1 and 2 s, an interim at 1.5 s and a final at 2.5 s, and then some."""
    first, last = text.split()
    words = (TimedWord(first, 0.5, 1.0), TimedWord(last, 1.5, 2.0))
    return Trace(
        name, mode, 3.0, 0.1, 2 * late, 0.5, 2.0,
        (
            TraceEvent("interim", 0, f"{first} b", 1.5, 1.5 + late),
            TraceEvent("final", 0, text, 2.5, 2.5 + late, 2, words),
        ),
    )  # fmt: skip


def test_both_clocks_and_the_words_that_streaming_costs(hear: Any) -> None:
    spoken = ["red", "green", "blue", "white", "black", "grey"]
    rows = [row(f"u{n}", f"{word} end", "en-us", f"s{n}") for n, word in enumerate(spoken)]
    batch = hear(rows, 0.0)
    wrong = [f"{word} {'and' if word == 'red' else 'end'}" for word in spoken]
    streamed = Streamed(
        "a machine", 2, "2026-01-05", 0.1, 1.0,
        [trace(f"u{n}", text, "real-time", 0.4) for n, text in enumerate(wrong)],
        [trace(f"u{n}", text, "compute-unaware", 0.4) for n, text in enumerate(wrong)],
    )  # fmt: skip
    found = evaluated_streaming(
        "quick", streamed, batch, rows, normaliser="whisper-english", language="en",
        resampling=Resampling(0.95, 500, 1),
    )  # fmt: skip
    for measured, late in ((found.real_time, 0.4), (found.compute_unaware, 0.0)):
        assert measured.first_interim and measured.final
        assert measured.first_interim.p50.value == pytest.approx(1.0 + late)
        assert measured.final.p50.value == pytest.approx(0.5 + late)
    assert found.against_batch is not None
    assert found.against_batch.difference.value == pytest.approx(1 / 12)
    assert found.against_batch.difference.low <= 1 / 12 <= found.against_batch.difference.high
    assert found.against_batch.baseline.value == 0.0
    html = streaming_section([found, replace(found, model="slow")]).html
    assert "0.90 s [0.90, 0.90]" in html and "0.50 s [0.50, 0.50]" in html
    assert "+8.3 [" in html and "slow" in html
    (line,) = said(streaming=[found])
    assert line.startswith("Streaming: quick: first words after 1.40 s, final 900 ms after speech")
    assert "6 streams; word errors beside batch +8.3 [" in line


def said(**measured: Any) -> list[str]:
    report = SimpleNamespace(**{"latency": None, "streaming": [], **measured})
    return list(speed_said(cast("Any", report)))


def test_the_command_ends_with_what_a_clip_takes() -> None:
    assert said() == []
    found = evaluated_latency([model("quick", 0.1), model("slow", 0.3)])
    quick, slow = said(latency=found)
    assert quick.startswith("Latency:   quick: a clip of 5 s takes 249 ms, p95 ")
    assert "2 threads, 3.0× [" in quick and quick.endswith("the baseline's speed")
    assert slow.startswith("Latency:   slow: a clip of 5 s takes 748 ms") and "×" not in slow
