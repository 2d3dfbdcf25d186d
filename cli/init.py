"""`voiceforge init`: a domain for a user's own recordings."""

from __future__ import annotations

import io
import re
from pathlib import Path

from rich.console import Console

from voiceforge.errors import UsageError
from voiceforge.files import write_text
from voiceforge.params import DOMAIN_NAME, load_params
from voiceforge.settings import PARAMS_FILE, load_settings

_ENGLISH, _MULTILINGUAL = "whisper-tiny.en", "whisper-base"


def add_domain(domain: str, language: str, source: Path, base_model: str | None) -> None:
    """Add `domain` to params.yaml, comments and all kept, after a look at its recordings.

    Raises:
        UsageError: a bad or taken name, or a folder that is not there or has no usable table.
    """
    from data.sources.base import Reach
    from data.sources.folder import Folder
    from voiceforge.params import FolderSource

    settings = load_settings()
    path = settings.project / PARAMS_FILE
    if not re.fullmatch(DOMAIN_NAME, domain):
        raise UsageError(
            f"{domain!r} is no name for a domain: use lower-case letters, digits and hyphens."
        )
    if domain in load_params(path):
        raise UsageError(f"{path} already has a domain {domain!r}. Choose another name.")
    if not re.fullmatch(r"[a-z]{2,3}", language):
        raise UsageError(f"{language!r} is no ISO 639-1 language code, such as en or it.")
    folder = source.expanduser().resolve()
    params = FolderSource(kind="folder", path=str(folder), language=language)
    plan = Folder(params, settings.project).plan(Reach(settings.cache, True, 0.0))
    if not plan.recordings:
        raise UsageError(f"The table in {folder} names no recording that is there with its text.")
    if folder.is_relative_to(settings.project):
        folder = folder.relative_to(settings.project)
    entry: dict[str, object] = {
        "language": language,
        "base_model": base_model or (_ENGLISH if language == "en" else _MULTILINGUAL),
        "sources": [{"kind": "folder", "path": str(folder), "language": language}],
    }
    if language != "en":
        entry["evaluation"] = {"normaliser": "whisper-basic"}
    before = path.read_text()
    write_text(path, _with_domain(before, domain, entry))
    try:
        load_params(path)
    except UsageError:
        write_text(path, before)
        raise
    Console(soft_wrap=True).print(
        f"Added {domain} to {path}: {len(plan.recordings)} recordings in {source}, "
        f"{len(plan.rejects)} rows that will be in quarantine.\n"
        f"`voiceforge run --domain {domain}` works on them.",
        highlight=False,
    )


def _with_domain(text: str, domain: str, entry: dict[str, object]) -> str:
    from ruamel.yaml import YAML

    yaml = YAML()
    yaml.preserve_quotes = True
    yaml.width = 120
    content = yaml.load(text)
    if content.get("domains") is None:
        content["domains"] = {}
    content["domains"][domain] = entry
    written = io.StringIO()
    yaml.dump(content, written)
    return written.getvalue()
