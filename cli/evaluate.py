"""`voiceforge evaluate` and `voiceforge compare`: how well models hear some speech."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from cli.console import say, show_table
from voiceforge.settings import load_settings

if TYPE_CHECKING:
    from lifecycle.evaluation_report import Report

WORSE = 3
"""Exit code: the candidate is worse than the baseline, by the interval of their difference."""


def evaluate_model(
    speech: str,
    model: str,
    baseline: str | None,
    out: Path,
    language: str,
    normaliser: str | None,
    split: str | None,
) -> None:
    """Hear, report, and say the headline."""
    from cli.progress import stages_shown
    from lifecycle.evaluate import Asked, evaluate
    from lifecycle.evaluation_report import write_report

    asked = Asked(speech, model, baseline, language, normaliser, split)
    with stages_shown():
        evaluated = evaluate(load_settings(), asked, out)
    rejected = evaluated.described["speech"]["rejected"]
    if rejected:
        say(
            f"{len(rejected)} recordings could not be used, such as {rejected[0]['where']}: "
            f"{rejected[0]['detail']} All of them are in {out / 'evaluation.json'}."
        )
    _show(write_report(evaluated, out))


def compare_evaluations(candidate: Path, baseline: Path, out: Path | None, *, force: bool) -> None:
    """Report on two evaluations; nothing is heard again."""
    from lifecycle.evaluate import pair, read
    from lifecycle.evaluation_report import write_report

    together = pair(read(candidate), read(baseline), force=force)
    _show(write_report(together, out or candidate / f"against-{baseline.resolve().name}"))


def _show(report: Report) -> None:
    from rich.table import Table

    from evaluation.reports.page import points

    compared = report.accuracy.overall.comparison
    table = Table()
    for column in ("speech", "word error rate", "words", *(["points"] if compared else [])):
        table.add_column(column)
    for part in (*report.accuracy.slices, *report.accents.slices):
        rate, beside = part.word_error_rate, part.comparison
        cells = [part.slice.name, rate.percent(), f"{rate.words:,}"]
        table.add_row(
            *cells, *([beside.difference.percent() if beside else ""] if compared else [])
        )
    show_table(table)
    if report.answer is not None and compared is not None:
        said = {
            "better": "is better than",
            "worse": "is worse than",
            "cannot tell": "cannot be told from",
        }[report.answer]
        typer.echo(
            f"{report.accuracy.candidate} {said} {report.accuracy.baseline}: "
            f"{points(compared.difference)} points of word error rate on what both heard "
            f"({compared.difference.words:,} words, {compared.texts:,} texts)."
        )
    typer.echo(f"Report: {report.folder / 'report.html'}")
    if report.answer == "worse":
        raise typer.Exit(WORSE)
