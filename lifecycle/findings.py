"""Where a speaker is: the corpus, its sources, DVC's cache and remotes, artifacts and models."""

from __future__ import annotations

import difflib
import mmap
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import filelock

from lifecycle import corpus
from lifecycle.corpus_page import corpus_page
from lifecycle.gate import GateChange, gate_without
from lifecycle.model_registry import existing_registry
from lifecycle.previews import Previews, find_previews
from lifecycle.traces import Traces, find_traces
from lifecycle.workspace import Workspace
from voiceforge.errors import IntegrityError, UsageError, VoiceForgeError
from voiceforge.params import HuggingFaceSource

if TYPE_CHECKING:
    from data.forgotten import Forgotten
    from data.purge import Holdings, Store
    from data.utterance import Utterance

_LARGEST = 1 << 30
"""Bytes; larger files than this are weights."""


@dataclass(frozen=True)
class Findings:
    """Everything that holds a speaker, as it was found.

    Attributes:
        rows: utterances of the corpus as it lies, with those of the same audio under other names.
        others: how many of them other speakers have.
        recordings: (id, source) of what sources hold of the speaker, refused rows included.
        files: the user's own files among them, which are not ours to delete.
        copies: copies in the cache of audio that tables hold.
        stores: DVC's cache and remotes that answered, by path or address.
        holdings: objects in them.
        traces: artifacts and models.
        previews: folders with clips to hear, to be deleted.
        page: the folder of the corpus's page, likewise; None where there is none.
        gate: what becomes of the gate set; None where they are not in it.
        notes: what a person should know, a sentence each.
        problems: remotes that could not be asked, a sentence each.
    """

    rows: tuple[Utterance, ...]
    others: int
    recordings: tuple[tuple[str, str], ...]
    files: tuple[Path, ...]
    copies: tuple[Path, ...]
    stores: tuple[str, ...]
    holdings: Holdings
    traces: Traces
    previews: Previews
    page: Path | None
    gate: GateChange | None
    notes: tuple[str, ...]
    problems: tuple[str, ...]

    def __bool__(self) -> bool:
        held = self.holdings.versions or self.holdings.audio
        return bool(self.rows or self.recordings or held or self.traces)


def look(workspace: Workspace, speaker: str) -> Findings:
    """Find what holds a speaker, and change nothing.

    Raises:
        UsageError: nobody of that id was ever there; similar ids are named.
    """
    findings = _find(workspace, speaker)
    _check_known(workspace, speaker, findings)
    return findings


def _find(workspace: Workspace, speaker: str) -> Findings:
    from data.forgetting import forgotten_rows
    from data.forgotten import read_forgotten
    from data.purge import find_holdings

    name = workspace.domain.name
    forgotten = read_forgotten(workspace.settings.ledgers / name)
    rows = _corpus_rows(workspace)
    with open_stores_of(workspace) as (stores, problems):
        holdings = find_holdings(stores, name, speaker, forgotten)
    sounds = {row.audio_sha256 for row in rows if row.speaker == speaker} | holdings.audio_sha256
    forgotten = forgotten.and_also(speaker, sounds)
    theirs = forgotten_rows(rows, forgotten)
    planned = _look_in_sources(workspace, speaker, forgotten)
    ids = {*(identity for identity, _ in planned.rows), *(row.id for row in theirs)}
    page = corpus_page(workspace).parent
    registry, previews = existing_registry(workspace.settings), find_previews(workspace)
    return Findings(
        rows=tuple(theirs),
        others=sum(row.speaker != speaker and row.audio_sha256 in sounds for row in theirs),
        recordings=tuple(planned.rows),
        files=tuple(sorted(planned.files)),
        copies=tuple(sorted(planned.copies)),
        stores=tuple(store.name for store in stores),
        holdings=holdings,
        traces=find_traces(workspace, registry, speaker, forgotten, ids, holdings.versions),
        previews=previews,
        page=page if page.is_dir() else None,
        gate=gate_without(workspace, speaker, forgotten),
        notes=(*planned.notes, *map(_unreachable, previews.unreachable)),
        problems=tuple(problems),
    )


def _unreachable(preview: Path) -> str:
    return (
        f"{preview} held a preview with clips of the corpus and cannot be reached now. Run the "
        "same command again when its disk is there."
    )


def _check_known(workspace: Workspace, speaker: str, findings: Findings) -> None:
    from data.forgotten import read_forgotten

    forgotten = read_forgotten(workspace.settings.ledgers / workspace.domain.name)
    if findings or forgotten.holds_speaker(speaker):
        return
    names = sorted({row.speaker for row in _corpus_rows(workspace)})
    near = difflib.get_close_matches(speaker, names, n=3, cutoff=0.5)
    near += [name for name in names if speaker.casefold() in name.casefold() and name not in near]
    advice = f"Similar are: {', '.join(near[:5])}." if near else "None is similar."
    raise UsageError(
        f"The corpus {workspace.domain.name} has no speaker {speaker!r}, and no source, version or "
        f"model of it either. {advice} `voiceforge corpus show {workspace.domain.name}` lists all "
        f"{len(names)}."
    )


