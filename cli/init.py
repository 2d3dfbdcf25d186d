"""`voiceforge init`: a domain for a user's own recordings."""

from __future__ import annotations

import re
from pathlib import Path

from rich.console import Console

from voiceforge.errors import UsageError
from voiceforge.files import write_text
from voiceforge.params import DOMAIN_NAME, load_params, parse_params
from voiceforge.params.editing import with_domain
from voiceforge.settings import PARAMS_FILE, load_settings

_ENGLISH, _MULTILINGUAL = "whisper-tiny.en", "whisper-base"


def add_domain(domain: str, language: str, source: Path, base_model: str | None) -> None:
    """Add `domain` to params.yaml, comments and all kept, after a look at its recordings.

    Raises:
        UsageError: a bad or taken name, a folder that is not there or has no usable table, or no
            such base model.
    """
    from data.catalogue import CATALOGUE
    from data.sources.base import Reach
    from data.sources.folder import Folder
    from training.base_models import describe_folder, own_folder
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
    model = base_model or (_ENGLISH if language == "en" else _MULTILINGUAL)
    own = own_folder(model)
    english_only = model.endswith(".en") if own is None else not describe_folder(own).multilingual
    if language != "en" and english_only:
        raise UsageError(
            f"{model} knows English only. For {language!r} name a multilingual base model, such as "
            f"{_MULTILINGUAL}."
        )
    if own is not None:
        inside = str(_in_project(own, settings.project))
        model = str(own) if inside in CATALOGUE else inside
    folder = source.expanduser().resolve()
    params = FolderSource(kind="folder", path=str(folder), language=language)
    plan = Folder(params, settings.project).plan(Reach(settings.cache, True, 0.0))
    if not plan.recordings:
        raise UsageError(f"The table in {folder} names no recording that is there with its text.")
    folder = _in_project(folder, settings.project)
    entry: dict[str, object] = {
        "language": language,
        "base_model": model,
        "sources": [{"kind": "folder", "path": str(folder), "language": language}],
    }
    if language != "en":
        entry["evaluation"] = {"normaliser": "whisper-basic"}
    text = with_domain(path.read_bytes().decode(), domain, entry)
    parse_params(text, path)
    write_text(path, text)
    Console(soft_wrap=True).print(
        f"Added {domain} to {path}: {len(plan.recordings)} recordings in {source}, "
        f"{len(plan.rejects)} that will be in quarantine.\n"
        f"`voiceforge run --domain {domain}` works on them.",
        highlight=False,
    )


def _in_project(folder: Path, project: Path) -> Path:
    """As params.yaml names a folder: paths there start at the project."""
    return folder.relative_to(project) if folder.is_relative_to(project) else folder
