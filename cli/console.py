"""How the command speaks on stderr."""

from __future__ import annotations

import sys


def say(text: str) -> None:
    """Print a line on stderr as it is, however long."""
    print(text, file=sys.stderr, flush=True)  # noqa: T201


def show_error(text: str) -> None:
    """Print an error as a paragraph on stderr, its first word red in a terminal."""
    from rich.console import Console
    from rich.markup import escape

    console = Console(stderr=True, soft_wrap=True)
    console.print(f"[bold red]Error:[/] {escape(text)}", highlight=False)
