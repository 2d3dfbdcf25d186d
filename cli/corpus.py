"""`voiceforge corpus`: corpora and their recorded versions."""

from __future__ import annotations

import re

from rich.console import Console
from rich.table import Table

from voiceforge.errors import UsageError
from voiceforge.files import read_json
from voiceforge.params import DOMAIN_NAME
from voiceforge.settings import load_settings


def checkout(version: str) -> None:
    """Restore a recorded version, NAME@HASH, to data/corpora/NAME."""
    from data.forgetting import refuse_forgotten, refuse_speakers
    from data.versions import checkout_version, full_md5
    from lifecycle.corpus import remote_settings
    from lifecycle.workspace import domain_lock

    name, _, md5 = version.partition("@")
    if not re.fullmatch(DOMAIN_NAME, name) or not md5:
        raise UsageError(
            f"{version!r} is no corpus version. Write NAME@HASH, such as telephony-en@"
            "0123456789abcdef0123456789abcdef.dir; `voiceforge corpus list` lists them."
        )
    settings = load_settings()
    ledgers = settings.ledgers / name
    refuse_forgotten(ledgers, name, full_md5(md5))
    with domain_lock(settings, name):
        checkout_version(
            settings.project,
            name,
            md5,
            remote_settings(settings),
            lambda folder: refuse_speakers(ledgers, folder),
        )
    Console(soft_wrap=True).print(
        f"data/corpora/{name} is now version {md5}. It stays so until the next `voiceforge run` or "
        f"`voiceforge stage corpus`, which builds the corpus from today's sources again; commit "
        f"data/corpora/{name}.dvc to keep the version on record.",
        highlight=False,
    )


def list_corpora() -> None:
    """Print every corpus with the DVC versions that runs recorded."""
    settings = load_settings()
    table = Table()
    for column in ("corpus", "DVC version", "files", "megabytes"):
        table.add_column(column)
    for record in sorted(settings.artifacts.glob("*/corpus/versions/*/version.json")):
        fields = read_json(record)
        table.add_row(
            record.parents[3].name,
            str(fields["md5"]),
            f"{fields['files']:,}",
            f"{fields['bytes'] / 1e6:.1f}",
        )
    Console().print(table if table.row_count else "No corpus has been built yet.")
