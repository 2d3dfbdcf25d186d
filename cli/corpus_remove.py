"""`voiceforge corpus remove`: a corpus with its domain goes, or one of its sources."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cli.console import ask, say
from voiceforge.errors import UsageError
from voiceforge.settings import PARAMS_FILE, load_settings

if TYPE_CHECKING:
    from lifecycle.workspace import Workspace


def remove_corpus(name: str, source: int | None, *, yes: bool) -> None:
    """Remove a source of a corpus, or the corpus with its domain.

    Raises:
        UsageError: no such domain or source, or nobody is there to ask.
    """
    from cli.sources import change_params
    from data.ledger import FILE
    from lifecycle.workspace import domain_lock, open_workspace
    from voiceforge.params.editing import without_domain, without_source

    settings = load_settings()
    workspace = open_workspace(name, settings)
    if source is not None:
        if not 1 <= source <= len(workspace.domain.sources):
            raise UsageError(
                f"{name} has no source number {source}; `voiceforge corpus show {name}` counts "
                "them."
            )
        if len(workspace.domain.sources) == 1:
            raise UsageError(
                f"{name} has only this source. `voiceforge corpus remove {name}` removes it all."
            )
        gone = workspace.domain.sources[source - 1]

        def without(text: str) -> str:
            if _sources(text, name)[source - 1 : source] != [gone]:
                raise UsageError(f"The sources of {name} have changed meanwhile. Look again.")
            return without_source(text, name, source - 1)

        without((settings.project / PARAMS_FILE).read_bytes().decode())
        ask(f"Remove source {source} (kind {gone.kind}) of {name}?", yes)
        change_params(settings, without)
        say(f"Removed. `voiceforge corpus validate {name}` builds the corpus without it.")
        return
    without_domain((settings.project / PARAMS_FILE).read_bytes().decode(), name)
    versions, stays = _what_stays(workspace)
    folder = f" and data/corpora/{name}" if workspace.corpus.exists() else ""
    ask(f"Remove the domain {name} from params.yaml{folder}?{stays}", yes)
    with domain_lock(settings, name):
        change_params(settings, lambda text: without_domain(text, name))
        shutil.rmtree(workspace.corpus, ignore_errors=True)
        workspace.corpus.with_name(f"{name}.dvc").unlink(missing_ok=True)
    said = [f"Removed {name}."]
    if (workspace.ledgers / FILE).is_file():
        said.append(
            "Should it return to params.yaml, its ledger keeps every utterance in its split."
        )
    if versions:
        said.append(f"`voiceforge corpus checkout {name}@HASH` brings recorded versions back.")
    say(" ".join(said))


def _what_stays(workspace: Workspace) -> tuple[bool, str]:
    """Whether versions were recorded, and a sentence on what a removed corpus leaves, "" where that
    is nothing."""
    from lifecycle import certificate, model_version
    from lifecycle.artifacts import MANIFEST
    from lifecycle.corpus_view import recorded_versions

    name = workspace.domain.name
    pointer = workspace.corpus.with_name(f"{name}.dvc")
    versions = bool(recorded_versions(workspace)) or pointer.is_file()

    def made(stage: str) -> bool:
        return any(workspace.store.folder(name, stage).glob(f"[!.]*/{MANIFEST}"))

    found = {
        "recorded versions": versions,
        f"data/ledgers/{name}": workspace.ledgers.is_dir(),
        "models": made(model_version.STAGE),
        "certificates": made(certificate.STAGE),
    }
    there = [what for what, is_there in found.items() if is_there]
    if not there:
        return versions, ""
    *first, last = there
    all_ = f"{', '.join(first)} and {last}" if first else last
    return versions, f" What stays: {all_}."


def _sources(text: str, name: str) -> list[Any]:
    from voiceforge.params import parse_params

    return list(parse_params(text, Path(PARAMS_FILE))[name].sources)
