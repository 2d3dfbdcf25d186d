"""`voiceforge init`: a domain for a user's own recordings."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console

from cli.sources import add_source
from voiceforge.errors import UsageError
from voiceforge.params import load_params
from voiceforge.settings import PARAMS_FILE, load_settings


def add_domain(domain: str, language: str, source: Path, base_model: str | None) -> None:
    """Add `domain` with a folder of recordings to params.yaml, comments and all kept.

    Raises:
        UsageError: a bad or taken name, a folder that is not there or has no usable table, or no
            such base model.
    """
    settings = load_settings()
    path = settings.project / PARAMS_FILE
    if domain in load_params(path):
        raise UsageError(
            f"{path} already has a domain {domain!r}. Choose another name, or add to it: "
            f"`voiceforge corpus add {domain} --source folder --path {source}`."
        )
    added = add_source(
        settings, domain, "folder", {"path": source}, language=language, base_model=base_model
    )
    Console(soft_wrap=True).print(
        f"Added {domain} to {path}: {added.recordings} recordings in {source}, "
        f"{added.rejects} that will be in quarantine.\n"
        f"`voiceforge run --domain {domain}` works on them.",
        highlight=False,
    )
