"""`voiceforge run`: the lifecycle with live progress and a closing table."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from rich import box
from rich.console import Console
from rich.table import Table

from cli.console import say, show_table
from cli.progress import live_progress
from voiceforge.errors import UsageError
from voiceforge.params import load_params
from voiceforge.settings import PARAMS_FILE, Settings, load_settings

if TYPE_CHECKING:
    from lifecycle.workspace import Workspace


def run_domains(domain: str | None, *, try_service: bool) -> None:
    """Run one domain, or every domain of params.yaml one after the other."""
    settings = load_settings()
    known = list(load_params(settings.project / PARAMS_FILE))
    if not known:
        raise UsageError(
            f"{settings.project / PARAMS_FILE} has no domains. `voiceforge init DOMAIN --language "
            "L --source FOLDER` adds one for your own recordings."
        )
    domains = known if domain is None else [domain]
    if len(domains) > 1:
        say(f"Running {len(domains)} domains, one after the other: {', '.join(domains)}.")
    for name in domains:
        _run(settings, name)
        if try_service:
            from cli.try_service import transcribe_held_out

            transcribe_held_out(settings, name)


def _run(settings: Settings, domain: str) -> None:
    from lifecycle.nemo import refuse_nemo
    from lifecycle.results import write_results
    from lifecycle.stages import GROUPS
    from lifecycle.workspace import open_workspace
    from pipelines.run import run_lifecycle

    console, began = Console(stderr=True), time.monotonic()
    workspace = open_workspace(domain, settings)
    refuse_nemo(workspace, "The whole lifecycle")
    console.print(f"[bold]{domain}[/]", highlight=False)
    with live_progress() as show:
        run_lifecycle(settings, domain, show)
    for group in GROUPS:
        write_results(workspace, group)
    minutes, seconds = divmod(round(time.monotonic() - began), 60)
    show_table(closing_table(workspace))
    _print_outcome(workspace)
    console.print(f"[dim]{domain} took {minutes} min {seconds:02d} s.[/]", highlight=False)


def closing_table(workspace: Workspace) -> Table:
    """Base against fine-tuned: word error rates with intervals, and seconds per clip."""
    from lifecycle import reports

    table = Table(
        title=f"{workspace.domain.name}: word error rates on held-out speech",
        title_justify="left",
        caption_justify="left",
        box=box.SIMPLE_HEAD,
    )
    table.add_column("slice")
    table.add_column(f"{workspace.domain.base_model}", justify="right")
    table.add_column("words", justify="right", style="dim")
    table.add_column("fine-tuned", justify="right")
    table.add_column("words", justify="right", style="dim")
    table.add_column("word errors", justify="right")
    accuracy = workspace.current(reports.ACCURACY).summary["slices"]
    accents = workspace.current(reports.ACCENT).summary["slices"]
    for row in accuracy:
        table.add_row(*_cells(row))
    table.add_section()
    for row in sorted(accents, key=lambda row: str(row["slice"])):
        table.add_row(*_cells(row))
    table.add_section()
    for row in workspace.current(reports.ACCURACY).summary.get("terms", ()):
        table.add_row(*_term_cells(row))
    table.add_section()
    latency = workspace.current(reports.LATENCY).summary
    table.add_row(
        "seconds per clip, p50 / p95",
        f"{latency['base_p50_seconds']:.3f} / {latency['base_p95_seconds']:.3f}",
        "",
        f"{latency['p50_seconds']:.3f} / {latency['p95_seconds']:.3f}",
        f"{latency['clips']} clips",
        f"{latency['speedup']:.1f} x the audio a second",
    )
    table.caption = (
        f"Word error rates with {100 * workspace.domain.evaluation.confidence:g}% intervals. The "
        "padded base model hears a stratified sample; 'word errors' compares on what both "
        "heard."
    )
    return table


def _cells(row: Mapping[str, Any]) -> list[str]:
    rate = f"{_percent(row['word_error_rate'])} [{_percent(row['low'])}, {_percent(row['high'])}]"
    if "base" not in row:
        return [str(row["slice"]), "", "", rate, f"{row['words']:,}", ""]
    base = f"{_percent(row['base'])} [{_percent(row['base_low'])}, {_percent(row['base_high'])}]"
    fewer = "" if row["reduction"] is None else _change(row["reduction"])
    return [str(row["slice"]), base, f"{row['compared_words']:,}", rate, f"{row['words']:,}", fewer]


def _term_cells(row: Mapping[str, Any]) -> list[str]:
    """A row of term recall; `words` are occurrences of terms."""
    shown = [f"terms found, {row['slice']}"]
    for name in ("baseline", "recall"):
        if row[name] is None:
            shown += ["", ""]
            continue
        low, high = _percent(row[f"{name}_low"]), _percent(row[f"{name}_high"])
        shown += [f"{_percent(row[name])} [{low}, {high}]", f"{row[f'{name}_occurrences']:,}"]
    gain = "" if row["gain"] is None else f"{100 * row['gain']:+.0f} points found"
    return [*shown, gain]


def _change(reduction: float) -> str:
    return f"{abs(100 * reduction):.0f}% {'fewer' if reduction >= 0 else 'more'}"


def _percent(fraction: float) -> str:
    return f"{100 * fraction:.1f}%"


def _print_outcome(workspace: Workspace) -> None:
    from lifecycle import bento, certificate, domain_evaluation, promotion, splits, validation

    console = Console(soft_wrap=True)
    made = workspace.current(splits.STAGE).summary
    by_split = made["by_split"]
    sizes = {
        name: (
            sum(row["utterances"] for row in by_split if row["split"] == name),
            sum(row["seconds"] for row in by_split if row["split"] == name) / 60,
        )
        for name in ("train", "dev", "test")
    }
    heard = ", ".join(f"{name} {n:,} clips ({m:.1f} min)" for name, (n, m) in sizes.items())
    left_out = made["left_out"]
    apart = (
        f", left out {left_out:,} (a text of more than one split's speakers)" if left_out else ""
    )
    console.print(f"Corpus:   {heard}{apart}", highlight=False)
    judged = workspace.current(validation.STAGE).summary
    if out := judged["quarantined"]:
        codes = ", ".join(f"{code} {n:,}" for code, n in judged["quarantine_reasons"].items())
        console.print(f"Left out: {out:,} recordings in quarantine ({codes})", highlight=False)
    if known := made["shared_speakers"]:
        console.print(
            f"Voices:   {', '.join(known[:5])}{' and more' if len(known) > 5 else ''} also in "
            "training, as their source has too few speakers to keep apart",
            highlight=False,
        )
    decided = workspace.current(certificate.STAGE)
    summary, outcome = decided.summary, workspace.current(promotion.STAGE).summary
    colour = {"promote": "green", "reject": "red"}.get(str(summary["verdict"]), "yellow")
    console.print(
        f"Verdict: [bold {colour}]{summary['verdict']}[/] for version {summary['version']} against "
        f"the {summary['reference_name']}. {summary['sentence']}",
        highlight=False,
    )
    champion = outcome["champion"]
    if not champion:
        console.print("There is no champion yet, so nothing can be served.")
    else:
        console.print(f"Champion: models:/{workspace.domain.name}/{champion}", highlight=False)
        tag = workspace.current(bento.STAGE).summary["tag"]
        console.print(f"Bento:    {tag}", highlight=False)
    console.print(f"Report:   {decided.path / certificate.PAGE}", highlight=False)
    slices = domain_evaluation.page(workspace.current(domain_evaluation.STAGE))
    console.print(f"Slices:   {slices}", highlight=False)
