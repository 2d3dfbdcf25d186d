"""`voiceforge corpus preview`: what augmentation does to clips of a corpus, to hear and to see."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import typer

from cli.console import say
from cli.progress import stages_shown


def preview_corpus(
    name: str, *, clips: int, out: Path | None, effects: Sequence[str], seed: int | None
) -> None:
    """Make the page and print its path."""
    from lifecycle.preview import make_preview
    from lifecycle.previews import default_preview
    from lifecycle.workspace import open_workspace

    workspace = open_workspace(name)
    folder = (out or default_preview(workspace)).resolve()
    with stages_shown():
        page = make_preview(workspace, folder, count=clips, effects=effects, seed=seed)
    say("Open the page in a browser; it needs no server.")
    typer.echo(page)
