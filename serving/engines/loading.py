"""Load an engine of whatever kind its engine.json names."""

from __future__ import annotations

from pathlib import Path

from serving.engines.contracts import Engine
from serving.engines.description import read_description
from voiceforge.errors import UsageError


def load_engine(path: Path, threads: int) -> Engine:
    """Verify and load an engine folder.

    Raises:
        StorageError: there is no engine.json.
        IntegrityError: a file is not what was built.
        UsageError: this version has no engine of that kind.
    """
    description = read_description(path)
    if description.kind == "ctranslate2":
        from serving.engines import ctranslate2

        return ctranslate2.load(path, threads=threads)
    raise UsageError(
        f"The engine in {path} is of kind {description.kind!r}, which this version of VoiceForge "
        "cannot run. It runs: ctranslate2."
    )
