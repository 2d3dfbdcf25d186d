"""Stage splits: which utterance trains, which tunes, which decides.

The split ledger is extended first and the artifact rests on it, so that a run that changes nothing
finds both as they are.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lifecycle import validation
from lifecycle.artifacts import Artifact
from lifecycle.ledgers import ledger_path, read_gates, read_ledger, same_text
from lifecycle.workspace import Workspace
from voiceforge.errors import StageError
from voiceforge.files import sha256_file
from voiceforge.params import DomainParams, EspeakSource, ReadingsSource, TermsSource

if TYPE_CHECKING:
    from data.columns import ArrowTable
    from data.gate import Gate
    from data.ledger import Ledger
    from data.utterance import Utterance

STAGE = "splits"
VERSION = 3
TABLE = "utterances.parquet"


@dataclass(frozen=True, slots=True)
class Assigned:
    """The corpus with splits as texts, speakers and the ledger have them; no gate looked at."""

    table: ArrowTable
    ledger: Ledger


def make_splits(workspace: Workspace) -> Artifact:
    """Assign every utterance that validation let in to a split.

    Raises:
        UsageError: params.yaml contradicts the split ledger.
        IntegrityError: the ledger or a gate set is damaged.
        StageError: the ledger or a gate set that earlier splits rest on is gone; validation is of
            another version of the corpus, or lost more than `quarantine_limit`.
    """
    from data.columns import column, with_splits
    from data.gate import seal
    from data.ledger import write_ledger
    from data.split_summary import split_summary
    from data.tables import write_utterance_table
    from evaluation.text import normaliser_identity

    source = validation.current_validation(workspace)
    # The ledger never forgets: what is blocked must not get into it.
    few, sentence, _ = validation.quarantine_verdict(workspace)
    if not few:
        raise StageError(f"{workspace.domain.name}: {sentence} {validation.QUARANTINE_ADVICE}")
    gates = read_gates(workspace)
    gate = gates[-1] if gates else None
    path = ledger_path(workspace)
    _check_lost(workspace, path, gates)
    parameters = {
        **workspace.domain.splits.model_dump(mode="json"),
        "language": workspace.domain.language,
        "declared": declared_speakers(workspace.domain),
    }

    def inputs() -> dict[str, str]:
        known = {source.stage: source.sha256, "normaliser": normaliser}
        if path.is_file():
            known["ledger"] = sha256_file(path)
        if gate is not None:
            known["gate"] = gate.sha256
        return known

    normaliser = normaliser_identity(workspace.domain.evaluation.normaliser)["sha256"]
    assigned = cache(lambda: assign_corpus(workspace))

    def build(folder: Path, _: Path) -> Mapping[str, Any]:
        table, ledger = assigned().table, assigned().ledger
        summary: dict[str, Any] = {}
        if gate is not None:
            sealed = seal(table, column(table, "split"), gate)
            table = with_splits(table, sealed.splits)
            summary["gate"] = {
                "version": gate.version,
                "sha256": gate.sha256,
                "identity": gate.identity,
                "test_set": gate.test_set,
                "members": len(gate.members),
                "waiting": sealed.waiting,
            }
        write_utterance_table(folder / TABLE, table)
        summary["ledger"] = {
            "sha256": sha256_file(path),
            "texts": len(ledger.texts),
            "speakers": len(ledger.speakers),
            "recordings": len(ledger.audio),
        }
        return {**split_summary(table), **summary}

    if not workspace.store.holds(workspace.question(STAGE, VERSION, inputs(), parameters)):
        workspace.report(STAGE, 0, 0, "extending the split ledger")
        before = read_ledger(workspace)
        if before != assigned().ledger:
            write_ledger(path, assigned().ledger)
    return workspace.make(STAGE, VERSION, inputs(), parameters, build)


def assign_corpus(workspace: Workspace) -> Assigned:
    """Assign the corpus by texts, speakers and the ledger; nothing is written, no gate applied.

    Raises:
        UsageError, IntegrityError: as `make_splits`.
    """
    from data.columns import with_splits
    from data.splits import assign
    from data.tables import read_utterance_table

    table = read_utterance_table(workspace.current(validation.STAGE).path / validation.TABLE)
    made = assign(
        table,
        workspace.domain.splits,
        declared_speakers(workspace.domain),
        same_text(workspace),
        read_ledger(workspace),
    )
    return Assigned(with_splits(table, made.splits), made.ledger)


def read_splits(workspace: Workspace) -> list[Utterance]:
    """The corpus's utterances with their splits."""
    from data.tables import read_utterances

    return read_utterances(workspace.current(STAGE).path / TABLE)


def read_split_table(workspace: Workspace) -> ArrowTable:
    """The same as an Arrow table."""
    from data.tables import read_utterance_table

    return read_utterance_table(workspace.current(STAGE).path / TABLE)


def split_problems(workspace: Workspace) -> list[str]:
    """What is wrong with the splits, empty when nothing is: leaks and empty splits."""
    return problems_of(workspace, read_split_table(workspace))


def problems_of(workspace: Workspace, table: ArrowTable) -> list[str]:
    """The same of a corpus whose splits are not an artifact."""
    from data.splits import check_splits

    return check_splits(
        table,
        workspace.domain.splits,
        declared_speakers(workspace.domain),
        same_text(workspace),
        read_ledger(workspace),
    )


def _check_lost(workspace: Workspace, path: Path, gates: tuple[Gate, ...]) -> None:
    """Refuse to go on without what the last splits rested on: it would move utterances unseen."""
    if not workspace.store.has_current(workspace.domain.name, STAGE):
        return
    last = workspace.current(STAGE)
    frozen = last.summary.get("gate", {}).get("version", 0)
    if frozen > len(gates):
        raise StageError(
            f"{workspace.ledgers / 'gates'} has lost gate-{frozen}.json, on which the last splits "
            "rest. Restore it from git: a frozen gate set is never thawed."
        )
    same_seed = last.parameters.get("seed") == workspace.domain.splits.seed
    if "ledger" in last.summary and same_seed and not path.is_file():
        raise StageError(
            f"The split ledger {path} is missing, and the last splits rest on it (sha256 "
            f"{last.summary['ledger']['sha256'][:12]}). Restore it from git: without it "
            "utterances could move into test that models have trained on. To draw the splits anew "
            "on purpose, choose another splits.seed as well."
        )


def declared_speakers(domain: DomainParams) -> dict[str, Any]:
    """The voices whose split params.yaml names, and the people of readings, who only test."""
    from data.sources.espeak import speaker_id
    from data.sources.readings import held_out_speakers
    from data.sources.terms import speaker_splits_of

    declared: dict[str, Any] = {
        speaker: "test"
        for source in domain.sources
        if isinstance(source, ReadingsSource)
        for speaker in held_out_speakers(source)
    }
    declared |= {
        speaker_id(accent, voice): split
        for source in domain.sources
        if isinstance(source, EspeakSource)
        for accent in source.accents
        for split in ("train", "dev", "test")
        for voice in getattr(source.voices, split)
    }
    for source in domain.sources:
        if isinstance(source, TermsSource):
            declared |= speaker_splits_of(source)
    return declared
