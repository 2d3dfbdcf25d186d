"""`voiceforge gc`: remove artifacts that nothing needs."""

from __future__ import annotations

import contextlib

from rich.console import Console

from voiceforge.params import load_params
from voiceforge.settings import PARAMS_FILE, load_settings


def collect_garbage(*, dry_run: bool, keep_runs: int) -> None:
    """Remove what no alias, certificate or recent run needs, domain by domain."""
    from lifecycle.garbage import Garbage, collect, unneeded, unneeded_audio
    from lifecycle.workspace import domain_lock

    settings, console = load_settings(), Console(soft_wrap=True)
    freed = 0
    verb = "would remove" if dry_run else "removed"

    def say(item: Garbage, what: str = "") -> None:
        size = f"{item.bytes / 1e6:.1f} MB"
        console.print(f"{verb} {what}{item.path} ({size})", highlight=False)

    for domain in load_params(settings.project / PARAMS_FILE):
        # Only looking disturbs no run.
        with contextlib.nullcontext() if dry_run else domain_lock(settings, domain):
            for item in unneeded(settings, domain, keep_runs):
                freed += item.bytes
                say(item)
                if not dry_run:
                    collect(item)
    audio = unneeded_audio(settings, remove=not dry_run)
    if audio.bytes:
        freed += audio.bytes
        say(audio, "decoded audio that no corpus uses from ")
    console.print(f"{freed / 1e6:.1f} MB {'could be' if dry_run else 'were'} freed.")
