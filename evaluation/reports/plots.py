"""Plots as inline SVG: small, sharp, and styled by the page that holds them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

_WIDTH, _LEFT, _RIGHT = 900.0, 230.0, 170.0
_HISTOGRAM_WIDTH, _HISTOGRAM_HEIGHT, _HISTOGRAM_SIDE = 420.0, 120.0, 14.0
_BAR, _ROW_GAP, _TOP, _AXIS = 17.0, 17.0, 10.0, 42.0


@dataclass(frozen=True, slots=True)
class Bar:
    """A value with its interval, in the plot's unit; `text` is printed at the row's end.

    `style` names the colour: "candidate", "baseline", "pass", "fail" or "cannot-tell".
    """

    value: float
    low: float
    high: float
    style: str
    text: str


@dataclass(frozen=True, slots=True)
class ForestRow:
    """A labelled row of one or more bars; `margin` draws a tick that intervals must stay below."""

    label: str
    note: str
    bars: tuple[Bar, ...]
    margin: float | None = None


def forest(rows: Sequence[ForestRow], *, unit: str, signed: bool = False) -> Markup:
    """A forest plot: a square at each value, a line along its interval.

    Args:
        rows: from top to bottom, at least one bar in all.
        unit: label of the axis.
        signed: values are differences, and the axis says which side is better.
    """
    ends = [0.0] + [end for row in rows for bar in row.bars for end in (bar.low, bar.high)]
    ends += [row.margin for row in rows if row.margin is not None]
    ticks = _ticks(min(ends), max(ends))
    scale = (_WIDTH - _LEFT - _RIGHT) / (ticks[-1] - ticks[0])

    def x(value: float) -> float:
        return _LEFT + (value - ticks[0]) * scale

    parts: list[Markup] = []
    top = _TOP
    for row in rows:
        height = max(len(row.bars), 2 if row.note else 1) * _BAR
        parts.append(_label(row, top, height))
        if row.margin:
            parts.append(_line("margin", x(row.margin), top - 3, x(row.margin), top + height + 3))
        start = top + (height - len(row.bars) * _BAR) / 2 + _BAR / 2
        for index, bar in enumerate(row.bars):
            parts.append(_bar(bar, x(bar.low), x(bar.value), x(bar.high), start + index * _BAR))
        top += height + _ROW_GAP
    grid = [_line("zero" if tick == 0 else "grid", x(tick), 2, x(tick), top - 6) for tick in ticks]
    labels = [_text("tick", x(tick), top + 8, f"{tick:g}", "middle") for tick in ticks]
    middle = (_LEFT + _WIDTH - _RIGHT) / 2
    if signed:
        unit = f"← better  ·  {unit}  ·  worse →"
    labels.append(_text("axis", middle, top + 28, unit, "middle"))
    return _svg([*grid, *parts, *labels], top + _AXIS - 6, f"Forest plot, {len(rows)} rows")


def paired_bars(rows: Sequence[ForestRow], *, unit: str) -> Markup:
    """Horizontal bars from zero, for figures that have no interval; only `Bar.value` is drawn."""
    largest = max(bar.value for row in rows for bar in row.bars)
    ticks = _ticks(0.0, largest)
    scale = (_WIDTH - _LEFT - _RIGHT) / ticks[-1]
    parts: list[Markup] = []
    top = _TOP
    for row in rows:
        height = len(row.bars) * _BAR
        parts.append(_label(row, top, height))
        for index, bar in enumerate(row.bars):
            y = top + index * _BAR
            parts.append(
                Markup(
                    '<rect class="{}" x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{}" rx="2"/>'
                ).format(f"fill-{bar.style}", _LEFT, y + 2, max(1.0, bar.value * scale), _BAR - 5)
            )
            end = _LEFT + bar.value * scale + 8
            parts.append(_text(f"value text-{bar.style}", end, y + _BAR / 2 + 3.5, bar.text))
        top += height + _ROW_GAP
    grid = [_line("grid", _LEFT + tick * scale, 2, _LEFT + tick * scale, top - 6) for tick in ticks]
    labels = [_text("tick", _LEFT + tick * scale, top + 8, f"{tick:g}", "middle") for tick in ticks]
    labels.append(_text("axis", (_LEFT + _WIDTH - _RIGHT) / 2, top + 28, unit, "middle"))
    return _svg([*grid, *parts, *labels], top + _AXIS - 6, f"Bars, {len(rows)} rows")


def histogram(
    edges: Sequence[float], series: Sequence[tuple[str, Sequence[int]]], *, unit: str
) -> Markup:
    """Bars of counts over a value, series stacked on each other.

    Args:
        edges: bounds of the bins, ascending, one more than there are counts.
        series: colour (as in `Bar.style`) and counts of each, the lowest first.
        unit: label of the axis.
    """
    tops = [sum(counts) for counts in zip(*(counts for _, counts in series), strict=True)]
    highest = max([*tops, 1])
    scale = (_HISTOGRAM_WIDTH - 2 * _HISTOGRAM_SIDE) / (edges[-1] - edges[0])
    parts: list[Markup] = []
    for number in range(len(tops)):
        left = _HISTOGRAM_SIDE + (edges[number] - edges[0]) * scale
        width = (edges[number + 1] - edges[number]) * scale
        floor = _HISTOGRAM_HEIGHT
        for style, counts in series:
            height = _HISTOGRAM_HEIGHT * 0.92 * counts[number] / highest
            floor -= height
            parts.append(
                Markup(
                    '<rect class="fill-{}" x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}"/>'
                ).format(style, left + 0.5, floor, max(0.5, width - 1), height)
            )
    ticks = [tick for tick in _ticks(edges[0], edges[-1]) if edges[0] <= tick <= edges[-1]]
    parts.append(
        _line("zero", _HISTOGRAM_SIDE, _HISTOGRAM_HEIGHT,
              _HISTOGRAM_WIDTH - _HISTOGRAM_SIDE, _HISTOGRAM_HEIGHT)
    )  # fmt: skip
    parts += [
        _text("tick", _HISTOGRAM_SIDE + (tick - edges[0]) * scale, _HISTOGRAM_HEIGHT + 14,
              f"{tick:g}", "middle")
        for tick in ticks
    ]  # fmt: skip
    parts.append(_text("axis", _HISTOGRAM_WIDTH / 2, _HISTOGRAM_HEIGHT + 30, unit, "middle"))
    label = f"Histogram, {sum(tops)} values"
    return _svg(parts, _HISTOGRAM_HEIGHT + 36, label, _HISTOGRAM_WIDTH)


def reliability(curves: Mapping[str, Sequence[tuple[float, float, float, float]]]) -> Markup:
    """How often units of a confidence are right: a calibrated model's points lie on the diagonal.

    Args:
        curves: by style, later ones on top: points of confidence, share that is right, and the ends
            of its interval; all 0..1.
    """
    side, left, top = 300.0, 56.0, 10.0

    def at(confidence: float, share: float) -> tuple[float, float]:
        return left + side * confidence, top + side * (1.0 - share)

    parts = [_line("margin", *at(0.0, 0.0), *at(1.0, 1.0))]
    for tick in (0.0, 0.25, 0.5, 0.75, 1.0):
        parts.append(_line("grid", *at(tick, 0.0), *at(tick, 1.0)))
        parts.append(_line("grid", *at(0.0, tick), *at(1.0, tick)))
        parts.append(_text("tick", at(tick, 0.0)[0], top + side + 16, f"{tick:g}", "middle"))
        parts.append(_text("tick", left - 8, at(0.0, tick)[1] + 4, f"{tick:g}", "end"))
    for style, points in curves.items():
        for confidence, share, low, high in points:
            parts.append(
                _line(f"interval stroke-{style}", *at(confidence, low), *at(confidence, high))
            )
            x, y = at(confidence, share)
            parts.append(
                Markup('<rect class="fill-{}" x="{:.1f}" y="{:.1f}" width="8" height="8"/>')
                .format(style, x - 4, y - 4)
            )  # fmt: skip
    parts.append(
        _text(
            "axis", left + side / 2, top + side + 34, "confidence → share that is right", "middle"
        )
    )
    label = f"Reliability plot, {max(map(len, curves.values()), default=0)} points"
    return _svg(parts, top + side + 42, label, left + side + 20)


def _ticks(low: float, high: float) -> list[float]:
    """About six round numbers from at most `low` to at least `high`, zero among them."""
    span = max(high - low, 1e-9)
    power = 10.0 ** math.floor(math.log10(span / 6))
    step = next(power * factor for factor in (1, 2, 2.5, 5, 10) if span / (power * factor) <= 6)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(index * step, 10) for index in range(first, max(last, first + 1) + 1)]


def _bar(bar: Bar, low: float, value: float, high: float, y: float) -> Markup:
    return (
        _line(f"interval stroke-{bar.style}", low, y, high, y)
        + Markup('<rect class="{}" x="{:.1f}" y="{:.1f}" width="8" height="8"/>').format(
            f"fill-{bar.style}", value - 4, y - 4
        )
        + _text(f"value text-{bar.style}", _WIDTH - _RIGHT + 16, y + 4, bar.text)
    )


def _label(row: ForestRow, top: float, height: float) -> Markup:
    middle = top + height / 2
    if not row.note:
        return _text("label", _LEFT - 16, middle + 4, row.label, "end")
    return _text("label", _LEFT - 16, middle - 3, row.label, "end") + _text(
        "note", _LEFT - 16, middle + 12, row.note, "end"
    )


def _line(style: str, x1: float, y1: float, x2: float, y2: float) -> Markup:
    return Markup('<line class="{}" x1="{:.1f}" y1="{:.1f}" x2="{:.1f}" y2="{:.1f}"/>').format(
        style, x1, y1, x2, y2
    )


def _text(style: str, x: float, y: float, text: str, anchor: str = "start") -> Markup:
    return Markup('<text class="{}" x="{:.1f}" y="{:.1f}" text-anchor="{}">{}</text>').format(
        style, x, y, anchor, text
    )


def _svg(parts: Sequence[Markup], height: float, label: str, width: float = _WIDTH) -> Markup:
    return (
        Markup('<svg class="plot" viewBox="0 0 {:.0f} {:.0f}" role="img" aria-label="{}">').format(
            width, height, label
        )
        + Markup("").join(parts)
        + Markup("</svg>")
    )
