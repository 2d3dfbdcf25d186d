"""`voiceforge corpus diff`: what came, went and changed between two corpora or versions of one."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from rich import box
from rich.console import Console
from rich.table import Table

from cli.console import show_table
from voiceforge.settings import Settings, load_settings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from data.columns import ArrowTable
    from data.diff import Diff

_SHOWN = 12
"""Ids of each kind that are printed; `--json` has all."""


def show_diff(before: str, after: str, *, as_json: bool) -> None:
    """Print the difference of two corpora, each NAME or NAME@HASH.

    With a recorded version on either side the whole corpora are compared, quarantine included, as
    versions know no splits; otherwise what may be used, with its splits.
    """
    from data.columns import with_splits
    from data.diff import diff

    settings = load_settings()
    whole = "@" in before or "@" in after
    tables = [_table(settings, name, whole) for name in (before, after)]
    bare = [
        name for name, table in zip((before, after), tables, strict=True) if not _has_splits(table)
    ]
    if bare:  # with splits on one side only, no speech would be the same
        tables = [with_splits(table, [""] * len(table)) for table in tables]
    result = diff(*tables)
    if as_json:
        # Not through rich, which would wrap long lines.
        print(json.dumps(result.as_dict(), indent=2, ensure_ascii=False))  # noqa: T201
        return
    note = ""
    if whole:
        note = (
            f"{before} and {after} are compared as built, before validation: a recorded version "
            "has no splits, and what is in quarantine counts."
        )
    elif bare:
        note = f"Splits are not compared: {' and '.join(dict.fromkeys(bare))} has none yet."
    _print(result, before, after, note)


def _has_splits(table: ArrowTable) -> bool:
    from data.columns import column

    return any(column(table, "split"))


def _table(settings: Settings, corpus: str, whole: bool) -> ArrowTable:
    from data.forgetting import refuse_forgotten
    from data.tables import UTTERANCES, read_utterance_table, utterance_table, utterance_table_from
    from data.version_files import version_file
    from data.versions import full_md5
    from lifecycle.corpus import remote_settings
    from lifecycle.corpus_view import view_corpus
    from lifecycle.workspace import open_workspace

    name, _, md5 = corpus.partition("@")
    if md5:
        refuse_forgotten(settings.ledgers / name, name, full_md5(md5))
        remote = remote_settings(settings)
        return utterance_table_from(
            version_file(settings.project, name, md5, UTTERANCES, remote), corpus
        )
    workspace = open_workspace(name, settings)
    view = view_corpus(workspace)
    if whole:
        return read_utterance_table(workspace.corpus / UTTERANCES)
    return utterance_table(view.utterances)


def _print(result: Diff, before: str, after: str, note: str = "") -> None:
    table = Table(box=box.SIMPLE_HEAD, title=f"{before} → {after}", title_justify="left")
    has_splits = any(row.split for row in result.figures)
    for column in ("source", "accent", *(["split"] if has_splits else [])):
        table.add_column(column, overflow="fold")
    for column in ("utterances", "", "minutes", ""):
        table.add_column(column, justify="right")
    for row in result.figures:
        table.add_row(
            row.source,
            row.accent,
            *([row.split] if has_splits else []),
            f"{row.utterances_before:,} → {row.utterances_after:,}",
            _signed(row.utterances_after - row.utterances_before),
            f"{row.seconds_before / 60:.1f} → {row.seconds_after / 60:.1f}",
            _signed(round((row.seconds_after - row.seconds_before) / 60, 1)),
        )
    show_table(table)
    console = Console(soft_wrap=True)
    if note:
        console.print(note, highlight=False, markup=False)
    changes = [f"{one.id} ({', '.join(one.fields)})" for one in result.changed]
    moves = [f"{one.id} ({one.before} → {one.after})" for one in result.moved]
    for what, ids in (
        ("Added:    ", result.added),
        ("Removed:  ", result.removed),
        ("Changed:  ", changes),
        ("Moved:    ", moves),
    ):
        console.print(f"{what} {_listed(ids)}", highlight=False, markup=False)
    console.print(f"Unchanged: {result.unchanged:,}", highlight=False)
    if crossed := result.crossed:
        names = [f"{one.id} ({one.before} → {one.after})" for one in crossed]
        Console(stderr=True, soft_wrap=True).print(
            f"Warning: {_listed(names)} crossed between train, dev and test. A model that learned "
            "from one version must not be measured on the other.",
            style="bold red",
            highlight=False,
            markup=False,
        )


def _listed(ids: Sequence[str]) -> str:
    if not ids:
        return "none"
    more = f", and {len(ids) - _SHOWN:,} more" if len(ids) > _SHOWN else ""
    return f"{len(ids):,}: {', '.join(ids[:_SHOWN])}{more}"


def _signed(number: float) -> str:
    return f"{number:+,}" if number else ""
