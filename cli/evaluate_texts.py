"""What `voiceforge evaluate` says of terms, numbers and names, and of general speech."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from cli.console import say, show_table
from voiceforge.settings import load_settings

if TYPE_CHECKING:
    from evaluation.forgetting import Forgetting
    from evaluation.reports.evaluation import EvaluationReport
    from lifecycle.evaluate import Asked


def texts_said(report: EvaluationReport, margin: float) -> Iterator[str]:
    """Lines for the end of the command.

    Args:
        margin: the smallest difference that matters, points of word error rate.
    """
    if report.terms:
        whole = report.terms.parts[0]
        said = f"nobody says any of {report.terms.terms}"
        if recall := whole.candidate.recall:
            said = f"{recall.percent()} found"
            if recall.too_few:
                said += f" ({recall.too_few})"
            elif whole.gain:
                said += f", gained {whole.gain.points} points"
        yield f"Terms:     {said}"
    if report.entities.kinds:
        recall = report.entities.kinds[-1].candidate.recall
        few = f" ({recall.too_few})" if recall.too_few else ""
        yield f"Numbers, dates and names: {recall.percent()} kept{few}"
    if report.forgetting is not None:
        yield from _forgetting_said(report.forgetting, margin)


def _forgetting_said(found: Forgetting, margin: float) -> Iterator[str]:
    yield f"Forgetting, where {margin:g} points matter: {found.text}"
    yield from (f"  {one.text}" for one in found.languages)


def evaluate_languages(asked: Asked, languages: Sequence[str], out: Path, margin: float) -> bool:
    """Evaluate general speech of several languages, and say what it comes to.

    Args:
        margin: as in `texts_said`.

    Returns:
        Whether the model is worse than the baseline in one of them.
    """
    from rich.table import Table

    from cli.progress import stages_shown
    from evaluation.reports.page import points
    from lifecycle.general_suite import evaluate_suite

    with stages_shown():
        suite = evaluate_suite(load_settings(), asked, languages, out, margin=margin / 100)
    table = Table()
    beside = ("baseline", "points") if suite.forgetting else ()
    for column in ("general speech", "words", "candidate", *beside):
        table.add_column(column)
    for language, written in suite.reports.items():
        for line in written.warnings:
            say(line)
        overall = written.report.scan.overall
        cells = [language, f"{overall.words:,}"]
        cells += [overall.candidate.percent()] if overall.candidate else []
        if overall.baseline and overall.difference:
            cells += [overall.baseline.percent(), points(overall.difference)]
        table.add_row(*cells)
    show_table(table)
    if suite.forgetting:
        for line in _forgetting_said(suite.forgetting, margin):
            typer.echo(line)
    typer.echo(f"Report:    {out / 'report.html'}")
    return suite.is_worse
