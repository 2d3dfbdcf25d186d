"""Forgetting a speaker: out of the corpus, its caches, its old versions, and its future ones.

The tombstone is written first and every step finds by itself what is left for it, so that one that
was killed is completed by asking again. What models learned from the speaker stays in their
weights; the report says which models those are.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from lifecycle import certificate, corpus, marks
from lifecycle.artifacts import MANIFEST
from lifecycle.corpus_page import corpus_page
from lifecycle.findings import (
    Findings,
    files_that_name,
    gates_with,
    look,
    open_stores_of,
)
from lifecycle.model_registry import existing_registry
from lifecycle.previews import delete_previews
from lifecycle.traces import Traces, keep_sides, redact
from lifecycle.workspace import Workspace, domain_lock
from voiceforge.clock import moment
from voiceforge.errors import IntegrityError, StorageError, UsageError
from voiceforge.files import (
    read_json,
    remove_leftovers,
    remove_leftovers_of,
    storage_errors,
)

if TYPE_CHECKING:
    from data.forgotten import Forgotten

STEPS = (
    "tombstone", "findings", "corpus", "caches", "version", "objects", "artifacts",
    "gate set", "marks", "finished",
)  # fmt: skip
"""In order; `forget` names each before it begins."""


@dataclass(frozen=True)
class Forgetting:
    """What was done.

    Attributes:
        traces: what models learned from the speaker, with those found before a kill.
        report: the file that says so without names.
        done: a sentence for each thing that was removed or marked.
        kept: a sentence for each thing that was not, with its reason.
        problems: what has to be done again, since something could not be reached.
    """

    findings: Findings
    traces: Traces
    report: Path
    done: tuple[str, ...]
    kept: tuple[str, ...]
    problems: tuple[str, ...]


@dataclass
class _Log:
    done: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def forget(
    workspace: Workspace,
    speaker: str,
    *,
    by: str,
    why: str,
    before: Callable[[str], None] = lambda _: None,
) -> Forgetting:
    """Remove a speaker from everything that is ours, for good.

    Args:
        speaker: the exact id.
        by, why: kept in the ledger as given.
        before: called with each step's name before it begins (`STEPS`; "objects" several times,
            with the store).

    Raises:
        UsageError: nobody of that id was ever there; similar ids are named. No person or reason.
        StageError: a run of the domain is going on.
        StorageError: the disk is full or read-only.
    """
    from data.forgotten import add_findings, bury, finish, read_forgotten

    if not by.strip() or not why.strip():
        raise UsageError("A speaker is forgotten by somebody and for a reason: give both.")
    settings, name, log = workspace.settings, workspace.domain.name, _Log()
    ledgers = settings.ledgers / name
    with domain_lock(settings, name):
        remove_leftovers_of(workspace.corpus)
        remove_leftovers(workspace.store.root / name)
        findings = look(workspace, speaker)
        log.problems += findings.problems

        before("tombstone")
        bury(ledgers, speaker, at=moment(), by=by, why=why)
        before("findings")
        sounds = {row.audio_sha256 for row in findings.rows} | findings.holdings.audio_sha256
        add_findings(ledgers, speaker, audio=sounds, versions=findings.holdings.versions)
        forgotten = read_forgotten(ledgers)
        report = marks.report_file(workspace, forgotten, speaker)
        traces = findings.traces.merged(read_json(report)["traces"] if report.is_file() else {})
        marks.write_report(report, forgotten, speaker, traces)

        before("corpus")
        _leave_corpus(workspace, forgotten, findings, log)
        before("caches")
        _drop_cached(workspace, sounds, findings.copies, log)
        before("version")
        _new_version(workspace, log)
        _purge(workspace, speaker, forgotten, before, log)
        before("artifacts")
        _remove_artifacts(workspace, forgotten, traces, log)
        before("gate set")
        _new_gate(workspace, forgotten, speaker, by, log)
        before("marks")
        _mark(workspace, forgotten, speaker, traces, log)
        before("finished")
        if not log.problems:
            finish(ledgers, speaker, moment())
    return Forgetting(
        findings,
        traces,
        report,
        tuple(log.done),
        (*_kept(workspace, speaker, findings, traces), *log.notes),
        tuple(log.problems),
    )


def _leave_corpus(
    workspace: Workspace, forgotten: Forgotten, findings: Findings, log: _Log
) -> None:
    """Build the corpus folder anew without the speaker, as the next run would."""
    from data.forgetting import rebuild_without
    from data.repository import pointer_of

    folder = workspace.corpus
    if not (folder / MANIFEST).is_file():
        return
    old, version = workspace.store.load(folder), int(read_json(folder / MANIFEST)["version"])
    inputs = corpus.with_forgotten(old.inputs, forgotten)
    try:
        made = workspace.make(
            corpus.STAGE,
            version,
            inputs,
            old.parameters,
            lambda out, _: rebuild_without(folder, out, forgotten, findings.recordings),
            at=folder,
        )
    except IntegrityError as error:
        log.done.append(f"deleted {folder}, which the next run builds anew ({error})")
        _delete(folder)
        return
    if not made.summary["utterances"]:
        log.done.append(f"deleted {folder}: nobody else is heard in it")
        pointer_of(folder).unlink(missing_ok=True)
        _delete(folder)
    elif not made.reused:
        log.done.append(f"removed {len(findings.rows)} utterances from {folder}")


def _drop_cached(
    workspace: Workspace, sounds: Collection[str], copies: Collection[Path], log: _Log
) -> None:
    from data.audio_cache import drop
    from data.releases import drop_releases
    from data.sources import extracted
    from lifecycle.agreement import forget_heard

    if dropped := drop(workspace.settings.cache, sounds):
        log.done.append(f"dropped {dropped} recordings from the cache of decoded audio")
    if copied := extracted.drop(workspace.settings.cache, copies):
        log.done.append(f"deleted {copied} copies of recordings that tables of sources hold")
    if heard := forget_heard(workspace.settings.cache, sounds):
        log.done.append(f"dropped {heard} texts that the base model heard of them")
    if released := drop_releases(workspace.settings.ledgers / workspace.domain.name, sounds):
        log.done.append(f"dropped {released} releases of them from quarantine")


def _new_version(workspace: Workspace, log: _Log) -> None:
    if not workspace.store.has_current(workspace.domain.name, corpus.STAGE):
        return
    try:
        version = corpus.corpus_version(workspace)
    except StorageError as error:
        log.problems.append(str(error))
    else:
        pushed = f", pushed to {version['remote']}" if version.get("remote") else ""
        log.done.append(f"recorded corpus version {version['md5']} without them{pushed}")


def _purge(
    workspace: Workspace,
    speaker: str,
    forgotten: Forgotten,
    before: Callable[[str], None],
    log: _Log,
) -> None:
    """Delete from cache and remotes, looked through again: the new version is there now."""
    from data.purge import delete_objects, find_holdings

    with open_stores_of(workspace) as (stores, problems):
        holdings = find_holdings(stores, workspace.domain.name, speaker, forgotten)
        deleted = delete_objects(stores, holdings, lambda step: before(f"objects: {step}"))
    log.problems += [problem for problem in problems if problem not in log.problems]
    if deleted:
        log.done.append(
            f"deleted {deleted} objects of {len(holdings.versions)} old corpus versions from "
            f"{', '.join(store.name for store in stores)}; those versions cannot be restored"
        )


def _remove_artifacts(
    workspace: Workspace, forgotten: Forgotten, traces: Traces, log: _Log
) -> None:
    keep_sides(workspace, forgotten)
    root = workspace.store.root / workspace.domain.name
    unfinished = sorted(root.glob("*/.work-*"))
    # Pages with clips to hear, and with names.
    previews, problems = delete_previews(workspace)
    log.done += [f"deleted the preview {path}" for path in previews]
    log.problems += problems
    page = corpus_page(workspace).parent
    for path in [*(root / name for name in traces.remove), *unfinished, page]:
        if path.is_dir():
            log.done.append(f"deleted {path}")
            _delete(path)


def _new_gate(workspace: Workspace, forgotten: Forgotten, speaker: str, by: str, log: _Log) -> None:
    """A version of the frozen gate set without the speaker, where one has them under any name."""
    from lifecycle.gate import drop_from_gate
    from lifecycle.ledgers import read_gates

    reason = "A speaker of it asked to be forgotten."
    members = [member for gate in read_gates(workspace)[-1:] for member in gate.members]
    audio = {one.audio_sha256 for one in members if forgotten.holds_audio(one.audio_sha256)}
    try:
        gate = drop_from_gate(workspace, [speaker], audio=audio, by=by, reason=reason)
    except UsageError as error:
        log.notes.append(f"The gate set still names them, by hashes: {error}")
    else:
        if gate is not None:
            log.done.append(
                f"froze gate-{gate.version} without them: {len(gate.members)} recordings. Older "
                "versions stay with ids and hashes, since what they hold must not train"
            )


def _mark(
    workspace: Workspace, forgotten: Forgotten, speaker: str, traces: Traces, log: _Log
) -> None:
    """Tags on model versions, `marks.json` beside certificates."""
    registry, name = existing_registry(workspace.settings), workspace.domain.name
    report, stone = (
        marks.report_file(workspace, forgotten, speaker).stem,
        forgotten.tombstone(speaker),
    )
    tags = {(version, marks.TRAINED_TAG) for version in traces.versions}
    gates = gates_with(workspace, speaker, forgotten)
    for decided in workspace.store.history(name, certificate.STAGE):
        test_set = str(decided.summary.get("test_set", ""))
        if test_set in gates or traces.certificates.get(decided.key) == "tested":
            at, gate = stone.at if stone else "", gates.get(test_set, "")
            marks.mark_certificate(decided.path, report, at=at, gate=gate)
            tags.add((str(decided.summary["version"]), marks.TESTED_TAG))
            log.done.append(f"marked {decided.path}: its held-out set had their recordings")
    if registry is not None:
        present = {entry.version for entry in registry.versions(name)}
        for version, tag in sorted(tags):
            if version in present:
                marks.mark_version(registry, name, version, report, tag)
                log.done.append(f"tagged model version {version} {tag}")
        if redacted := redact(registry, name, speaker):
            log.done.append(f"took their words out of {redacted} reports in the registry")


def _kept(workspace: Workspace, speaker: str, findings: Findings, traces: Traces) -> Iterator[str]:
    """What stays, and why."""
    if findings.holdings.shared:
        yield (
            f"{findings.holdings.shared} audio files in DVC's cache and remotes: another corpus of "
            "this project needs them. Forget the speaker there, too."
        )
    if traces.adapters or traces.versions:
        yield (
            "Weights: adapters, merged models and engines hold no recordings and no words, though "
            "they learned from them. Train anew with `voiceforge run`, and delete old versions in "
            "MLflow if their use must end."
        )
    for path in files_that_name(workspace, speaker):
        yield f"{path} names the speaker: it is evidence or a log, and is not changed."
    yield from findings.notes


def _delete(folder: Path) -> None:
    """Under another name first, so that no half of a folder is taken for a whole."""
    with storage_errors(folder):
        gone = folder.with_name(f".tmp-{folder.name}-00000000")
        shutil.rmtree(gone, ignore_errors=True)
        folder.rename(gone)
        shutil.rmtree(gone)
