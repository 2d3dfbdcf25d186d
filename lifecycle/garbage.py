"""What of a domain's artifacts nothing needs any more."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from lifecycle import certificate
from lifecycle.artifacts import Artifact, ArtifactStore
from voiceforge.files import storage_errors
from voiceforge.settings import Settings


@dataclass(frozen=True)
class Garbage:
    """A folder that can go."""

    path: Path
    bytes: int


def unneeded(settings: Settings, domain: str, keep_runs: int) -> list[Garbage]:
    """Artifacts that are neither current, nor among the newest of their stage, nor evidence.

    Certificates are kept for good, and so is everything whose hash one of them names: the
    predictions and splits behind it, and the pages that its own leads to. The registry keeps its
    own copies of engines, adapters and reports, so that an alias needs nothing from here. Leftovers
    of killed runs go too.

    Args:
        keep_runs: newest artifacts kept of every stage.
    """
    store = ArtifactStore(settings.artifacts)
    evidence = _evidence(store, domain)
    garbage = [_garbage(path) for path in _leftovers(store.root / domain)]
    for folder in sorted((store.root / domain).glob("*/")):
        stage = folder.name
        if stage in ("current", certificate.STAGE):
            continue
        history = [item for item in store.history(domain, stage) if item.stage == stage]
        for artifact in history[: max(0, len(history) - keep_runs)]:
            if artifact.sha256 not in evidence:
                garbage.append(_garbage(artifact.path))
    return garbage


def collect(item: Garbage) -> None:
    """Remove it.

    Raises:
        StorageError: it cannot be removed.
    """
    with storage_errors(item.path):
        shutil.rmtree(item.path)


def unneeded_audio(settings: Settings, *, remove: bool) -> Garbage:
    """Decoded audio in the cache that no corpus of this project uses, as one sum.

    What an older version of a corpus shares with the cache by hard links frees nothing and stays.

    Args:
        remove: prune it, too; else only look.

    Raises:
        StorageError: it cannot be removed, or a corpus cannot be read.
    """
    from data.audio_cache import FOLDER, AudioCache
    from data.tables import UTTERANCES, load_corpus

    folder = settings.cache / FOLDER
    if not folder.is_dir():
        return Garbage(folder, 0)
    used = {
        row.audio_sha256
        for table in sorted(settings.corpora.glob(f"[!.]*/{UTTERANCES}"))
        for row in load_corpus(table.parent)
    }
    with AudioCache(folder) as cache:
        sizes = cache.prune(used) if remove else cache.unused(used)
    return Garbage(folder, sum(sizes.values()))


def _evidence(store: ArtifactStore, domain: str) -> set[str]:
    """Hashes that certificates and the current artifacts name."""
    decided = store.history(domain, certificate.STAGE)
    present: list[Artifact] = []
    for name in store.pointers(domain):
        if store.has_current(domain, name):
            present.append(store.current(domain, name))
    named = {sha256 for artifact in (*decided, *present) for sha256 in artifact.inputs.values()}
    shown = {
        sha256
        for artifact in decided
        for sha256 in artifact.summary.get(certificate.LINKED, {}).values()
    }
    return named | shown | {artifact.sha256 for artifact in present}


def _leftovers(root: Path) -> list[Path]:
    return [
        path
        for pattern in (".tmp-*", "*/.tmp-*", "*/.work-*")
        for path in sorted(root.glob(pattern))
        if path.is_dir()
    ]


def _garbage(path: Path) -> Garbage:
    size = sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
    return Garbage(path, size)
