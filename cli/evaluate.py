"""`voiceforge evaluate` and `voiceforge compare`: how well models hear some speech."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from cli.console import say, show_table
from voiceforge.settings import load_settings

if TYPE_CHECKING:
    from lifecycle.evaluate import Asked
    from lifecycle.evaluation_report import Written

WORSE = 3
"""Exit code: the candidate is worse than the baseline, by the interval of their difference."""


def evaluate_model(asked: Asked, out: Path, margin: float) -> None:
    """Hear, report, and say the headline.

    Args:
        margin: the smallest difference that matters, points of word error rate.
    """
    from cli.evaluate_texts import evaluate_languages
    from cli.progress import stages_shown
    from lifecycle.evaluate import evaluate
    from lifecycle.evaluated_speech import also_there, general_languages
    from lifecycle.evaluation_report import write_report

    languages = general_languages(asked.speech)
    if len(languages) > 1:
        if evaluate_languages(asked, languages, out, margin):
            raise typer.Exit(WORSE)
        return
    settings = load_settings()
    if taken := also_there(settings, asked.speech):
        say(taken)
    with stages_shown():
        evaluated = evaluate(settings, asked, out)
    rejected = evaluated.described["speech"]["rejected"]
    if rejected:
        say(
            f"{len(rejected)} recordings could not be used, such as {rejected[0]['where']}: "
            f"{rejected[0]['detail']} All of them are in {out / 'evaluation.json'}."
        )
    _show(write_report(evaluated, out, margin=margin / 100))


def compare_evaluations(
    candidate: Path, baseline: Path, out: Path | None, margin: float, *, force: bool
) -> None:
    """Report on two evaluations; nothing is heard again."""
    from lifecycle.evaluated import pair, read
    from lifecycle.evaluation_report import write_report

    together = pair(read(candidate), read(baseline), force=force)
    place = out or candidate / f"against-{baseline.resolve().name}"
    _show(write_report(together, place, margin=margin / 100))


def _show(written: Written) -> None:
    from rich.table import Table

    from cli.evaluate_speed import speed_said
    from cli.evaluate_texts import texts_said
    from evaluation.reports.page import points

    report = written.report
    names = [report.candidate.name, *([report.baseline.name] if report.baseline else [])]
    table = Table()
    for column in ("speech", "words", *(["candidate", "baseline", "points"][: 2 * len(names) - 1])):
        table.add_column(column)
    parts = [report.scan.overall]
    small = 0
    for dimension in report.scan.dimensions:
        if len(dimension.slices) > 1 and dimension.dimension != "speaker":
            parts += (judged := [one for one in dimension.slices if not one.too_small])
            small += len(dimension.slices) - len(judged)
    for part in parts:
        if part.candidate is None:
            continue
        named = part.name if part.dimension == part.name else f"{part.dimension} {part.name}"
        cells = [named, f"{part.words:,}", part.candidate.percent()]
        if part.baseline and part.difference:
            cells += [part.baseline.percent(), points(part.difference)]
        table.add_row(*cells)
    if report.baseline is None and report.scan.overall.too_small:
        say(f"This speech is {report.scan.overall.too_small}.")
    if small:
        table.caption = f"{small} slices are too small to judge; the report has them."
    show_table(table)
    for line in written.warnings:
        say(line)
    for role, name in zip(("candidate", "baseline"), names, strict=False):
        typer.echo(f"{role.capitalize()}: {name}")
    if report.answer is not None:
        typer.echo(f"{report.answered}")
    for line in (*texts_said(report, 100 * written.margin), *speed_said(report)):
        typer.echo(line)
    typer.echo(f"Report:    {written.folder / 'report.html'}")
    if report.answer == "worse":
        raise typer.Exit(WORSE)