def _corpus_rows(workspace: Workspace) -> list[Utterance]:
    from data.tables import UTTERANCES, load_corpus

    if not (workspace.corpus / UTTERANCES).is_file():
        return []
    try:
        return load_corpus(workspace.corpus)
    except IntegrityError:  # of another version of VoiceForge: `_leave_corpus` deletes it
        return []


@dataclass
class _Planned:
    """What sources hold of a speaker, as in `Findings`."""

    rows: list[tuple[str, str]] = field(default_factory=list)
    files: set[Path] = field(default_factory=set)
    copies: set[Path] = field(default_factory=set)
    notes: list[str] = field(default_factory=list)


def _look_in_sources(workspace: Workspace, speaker: str, forgotten: Forgotten) -> _Planned:
    """Plan the sources without writing anything of the speaker."""
    from data.sources import open_sources
    from data.sources.extracted import extracted

    settings, found = workspace.settings, _Planned()
    reach = corpus.reach_of(settings, forgotten)
    try:
        sources = open_sources(workspace.domain, settings.project)
        for params, source in zip(workspace.domain.sources, sources, strict=True):
            plan = source.plan(reach)
            rows = [(one.id, one.source) for one in plan.recordings if one.speaker == speaker]
            rows += [
                (one.reject.id, one.reject.source) for one in plan.refused if one.speaker == speaker
            ]
            paths = set(filter(_is_there, plan.files_of(lambda who: who == speaker)))
            copies = {path for path in paths if path.is_relative_to(extracted(settings.cache))}
            fetched = {path for path in paths - copies if path.is_relative_to(settings.cache)}
            found.rows += rows
            found.files |= paths - copies - fetched
            found.copies |= copies
            hub = isinstance(params, HuggingFaceSource) and params.dataset is not None
            if rows and (fetched or hub):
                found.notes.append(
                    f"{rows[0][1]} stays in {settings.cache} as it was published, their recordings "
                    "included: it would be fetched again. If it must go, take the source out of "
                    "params.yaml and delete it there."
                )
    except VoiceForgeError as error:
        found.notes.append(
            "A source could not be read, so that its files are not listed, and rows of the speaker "
            "that were in quarantine for another reason and copies of embedded audio are still "
            f"there. Run the same command again when it can be read: {error}"
        )
    return found


def _is_there(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a refused row may name what no file system takes
        return False


@contextmanager
def open_stores_of(workspace: Workspace) -> Iterator[tuple[list[Store], list[str]]]:
    """DVC's cache and remotes, and a sentence for each remote that could not be asked."""
    from data.purge import open_stores
    from data.repository import open_repository

    settings = workspace.settings
    if not (settings.project / ".dvc").is_dir():
        yield [], []
        return
    remote = corpus.remote_settings(settings)
    # DVC refuses a second process in the same repository: domains take turns.
    with (
        filelock.FileLock(settings.locks / "dvc.lock"),
        open_repository(settings.project, remote) as repo,
    ):
        yield open_stores(repo, remote, corpus.pushed_to(settings))


def gates_with(workspace: Workspace, speaker: str, forgotten: Forgotten) -> dict[str, str]:
    """Gate sets that hold a speaker, under any name: identity -> the newest version, which replaces
    it.

    The newest itself, where it holds them, is replaced by "".
    """
    from data.ledger import speaker_id
    from lifecycle.ledgers import read_gates

    gates, who = read_gates(workspace), speaker_id(speaker)
    stone = forgotten.tombstone(speaker)
    sounds = set(stone.audio) if stone else set()
    holding = [
        gate
        for gate in gates
        if any(
            member.speaker == who or forgotten.audio_hash(member.audio_sha256) in sounds
            for member in gate.members
        )
    ]
    newest = "" if not gates or gates[-1] in holding else f"gate-{gates[-1].version}"
    return {gate.identity: newest for gate in holding}


def files_that_name(workspace: Workspace, speaker: str) -> Iterator[Path]:
    """Files of a domain, its logs and its databases in which a speaker's id stands as a word.

    Compressed tables are not read: those that hold the speaker were deleted.
    """
    settings, name = workspace.settings, workspace.domain.name
    places = (
        workspace.store.root / name,
        settings.project / "results" / name,
        settings.ledgers / name,
        settings.mlflow_artifacts / name,
        settings.mlflow_database.parent,
        settings.dagster_home,
        settings.home / "logs",
    )
    word = re.compile(rb"(?<![\w-])" + re.escape(speaker.encode()) + rb"(?![\w-])")
    seen: set[Path] = set()
    for place in places:
        for path in sorted(place.rglob("*")) if place.is_dir() else ():
            if path in seen or path.is_symlink() or not path.is_file():
                continue
            seen.add(path)
            if 0 < path.stat().st_size < _LARGEST and _holds(path, word):
                yield path


def _holds(path: Path, word: re.Pattern[bytes]) -> bool:
    with (
        path.open("rb") as stream,
        mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as bytes_,
    ):
        return word.search(bytes_) is not None
