"""An evaluation's report as one HTML page that works without a network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from evaluation.calibration import Calibration
from evaluation.reports.confidence import ConfidenceReport, LevelConfidence
from evaluation.reports.evaluation import EvaluationReport
from evaluation.reports.page import Section, rate_bar, render_page, render_template
from evaluation.reports.plots import ForestRow, forest, reliability
from evaluation.reports.robustness import Robustness
from evaluation.reports.speed_sections import latency_section, streaming_section
from evaluation.reports.text_sections import forgetting_section, text_sections
from evaluation.scanned import DimensionResult, Question, SliceResult

_TITLES = {
    "kind": "People and machines",
    "snr": "Signal-to-noise ratio",
    "speaking rate": "Speaking rate",
}
_PLOTTED = 40
"""Slices of a dimension that a plot shows; tables show all."""


@dataclass(frozen=True, slots=True)
class About:
    """What the page says of the run beside its figures.

    Attributes:
        speech: as the user named it.
        rejected: recordings that could not be used: where and why.
        facts: further lines, name and value.
        margin: the smallest difference that matters, a fraction of words.
        forced: in what two evaluations differ that were compared all the same.
        warnings: sentences on why the figures may mislead.
    """

    speech: str
    rejected: Sequence[tuple[str, str]]
    facts: Mapping[str, str]
    margin: float = Question().margin
    forced: Sequence[str] = ()
    warnings: Sequence[str] = ()


def render_evaluation(
    report: EvaluationReport, about: About, audio: Mapping[str, str] | None = None
) -> str:
    """The whole page.

    Args:
        audio: address of an utterance's recording by its id, relative to the page; a recording is
            only fetched when somebody plays it.
    """
    sections = [_headline(report, about)]
    if report.forgetting:
        names = report.candidate.name, report.baseline.name if report.baseline else ""
        sections.append(forgetting_section(report.forgetting, about.margin, names))
    sections += [
        _dimension(report, found) for found in report.scan.dimensions if len(found.slices) > 1
    ]
    sections += text_sections(report)
    if report.listed:
        sections.append(_utterances(report, audio or {}))
    if any(model.curve for model in report.robustness):
        sections.append(_robustness(report.robustness))
    if report.latency:
        sections.append(latency_section(report.latency))
    if report.streaming:
        sections.append(streaming_section(report.streaming))
    if report.calibration:
        sections.append(_confidence(report.calibration))
    sections.append(_details(report, about))
    beside = f", beside {report.baseline.name}" if report.baseline else ""
    return render_page(report.candidate.name, f"on {about.speech}{beside}", sections)


def _headline(report: EvaluationReport, about: About) -> Section:
    overall = report.scan.overall
    plot = forest([_row("everything", overall)], unit="word error rate, %")
    html = render_template(
        "evaluation_headline.html",
        report=report,
        overall=overall,
        about=about,
        plot=plot,
        verdict_class=verdict_class,
    )
    return Section("headline", "Headline", html)


def _dimension(report: EvaluationReport, found: DimensionResult) -> Section:
    title = _TITLES.get(found.dimension, found.dimension.capitalize())
    judged = [part for part in found.slices if not part.too_small]
    rows = [_row(part.name, part) for part in judged[:_PLOTTED]]
    plot = forest(rows, unit="word error rate, %") if rows else ""
    html = render_template(
        "evaluation_slices.html", report=report, found=found, title=title, judged=judged,
        small=[part for part in found.slices if part.too_small], plot=plot,
    )  # fmt: skip
    return Section(found.dimension.replace(" ", "-"), title, html)


def _utterances(report: EvaluationReport, audio: Mapping[str, str]) -> Section:
    choices: dict[str, list[str]] = {}
    for one in report.listed:
        for dimension, name in one.places.items():
            if name not in choices.setdefault(dimension, []):
                choices[dimension].append(name)
    several = {name: sorted(values) for name, values in choices.items() if len(values) > 1}
    html = render_template(
        "evaluation_utterances.html", report=report, audio=audio, choices=several
    )
    return Section("utterances", "Utterances", html)


def _robustness(models: Sequence[Robustness]) -> Section:
    """A row for each condition that any of the models heard; a kill may have cost one some."""
    curves = [{point.condition: point for point in model.curve} for model in models]
    rows = [
        (condition, [curve.get(condition) for curve in curves])
        for condition in dict.fromkeys(condition for curve in curves for condition in curve)
    ]
    bars = [
        ForestRow(
            condition.title,
            "",
            tuple(
                rate_bar(point.word_error_rate, style)
                for point, style in zip(points, ("candidate", "baseline"), strict=False)
                if point
            ),
        )
        for condition, points in rows
    ]
    quiet = [
        (kind, [model.invented.get(kind) for model in models])
        for kind in dict.fromkeys(kind for model in models for kind in model.invented)
    ]
    html = render_template(
        "evaluation_robustness.html", models=models, rows=rows, quiet=quiet,
        plot=forest(bars, unit="word error rate, %"),
    )  # fmt: skip
    return Section("robustness", "Robustness", html)


def _confidence(found: ConfidenceReport) -> Section:
    levels = [(level, one, _reliability(one)) for level, one in found.levels.items()]
    calibrated = any(one.calibrated for _, one, _ in levels)
    unfitted = any(one.unfitted for _, one, _ in levels)
    html = render_template(
        "evaluation_confidence.html", levels=levels, calibrated=calibrated, unfitted=unfitted
    )
    return Section("confidence", "Confidence", html)


def _reliability(found: LevelConfidence) -> Markup:
    """The curve of calibrated confidences over that of the raw ones, where there are both."""
    if found.calibrated is None:
        return reliability({"candidate": _points(found.raw)})
    return reliability(
        {"baseline": _points(found.raw), "candidate": _points(found.calibrated.after)}
    )


def _points(of: Calibration) -> list[tuple[float, float, float, float]]:
    return [(one.confidence, one.accuracy, one.accuracy_low, one.accuracy_high) for one in of.curve]


def _details(report: EvaluationReport, about: About) -> Section:
    models = [report.candidate, *([report.baseline] if report.baseline else [])]
    html = render_template(
        "evaluation_details.html", report=report, models=models, about=about, figures=figures
    )
    return Section("details", "How it was measured", html)


def _row(label: str, part: SliceResult) -> ForestRow:
    bars = [
        rate_bar(estimate, style)
        for estimate, style in ((part.candidate, "candidate"), (part.baseline, "baseline"))
        if estimate is not None
    ]
    note = f"{part.words:,} words" + (", too few to judge" if part.too_small else "")
    return ForestRow(label, note, tuple(bars))


def verdict_class(answer: str | None) -> str:
    """The colour of an answer."""
    return {"better": "promote", "worse": "reject"}.get(answer or "", "insufficient-data")


def figures(report: EvaluationReport) -> list[tuple[str, list[str]]]:
    """Plain figures of each model, as rows of a table: name, then a cell a model."""
    models = [report.candidate, *([report.baseline] if report.baseline else [])]
    rows: list[tuple[str, list[str]]] = [
        (name, [f"{100 * model.rates[name]:.1f}%" for model in models])
        for name in report.candidate.rates
    ]
    counts: dict[str, Any] = {
        "words": lambda model: model.words.words,
        "substituted": lambda model: model.words.substitutions,
        "left out": lambda model: model.words.deletions,
        "inserted": lambda model: model.words.insertions,
        "of them where nothing is said": lambda model: model.invented,
        "utterances with words of which nothing was heard": lambda model: model.silent,
    }
    rows += [(name, [f"{count(model):,}" for model in models]) for name, count in counts.items()]
    rows.append(("BLEU", [f"{model.bleu.score:.1f}" for model in models]))
    for kind in report.candidate.marks:
        scores = [model.marks[kind] for model in models]
        if any(score.expected for score in scores):
            cells = [
                "" if score.f1 is None else f"{100 * score.f1:.0f}% of {score.expected:,}"
                for score in scores
            ]
            rows.append((f"{kind}, F1", cells))
    rows.append(
        (
            "seconds of computing for a second of audio",
            [f"{m.real_time_factor:.3f}" for m in models],
        )
    )
    return rows
