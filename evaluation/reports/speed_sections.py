"""What the page of an evaluation shows of latency and streams."""

from __future__ import annotations

from collections.abc import Sequence

from evaluation.latency_grid import LatencyCell, LatencyGrid
from evaluation.quantiles import Quantile, Quantiles
from evaluation.reports.evaluated_latency import EvaluatedLatency, ModelLatency, SpeedRatio
from evaluation.reports.evaluated_streaming import ModelStreaming
from evaluation.reports.page import Section, render_template
from evaluation.reports.plots import Bar, ForestRow, forest
from evaluation.resampling import Interval
from evaluation.streaming import StreamingMeasures

_STYLES = ("candidate", "baseline")
_UNKNOWN = "–"

Cell = tuple[str, str]
"""A figure and what is said below it in small letters."""


def latency_section(found: EvaluatedLatency) -> Section:
    """Tables by number of threads, length and batch size; start and memory."""
    counts = sorted({grid.threads for one in found.models for grid in one.grids}, reverse=True)
    html = render_template(
        "evaluation_latency.html",
        found=found,
        plot=_plot(found, counts[0]),
        alone=[(threads, _alone(found, threads)) for threads in counts],
        batches=_batches(found, counts[0]),
        together=_together(found),
        threads=counts[0],
        starts=_starts(found),
        span=span,
        seconds=seconds,
        times=times,
    )
    return Section("latency", "Latency", html)


def streaming_section(models: Sequence[ModelStreaming]) -> Section:
    """Both clocks side by side, a column each, for every model."""
    measured = [one for model in models for one in (model.real_time, model.compute_unaware)]
    html = render_template(
        "evaluation_streaming.html", models=models, rows=streaming_rows(measured)
    )
    return Section("streaming", "Streaming", html)


def streaming_rows(measured: Sequence[StreamingMeasures]) -> list[tuple[str, list[Cell]]]:
    """Rows of a table: name, then a cell for each of these."""
    return [
        ("first interim, after speech begins", [_spread(one.first_interim) for one in measured]),
        ("final, after speech ends (TTFS)", [_spread(one.final) for one in measured]),
        ("user-perceived latency of a word", [_spread(one.word_latency) for one in measured]),
        ("final of a word, after its end", [_spread(one.word_final_latency) for one in measured]),
        ("revisions per word", [_rate(one.revisions_per_word) for one in measured]),
        ("unstable words of interims per word (UPWR)",
         [_rate(one.unstable_word_ratio) for one in measured]),
        ("RTF", [(f"{one.rtf:.3f}", "") for one in measured]),
    ]  # fmt: skip


def seconds(value: float) -> str:
    """For example "142 ms" or "2.31 s"."""
    return f"{1000 * value:.0f} ms" if abs(value) < 0.9995 else f"{value:.2f} s"


def span(found: Quantile) -> str:
    """The interval of a quantile, with a dash for an end that is not known."""
    if found.low is None and found.high is None:
        return "too few calls for an interval"
    ends = (_UNKNOWN if end is None else seconds(end) for end in (found.low, found.high))
    return f"[{', '.join(ends)}]"


def times(ratio: SpeedRatio | None) -> str:
    """For example "3.1× [2.9, 3.4]", or "3.1×" of too few calls for an interval; "" for none."""
    if ratio is None:
        return ""
    if ratio.low is None and ratio.high is None:
        return f"{ratio.value:.1f}×"
    ends = (_UNKNOWN if end is None else f"{end:.1f}" for end in (ratio.low, ratio.high))
    return f"{ratio.value:.1f}× [{', '.join(ends)}]"


Line = tuple[float, list[LatencyCell | None], SpeedRatio | None]
"""Length or size of a batch, each model's cell, and the ratio of both."""


def _cells(model: ModelLatency, threads: int) -> dict[tuple[float, int], LatencyCell]:
    """By length and batch size."""
    return {
        (cell.clip_seconds, cell.batch_size): cell
        for grid in model.grids
        if grid.threads == threads
        for cell in grid.cells
    }


