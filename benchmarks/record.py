"""Results of benchmarks as sections of docs/benchmarks.md, each replaced when run again."""

from __future__ import annotations

import datetime
import platform
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from evaluation.runners import machine_name
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


@dataclass(frozen=True)
class Part:
    """What a benchmark can measure on its own, the title of its section, and its command."""

    title: str
    command: str
    measure: Callable[[], Iterable[Row]]


def measure_parts(
    parts: Mapping[str, Part], chosen: Sequence[str], project: Path | None, remark: str
) -> None:
    """Measure some parts.

    Args:
        parts: by name.
        chosen: names, in the order in which they are measured.
        project: whose docs/benchmarks.md gets a section a part; None to print alone.
        remark: what a reader has to know of this run.
    """
    for part in (parts[name] for name in chosen):
        rows = shown(part.measure())
        if project is not None:
            write_section(project, part.title, machine_note(part.command, remark), rows)


def shown(rows: Iterable[Row]) -> list[Row]:
    """The rows, each printed as soon as it is known."""
    found = []
    for row in rows:
        print(f"{row.name:<64} {row.value:<34} {row.rests_on}", flush=True)
        found.append(row)
    return found


def machine_note(command: str, remark: str = "") -> str:
    """When and on what machine figures were measured, by which command; then the remark."""
    memory = psutil.virtual_memory().total / 2**30
    return (
        f"{datetime.date.today().isoformat()}, {machine_name()}, {memory:.0f} GiB, Python "
        f"{platform.python_version()}; `{command}`. {remark}"
    ).strip()


def write_section(project: Path, title: str, note: str, rows: Sequence[Row]) -> None:
    """Write or replace the section `title` of docs/benchmarks.md, a table of figures."""
    cells = [(row.name, row.value, row.rests_on) for row in rows]
    page = project / "docs" / "benchmarks.md"
    write_table(page, title, note, ("what", "figure", "rests on"), cells)


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
