"""Sections of an evaluation's page on what was said: terms, numbers and names, and forgetting."""

from __future__ import annotations

from collections.abc import Mapping

from evaluation.forgetting import Forgetting, LanguageKept
from evaluation.reports.evaluation import EvaluationReport
from evaluation.reports.page import Section, rate_bar, render_template
from evaluation.reports.plots import Bar, ForestRow, forest

_LINES = 15
"""Terms that stand in the open; the others are folded away."""

_STYLES = {"improved": "pass", "kept": "pass", "forgot": "fail", "cannot tell": "cannot-tell"}
"""Colours of outcomes, on the plot and in the table."""


def text_sections(report: EvaluationReport) -> list[Section]:
    """What there is to say, in the order of the page."""
    found = []
    if report.terms:
        missed = [line for line in report.terms.lines if line.missed or line.invented]
        html = render_template(
            "evaluation_terms.html", report=report, found=report.terms, missed=missed, shown=_LINES
        )
        found.append(Section("terms", "Terms", html))
    html = render_template("evaluation_entities.html", report=report, found=report.entities)
    return [*found, Section("entities", "Numbers and names", html)]


def forgetting_section(
    found: Forgetting, margin: float, names: tuple[str, str], *, pages: bool = False
) -> Section:
    """Candidate beside its base model on general speech, language by language.

    Args:
        margin: the smallest loss that matters, a fraction.
        names: of both models.
        pages: whether each language has a report of its own at LANGUAGE/report.html.
    """
    rows = [
        ForestRow(one.language, f"{one.difference.words:,} words", (_bar(one),), 100 * margin)
        for one in found.languages
    ]
    rates = [
        ForestRow(
            one.language, "", (rate_bar(one.candidate, "candidate"), rate_bar(one.base, "baseline"))
        )
        for one in found.languages
    ]
    html = render_template(
        "evaluation_forgetting.html",
        found=found,
        margin=margin,
        names=names,
        pages=pages,
        plot=forest(rows, unit="change of word error rate, points", signed=True),
        rates=forest(rates, unit="word error rate, %"),
        classes=_STYLES,
    )
    return Section("forgetting", "Forgetting", html)


def suite_section(reports: Mapping[str, EvaluationReport]) -> Section:
    """One model on general speech, by language; each has a report at LANGUAGE/report.html."""
    rows = [
        ForestRow(language, f"{one.scan.overall.words:,} words", (rate_bar(rate, "candidate"),))
        for language, one in reports.items()
        if (rate := one.scan.overall.candidate)
    ]
    html = render_template(
        "evaluation_suite.html", reports=reports, plot=forest(rows, unit="word error rate, %")
    )
    return Section("languages", "Languages", html)


def _bar(one: LanguageKept) -> Bar:
    found = one.difference
    return Bar(
        100 * found.value, 100 * found.low, 100 * found.high, _STYLES[one.outcome], one.outcome
    )
