"""`voiceforge corpus list|show|checkout`: corpora and their recorded versions."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich import box
from rich.console import Console
from rich.table import Table

from cli.console import show_table
from voiceforge.errors import UsageError, VoiceForgeError
from voiceforge.params import DOMAIN_NAME, DomainParams, load_params
from voiceforge.settings import PARAMS_FILE, load_settings

if TYPE_CHECKING:
    from lifecycle.corpus_view import CorpusView
    from lifecycle.workspace import Workspace


def list_corpora(*, as_json: bool) -> None:
    """Print a row for every corpus of params.yaml."""
    rows = [_row(name, domain) for name, domain in _domains()]
    if as_json:
        print(json.dumps(rows, indent=2, ensure_ascii=False))  # noqa: T201
    else:
        _print_list(rows)


def _domains() -> list[tuple[str, DomainParams]]:
    return list(load_params(load_settings().project / PARAMS_FILE).items())


def _row(name: str, domain: DomainParams) -> dict[str, Any]:
    """A corpus as a program reads it; `problem` says what keeps it from being looked at."""
    from lifecycle.corpus_view import is_built, view_corpus
    from lifecycle.workspace import open_workspace

    workspace = open_workspace(name, load_settings())
    row: dict[str, Any] = {
        "corpus": name,
        "sources": [source.kind for source in domain.sources],
        "built": is_built(workspace),
        "problem": "",
    }
    if not row["built"]:
        return row
    try:
        view = view_corpus(workspace)
        return {
            **row,
            "utterances": len(view.utterances),
            "seconds": round(sum(one.duration for one in view.utterances), 3),
            "speakers": len({one.speaker for one in view.utterances}),
            "quarantined": view.quarantined,
            "quarantined_share": view.quarantined_share,
            "version": str(view.versions[0]["md5"]) if view.versions else "",
        }
    except VoiceForgeError as error:  # checked out in another version, damaged: one of many
        return {**row, "problem": str(error)}


def _print_list(rows: Sequence[Mapping[str, Any]]) -> None:
    from lifecycle.corpus_page import length

    table = Table(box=box.SIMPLE_HEAD)
    for column in ("corpus", "sources", "utterances", "audio", "speakers", "quarantine"):
        table.add_column(column, justify="left" if column in ("corpus", "sources") else "right")
    table.add_column("newest version", overflow="fold")
    for row in rows:
        first = row["corpus"], ", ".join(row["sources"])
        if not row["built"] or row["problem"]:
            table.add_row(*first, "", "", "", "", row["problem"] or "not built yet")
            continue
        table.add_row(
            *first,
            f"{row['utterances']:,}",
            length(row["seconds"]),
            f"{row['speakers']:,}",
            f"{row['quarantined']:,} ({row['quarantined_share']:.1%})",
            row["version"],
        )
    show_table(table)


def show_corpus(name: str, *, as_json: bool) -> None:
    """Print what a corpus holds, and write its page."""
    from lifecycle.corpus_page import write_corpus_page
    from lifecycle.corpus_view import view_corpus
    from lifecycle.workspace import open_workspace

    workspace = open_workspace(name, load_settings())
    view = view_corpus(workspace)
    page = write_corpus_page(workspace, view)
    if as_json:
        # Not through rich, which would wrap long lines.
        print(json.dumps(_figures(workspace, view, str(page)), indent=2, ensure_ascii=False))  # noqa: T201
        return
    _print(workspace, view)
    Console(soft_wrap=True).print(f"Data Docs: {view.data_docs}", highlight=False)
    Console(soft_wrap=True).print(f"Page:      {page}", highlight=False)


def checkout(version: str) -> None:
    """Restore a recorded version, NAME@HASH, to data/corpora/NAME."""
    from lifecycle.corpus import restore_version
    from lifecycle.workspace import domain_lock

    name, _, md5 = version.partition("@")
    if not re.fullmatch(DOMAIN_NAME, name) or not md5:
        raise UsageError(
            f"{version!r} is no corpus version. Write NAME@HASH, such as telephony-en@"
            "0123456789abcdef0123456789abcdef.dir; `voiceforge corpus show NAME` lists them."
        )
    settings = load_settings()
    with domain_lock(settings, name):
        restore_version(settings, name, md5)
    Console(soft_wrap=True).print(
        f"data/corpora/{name} is now version {md5}. It stays so until the next `voiceforge run` or "
        f"`voiceforge stage corpus`, which builds the corpus from today's sources again; commit "
        f"data/corpora/{name}.dvc to keep the version on record.",
        highlight=False,
    )


def _print(workspace: Workspace, view: CorpusView) -> None:
    from data.figures import speaker_figures
    from data.forgotten import read_forgotten
    from data.split_summary import split_rows
    from lifecycle.corpus_page import length

    table = Table(box=box.SIMPLE_HEAD, title=view.name, title_justify="left")
    for column in ("split", "accent", "speech"):
        table.add_column(column)
    for column in ("utterances", "minutes", "words", "speakers"):
        table.add_column(column, justify="right")
    for row in split_rows(view.utterances):
        table.add_row(
            row.split or "not split yet",
            row.accent,
            "synthetic" if row.is_synthetic else "human",
            f"{row.utterances:,}",
            f"{row.seconds / 60:.1f}",
            f"{row.words:,}",
            f"{row.speakers:,}",
        )
    show_table(table)
    seconds = sum(row.duration for row in view.utterances)
    speakers = speaker_figures(view.utterances)
    console = Console(soft_wrap=True)
    for number, source in enumerate(workspace.domain.sources, 1):
        fields = source.model_dump(exclude={"kind"}, exclude_defaults=True)
        shown = ", ".join(f"{key} {value}" for key, value in fields.items() if _short(value))
        console.print(f"Source {number}:  {source.kind} ({shown})", highlight=False)
    console.print(
        f"In all:    {len(view.utterances):,} utterances, {length(seconds)}, {len(speakers):,} "
        f"speakers, the one with most audio {speakers[0].speaker} "
        f"({length(speakers[0].seconds)})\n"
        f"Quarantine: {view.quarantined:,} recordings ({view.quarantined_share:.1%}), "
        f"{view.released:,} released",
        highlight=False,
    )
    forgotten = read_forgotten(workspace.settings.ledgers / view.name)
    for version in view.versions[:5]:
        stone = forgotten.version(str(version["md5"]))
        gone = f", of a speaker forgotten on {stone.at[:10]}: cannot be restored" if stone else ""
        console.print(
            f"Version:   {view.name}@{version['md5']} ({version['files']:,} files, "
            f"{version['bytes'] / 1e6:.1f} MB{gone})",
            highlight=False,
        )


def _short(value: object) -> bool:
    return isinstance(value, str | int | float)


def _figures(workspace: Workspace, view: CorpusView, page: str) -> dict[str, Any]:
    from dataclasses import asdict

    from data.figures import histograms, speaker_figures
    from data.split_summary import split_rows

    return {
        "corpus": view.name,
        "utterances": len(view.utterances),
        "hours": round(sum(row.duration for row in view.utterances) / 3600, 3),
        "words": sum(len(row.text.split()) for row in view.utterances),
        "parts": [asdict(row) for row in split_rows(view.utterances)],
        "speakers": [asdict(row) for row in speaker_figures(view.utterances)],
        "histograms": [asdict(one) for one in histograms(view.utterances, view.measurements)],
        "quarantine": [asdict(one) for one in view.rejects],
        "released": view.released,
        "sources": [source.model_dump(mode="json") for source in workspace.domain.sources],
        "versions": [dict(version) for version in view.versions],
        "data_docs": str(view.data_docs),
        "page": page,
    }
