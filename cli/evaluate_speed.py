"""What `voiceforge evaluate` says of latency and streams at its end."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from evaluation.reports.evaluated_latency import EvaluatedLatency
    from evaluation.reports.evaluated_streaming import ModelStreaming
    from evaluation.reports.evaluation import EvaluationReport


def speed_said(report: EvaluationReport) -> Iterator[str]:
    """A line a model for each that was measured."""
    if report.latency:
        yield from _latency_said(report.latency)
    for model in report.streaming:
        yield f"Streaming: {model.model}: {_streaming_said(model)}"


def _latency_said(found: EvaluatedLatency) -> Iterator[str]:
    """Of the clip that is nearest to 5 s, with the most threads."""
    from evaluation.reports.speed_sections import seconds, times

    for model in found.models:
        grid = model.grids[0]
        alone = [cell for cell in grid.cells if cell.batch_size == 1]
        cell = min(alone, key=lambda one: abs(one.clip_seconds - 5.0))
        ratio = (
            found.ratio(grid.threads, cell.clip_seconds, 1) if model is found.models[0] else None
        )
        beside = f", {times(ratio)} the baseline's speed" if ratio else ""
        yield (
            f"Latency:   {model.model}: a clip of {cell.clip_seconds:g} s takes "
            f"{seconds(cell.p50.value)}, p95 {seconds(cell.p95.value)}, "
            f"{grid.threads} {'thread' if grid.threads == 1 else 'threads'}{beside}"
        )


def _streaming_said(model: ModelStreaming) -> str:
    from evaluation.reports.page import points
    from evaluation.reports.speed_sections import seconds

    measured = model.real_time
    if measured.first_interim is None or measured.final is None:
        return f"none of {measured.streams} streams had a text"
    said = (
        f"first words after {seconds(measured.first_interim.p50.value)}, final "
        f"{seconds(measured.final.p50.value)} after speech ends (p95 "
        f"{seconds(measured.final.p95.value)}), {measured.streams} streams"
    )
    if model.against_batch is not None:
        said += f"; word errors beside batch {points(model.against_batch.difference)} points"
    return said