def _alone(found: EvaluatedLatency, threads: int) -> list[Line]:
    """A line for each length of clips that came one at a time."""
    tables = [_cells(model, threads) for model in found.models]
    lengths = sorted({length for cells in tables for length, size in cells if size == 1})
    return [
        (length, [cells.get((length, 1)) for cells in tables], found.ratio(threads, length, 1))
        for length in lengths
    ]


def _batches(
    found: EvaluatedLatency, threads: int
) -> list[tuple[int, list[LatencyCell | str], SpeedRatio | None]]:
    """A line for each size of batches, 1 among them; what has no cell says why."""
    tables = [_cells(model, threads) for model in found.models]
    left_out = [
        {place for grid in model.grids if grid.threads == threads for place in grid.left_out}
        for model in found.models
    ]
    lengths = _together(found)
    places = {place for cells in tables for place in cells}.union(*left_out)
    lines: list[tuple[int, list[LatencyCell | str], SpeedRatio | None]] = []
    for length, size in sorted(place for place in places if place[0] in lengths):
        row: list[LatencyCell | str] = [
            cells.get((length, size))
            or ("would have taken too long" if (length, size) in gone else "not measured")
            for cells, gone in zip(tables, left_out, strict=True)
        ]
        lines.append((size, row, found.ratio(threads, length, size)))
    return lines


def _together(found: EvaluatedLatency) -> list[float]:
    """Seconds of the clips that came in batches, or were to."""
    grids = [grid for model in found.models for grid in model.grids]
    places = [(cell.clip_seconds, cell.batch_size) for grid in grids for cell in grid.cells]
    places += [place for grid in grids for place in grid.left_out]
    return sorted({length for length, size in places if size > 1})


def _plot(found: EvaluatedLatency, threads: int) -> str:
    """Medians of clips that came one at a time, for each second of audio."""
    rows = []
    for length, cells, _ in _alone(found, threads):
        bars = []
        for cell, style in zip(cells, _STYLES, strict=False):
            if cell is not None:
                value, low, high = (
                    (cell.p50.value if end is None else end) / length
                    for end in (cell.p50.value, cell.p50.low, cell.p50.high)
                )
                bars.append(Bar(value, low, high, style, f"{value:.3f}"))
        rows.append(ForestRow(f"clips of {length:g} s", "", tuple(bars)))
    return forest(rows, unit="seconds of computing for a second of audio, median call")


def _starts(found: EvaluatedLatency) -> list[tuple[str, list[str]]]:
    """Rows of a table with a cell for each model and number of threads."""
    grids = [grid for model in found.models for grid in model.grids]

    def warm(grid: LatencyGrid) -> str:
        return seconds(grid.cell(grid.cold_clip_seconds).p50.value)

    return [
        ("loading the engine", [seconds(grid.load_seconds) for grid in grids]),
        (
            f"first call after it, {grids[0].cold_clip_seconds:g} s of audio (cold)",
            [seconds(grid.cold_seconds) for grid in grids],
        ),
        ("later calls of that length (warm), median", [warm(grid) for grid in grids]),
        ("memory after loading", [_bytes(grid.loaded_memory_bytes) for grid in grids]),
        (
            "most memory with clips one at a time",
            [_bytes(grid.single_memory_bytes) for grid in grids],
        ),
        (
            "most memory with batches",
            [
                _bytes(grid.peak_memory_bytes)
                if any(cell.batch_size > 1 for cell in grid.cells)
                else ""
                for grid in grids
            ],
        ),
    ]


def _spread(found: Quantiles | None) -> Cell:
    if found is None:
        return _UNKNOWN, ""
    return _interval(found.p50), f"95 of 100: {_interval(found.p95)}"


def _interval(found: Interval) -> str:
    return f"{found.value:.2f} s [{found.low:.2f}, {found.high:.2f}]".replace("-", "−")


def _rate(found: Interval | None) -> Cell:
    if found is None:
        return _UNKNOWN, ""
    return f"{found.value:.2f} [{found.low:.2f}, {found.high:.2f}]", ""


def _bytes(count: int) -> str:
    return f"{count / 1e6:,.0f} MB"
