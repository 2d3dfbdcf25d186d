"""Results of benchmarks as sections of docs/benchmarks.md, each replaced when run again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from voiceforge.files import write_text

_HEAD = """# Benchmarks

Written by the commands named below each title; a command run with `--write` replaces its section.
"""


@dataclass(frozen=True)
class Row:
    """A figure, and what it rests on."""

    name: str
    value: str
    rests_on: str


def write_section(path: Path, title: str, note: str, rows: Sequence[Row]) -> None:
    """Write or replace the section `title`, a table of figures."""
    cells = [(row.name, row.value, row.rests_on) for row in rows]
    write_table(path, title, note, ("what", "figure", "rests on"), cells)


def write_table(
    path: Path, title: str, note: str, header: Sequence[str], rows: Sequence[Sequence[str]]
) -> None:
    """Write or replace the section `title`: a table whose second column is a figure."""
    rule = ["---:" if column == 1 else "---" for column in range(len(header))]
    lines = [f"## {title}", "", note, "", f"| {' | '.join(header)} |", f"|{'|'.join(rule)}|"]
    lines += [f"| {' | '.join(row)} |" for row in rows]
    section = "\n".join(lines) + "\n"
    text = path.read_text() if path.is_file() else _HEAD
    head, *sections = text.split("\n## ")
    kept = [f"## {body}".rstrip() + "\n" for body in sections if not body.startswith(f"{title}\n")]
    write_text(path, "\n".join([head.rstrip() + "\n", *kept, section]))
