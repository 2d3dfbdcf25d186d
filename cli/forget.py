"""`voiceforge corpus forget`: a speaker leaves a corpus for good."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

from cli.console import ask, person
from voiceforge.errors import StorageError, UsageError

if TYPE_CHECKING:
    from lifecycle.findings import Findings
    from lifecycle.traces import Traces


def forget_speaker(
    name: str, speaker: str, *, why: str | None, by: str | None, dry_run: bool, yes: bool = False
) -> None:
    """Forget a speaker and print what was removed, what stays, and which models learned from them.

    Raises:
        UsageError: no such domain or speaker, no reason, or nobody is there to ask.
        StorageError: a remote could not be reached, so that the same command has to run again.
    """
    from lifecycle.findings import look
    from lifecycle.forget import forget
    from lifecycle.workspace import open_workspace

    if (why is None and not dry_run) or (why is not None and not why.strip()):
        raise UsageError(
            'Say why the speaker is forgotten: --why, such as "asked by letter". It is kept in the '
            "ledger."
        )
    workspace, console = open_workspace(name), Console(soft_wrap=True, highlight=False)
    if dry_run:
        findings = look(workspace, speaker)
        _found(console, findings)
        _lines(console, "Artifacts that would be deleted", findings.traces.remove)
        _planned(console, name, findings)
        _models(console, findings.traces)
        copies = [str(path) for path in findings.copies]
        _lines(console, "Copies of embedded audio that would be deleted", copies)
        _files(console, findings)
        _lines(console, "To be known", [*findings.notes, *findings.problems])
        console.print("Nothing was changed.")
        return
    who = person(by)
    if not yes and sys.stdin.isatty():
        _found(console, look(workspace, speaker))
    ask(f"Forget {speaker} in {name} for good? It cannot be undone; --dry-run lists all.", yes)
    outcome = forget(workspace, speaker, by=who, why=why or "")
    _found(console, outcome.findings)
    _lines(console, "Done", outcome.done)
    _models(console, outcome.traces)
    _lines(console, "Kept", outcome.kept)
    _files(console, outcome.findings)
    console.print(
        f"Commit {workspace.settings.ledgers / name} and data/corpora/{name}.dvc: the ledger keeps "
        f"the speaker out of every later build, here and wherever it is pulled. "
        f"{outcome.report.name} says without names which models learned from them."
    )
    if outcome.problems:
        raise StorageError(
            "The speaker is not forgotten everywhere yet. Run the same command again when this is "
            f"mended: {' '.join(outcome.problems)}"
        )


def _found(console: Console, findings: Findings) -> None:
    seconds = sum(row.duration for row in findings.rows)
    held = findings.holdings
    others = ""
    if findings.others:
        others = f", of which {findings.others} of other speakers with the same audio"
    console.print(
        f"Found {len(findings.rows)} utterances ({seconds / 60:.1f} min{others}) in the corpus, "
        f"{len(findings.recordings)} recordings in its sources, {len(held.versions)} versions in "
        f"DVC with {len(held.audio)} audio files of the speaker."
    )


def _planned(console: Console, name: str, findings: Findings) -> None:
    """What a dry run has to say beyond what was found."""
    pages = [*findings.previews.there, *([findings.page] if findings.page else [])]
    _lines(console, "Previews and pages that would be deleted", map(str, pages))
    _lines(
        console,
        f"Versions that would be deleted from {', '.join(findings.stores)} and could not be "
        "restored any more",
        (f"{name}@{md5}" for md5 in findings.holdings.versions),
    )
    if (gate := findings.gate) is not None and gate.after:
        console.print(
            f"A new version of the frozen gate set would be frozen: gate-{gate.version}, with "
            f"{gate.after} recordings instead of {gate.before}."
        )
    elif gate is not None:
        console.print(
            f"Nobody else is in the frozen gate set (gate-{gate.version - 1}): it would go on "
            "naming them, by hashes. Freeze a new version with other people's recordings first."
        )


def _models(console: Console, traces: Traces) -> None:
    if not (traces.adapters or traces.versions or traces.certificates):
        console.print("No model learned from the speaker.")
        return
    table = Table(title="Learned from the speaker", title_justify="left")
    for column in ("what", "which", "learned"):
        table.add_column(column)
    for key, how in traces.adapters.items():
        table.add_row("adapter", key, how)
    for version, how in traces.versions.items():
        champion = ", champion" if version in traces.champions else ""
        table.add_row("model version", f"{version}{champion}", how)
    for key, what in traces.certificates.items():
        said = {"tested": "no: tested on them", "model": "its model did"}[what]
        table.add_row("certificate", key, said)
    console.print(table)


def _files(console: Console, findings: Findings) -> None:
    _lines(
        console,
        "Your own files, which are not ours to delete",
        [str(path) for path in findings.files],
    )


def _lines(console: Console, title: str, lines: Iterable[str]) -> None:
    lines = list(lines)
    if lines:
        console.print(f"{title}:")
        for line in lines:
            console.print(f"  {line}", markup=False)
