"""Stage corpus: every source's recordings as 16 kHz FLAC with their table, versioned by DVC."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import filelock

from lifecycle.artifacts import Artifact
from lifecycle.workspace import Workspace
from voiceforge.files import new_folder, read_json, sha256_json, write_json
from voiceforge.settings import Settings

if TYPE_CHECKING:
    from data.corpus import CorpusSummary
    from data.forgotten import Forgotten
    from data.remotes import RemoteSettings
    from data.sources.base import Reach
    from voiceforge.params import DomainParams

STAGE = "corpus"
VERSION = 1
_FORGOTTEN = "forgotten"


def make_corpus(workspace: Workspace) -> Artifact:
    """Build the corpus at `data/corpora/DOMAIN` unless its sources are those it was built from."""
    from data.corpus import source_fingerprint
    from data.forgotten import read_forgotten

    settings, domain = workspace.settings, workspace.domain
    forgotten = read_forgotten(settings.ledgers / domain.name)
    inputs = {"sources": source_fingerprint(domain, project=settings.project)}

    def build(folder: Path, _: Path) -> Mapping[str, Any]:
        summary = build_here(
            settings,
            domain,
            folder,
            forgotten,
            lambda done, total: workspace.report(STAGE, done, total, "recordings"),
        )
        return summary.as_dict()

    return workspace.make(
        STAGE,
        VERSION,
        with_forgotten(inputs, forgotten),
        {"sources": [source.model_dump(mode="json") for source in domain.sources]},
        build,
        at=workspace.corpus,
    )


def build_here(
    settings: Settings,
    domain: DomainParams,
    out: Path,
    forgotten: Forgotten | None = None,
    progress: Callable[[int, int], None] | None = None,
    *,
    longest: float | None = None,
) -> CorpusSummary:
    """`data.corpus.build_corpus` with this machine's cache, network and threads."""
    from data.corpus import build_corpus
    from data.forgotten import NOBODY
    from data.rendering import LONGEST

    return build_corpus(
        domain,
        out,
        project=settings.project,
        cache=settings.cache,
        offline=settings.offline,
        timeout=settings.source_timeout,
        workers=settings.threads,
        forgotten=NOBODY if forgotten is None else forgotten,
        longest=longest or LONGEST,
        progress=progress,
    )


def reach_of(settings: Settings, forgotten: Forgotten | None = None) -> Reach:
    """What sources may fetch and write on this machine; nothing of speakers who were forgotten."""
    from data.forgotten import NOBODY
    from data.sources.base import Reach

    out = NOBODY if forgotten is None else forgotten
    return Reach(settings.cache, settings.offline, settings.source_timeout, out.holds_speaker)


def with_forgotten(inputs: Mapping[str, str], forgotten: Forgotten) -> dict[str, str]:
    """Inputs of a corpus that keeps these speakers out; as they are where nobody was forgotten."""
    others = {name: value for name, value in inputs.items() if name != _FORGOTTEN}
    return {**others, _FORGOTTEN: forgotten.identity} if forgotten.identity else others


def version_corpus(workspace: Workspace, corpus: Artifact) -> Mapping[str, Any]:
    """Add the corpus to DVC and push it to the remote; returns the recorded version.

    What was pushed before is not pushed again unless the remote is another now. The small `.dvc`
    file is left for the user to commit.
    """
    from data.repository import pointer_of
    from data.versions import add_version

    settings = workspace.settings
    record = workspace.store.folder(workspace.domain.name, STAGE) / "versions" / corpus.sha256
    pointer = pointer_of(workspace.corpus)
    if (record / "version.json").is_file() and pointer.is_file():
        version: Mapping[str, Any] = read_json(record / "version.json")
        pushed = version.get("pushed_by") in (None, _remotes(settings))
        if pushed and str(version["md5"]) in pointer.read_text():
            return version
    workspace.report(STAGE, 0, 0, "adding to DVC and pushing")
    # DVC refuses a second process in the same repository: domains take turns.
    with filelock.FileLock(settings.locks / "dvc.lock"):
        added = add_version(settings.project, workspace.corpus, remote_settings(settings))
    version = {
        **added.as_dict(),
        "remote": _from_home(settings, added.remote),
        "pushed_by": _remotes(settings) if added.remote else "",
    }
    with new_folder(record) as folder:
        write_json(folder / "version.json", version)
    return version


def corpus_version(workspace: Workspace) -> Mapping[str, Any]:
    """The DVC version of the current corpus."""
    return version_corpus(workspace, workspace.current(STAGE))


def restore_version(settings: Settings, name: str, md5: str) -> None:
    """Put a recorded version of a corpus in its place; who calls holds the domain's lock.

    Raises:
        UsageError: it is no version, or it holds a speaker who was forgotten.
        SourceError, IntegrityError, StorageError: it cannot be had.
    """
    from data.forgetting import refuse_forgotten, refuse_speakers
    from data.versions import checkout_version, full_md5

    ledgers = settings.ledgers / name
    refuse_forgotten(ledgers, name, full_md5(md5))
    checkout_version(
        settings.project,
        name,
        md5,
        remote_settings(settings),
        lambda folder: refuse_speakers(ledgers, folder),
    )


def remote_settings(settings: Settings) -> RemoteSettings:
    """What the machine says of DVC's remote."""
    from data.remotes import RemoteSettings

    return RemoteSettings(settings.remote, settings.offline, settings.source_timeout)


def pushed_to(settings: Settings) -> list[str]:
    """Addresses that versions of any corpus were pushed to, also before the remote changed."""
    records = settings.artifacts.glob(f"*/{STAGE}/versions/*/version.json")
    known = {str(read_json(record).get("remote", "")) for record in records} - {""}
    urls = {url if "://" in url else str(settings.home / url) for url in known}
    own = str(settings.home / "dvc-remote")
    return sorted(urls | {own} if Path(own).is_dir() else urls)


def _from_home(settings: Settings, remote: str) -> str:
    """A folder below VOICEFORGE_HOME as a path from there: that folder may be moved or copied."""
    path = Path(remote)
    if "://" in remote or not path.is_relative_to(settings.home):
        return remote
    return path.relative_to(settings.home).as_posix()


def _remotes(settings: Settings) -> str:
    """Changes when versions come to be pushed elsewhere."""
    config = settings.project / ".dvc" / "config"
    return sha256_json([settings.remote, config.read_text() if config.is_file() else ""])
