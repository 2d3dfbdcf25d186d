"""How the command speaks: tables on stdout, words and errors on stderr."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.table import Table


_TABLE_WIDTH = 112


def show_table(table: Table) -> None:
    """Print a table on stdout. A log or a pipe has no width of its own and gets enough."""
    from rich.console import Console

    console = Console()
    wide = console if console.is_terminal else Console(width=max(console.width, _TABLE_WIDTH))
    wide.print(table)


def say(text: str) -> None:
    """Print a line on stderr as it is, however long."""
    print(text, file=sys.stderr, flush=True)  # noqa: T201


def person(given: str | None) -> str:
    """Who decides something that is written down: as given, or this machine's user.

    Raises:
        UsageError: neither is known, as in containers without an entry for the user.
    """
    import getpass

    from voiceforge.errors import UsageError

    if given:
        return given
    try:
        return getpass.getuser()
    except (KeyError, OSError) as error:
        raise UsageError(
            "This machine knows no name of its user. Say who decides: --by."
        ) from error


def ask(question: str, yes: bool) -> None:
    """Go on only if a person says so, here or with --yes.

    Raises:
        UsageError: nobody is there to ask.
        typer.Abort: the answer is no.
    """
    import typer

    from voiceforge.errors import UsageError

    if yes:
        return
    if not sys.stdin.isatty():
        raise UsageError(f"{question} Nobody is there to answer: give --yes.")
    typer.confirm(question, abort=True)


def show_error(text: str) -> None:
    """Print an error as a paragraph on stderr, its first word red in a terminal."""
    from rich.console import Console
    from rich.markup import escape

    console = Console(stderr=True, soft_wrap=True)
    console.print(f"[bold red]Error:[/] {escape(text)}", highlight=False)
