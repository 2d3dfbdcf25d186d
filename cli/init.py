"""`voiceforge init`: a domain for a user's own recordings."""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Mapping
from pathlib import Path

from rich.console import Console

from voiceforge.errors import UsageError
from voiceforge.files import write_text
from voiceforge.params import DOMAIN_NAME, load_params, parse_params
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


def with_domain(text: str, domain: str, entry: Mapping[str, object]) -> str:
    """The text of a params.yaml with one more domain; every other byte stays as it is.

    Args:
        text: YAML that `parse_params` accepts.
    """
    import yaml

    line = "\r\n" if "\r\n" in text else "\n"
    root = yaml.compose(text, yaml.SafeLoader)
    keys = root.value if isinstance(root, yaml.MappingNode) else []
    at = next((index for index, (key, _) in enumerate(keys) if key.value == "domains"), None)
    if at is None:
        block = _block({"domains": {domain: entry}}, 0, line)
        return _ended(text, line) + block
    value = keys[at][1]
    if not value.value or not isinstance(value, yaml.MappingNode):  # `domains:` or `domains: {}`
        before, after = text[: value.start_mark.index], text[value.end_mark.index :]
        return f"{before.rstrip(' ')}{line}{_block({domain: entry}, 2, line).rstrip()}{after}"
    if value.flow_style:
        end = value.end_mark.index - 1
        comma = "" if text[:end].rstrip().endswith(",") else ", "
        return f"{text[:end]}{comma}{json.dumps({domain: entry})[1:-1]}{text[end:]}"
    block = _block({domain: entry}, value.value[0][0].start_mark.column, line)
    if at + 1 == len(keys):
        return f"{_ended(text, line)}{line}{block}"
    # Before the next key and the comments that stand above it.
    head = text[: keys[at + 1][0].start_mark.index].splitlines(keepends=True)
    while head and (head[-1].startswith("#") or not head[-1].strip()):
        head.pop()
    start = len("".join(head))
    return f"{text[:start]}{line}{block}{text[start:]}"


def _block(content: Mapping[str, object], indent: int, line: str) -> str:
    import yaml

    text = yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=1000)
    return textwrap.indent(text, " " * indent).replace("\n", line)


def _ended(text: str, line: str) -> str:
    return text if not text or text.endswith("\n") else text + line
