"""Freezing a domain's gate set, and what stops a run that would break it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lifecycle import splits
from lifecycle.ledgers import read_gates, same_text
from lifecycle.workspace import Workspace, domain_lock
from voiceforge.clock import moment
from voiceforge.errors import StageError, UsageError

if TYPE_CHECKING:
    from data.forgotten import Forgotten
    from data.gate import Gate


def freeze(workspace: Workspace, *, by: str, reason: str, new_version: bool = False) -> Gate:
    """Freeze the test split of the domain's corpus as its gate set; the next run rests on it.

    A new version takes in what waits in test cells and lets go of what is no longer in the corpus;
    older versions stay, and nothing of them may be trained on either.

    Args:
        by: who freezes it.
        reason: why.
        new_version: needed where a gate set is frozen already.

    Raises:
        UsageError: one is frozen already, or nothing would change; no person or no reason.
        StageError: the domain has no corpus yet, or its splits leak.
    """
    from data.gate import leaks, new_gate
    from data.gate_files import write_gate

    with domain_lock(workspace.settings, workspace.domain.name):
        gates = read_gates(workspace)
        previous = gates[-1] if gates else None
        if previous is not None and not new_version:
            raise UsageError(
                f"The gate set of {workspace.domain.name} is frozen: gate-{previous.version}, by "
                f"{previous.frozen_by} at {previous.frozen_at}. It does not change. Ask for a new "
                "version, with a reason, where it has to."
            )
        if previous is None and new_version:
            raise UsageError(
                f"{workspace.domain.name} has no frozen gate set yet that a new version could "
                "follow. Freeze the first one."
            )
        splits.make_splits(workspace)
        table = splits.assign_corpus(workspace).table
        same = same_text(workspace)
        problems = [*splits.problems_of(workspace, table), *leaks(table, gates, same)]
        if problems:
            raise StageError(
                f"The splits of {workspace.domain.name} cannot be frozen: {' '.join(problems[:5])}"
            )
        gate = new_gate(
            table,
            name=workspace.domain.name,
            same=same,
            previous=previous,
            frozen_at=moment(),
            frozen_by=by,
            reason=reason,
        )
        write_gate(workspace.ledgers, gate)
    return gate


@dataclass(frozen=True, slots=True)
class GateChange:
    """What dropping a speaker does to a gate set.

    Attributes:
        version: the number of the version that would be frozen.
        before, after: recordings in the newest version and in that one; where `after` is 0 none can
            be frozen.
    """

    version: int
    before: int
    after: int


def gate_without(workspace: Workspace, speaker: str, forgotten: Forgotten) -> GateChange | None:
    """What `drop_from_gate` would do, None where the newest version does not hold the speaker.

    Args:
        forgotten: with the speaker, so that their audio is known under any name.
    """
    from data.ledger import speaker_id

    gates, who = read_gates(workspace), speaker_id(speaker)
    if not gates:
        return None
    newest = gates[-1]
    after = sum(
        member.speaker != who and not forgotten.holds_audio(member.audio_sha256)
        for member in newest.members
    )
    before = len(newest.members)
    return GateChange(newest.version + 1, before, after) if after < before else None


def drop_from_gate(
    workspace: Workspace,
    speakers: Collection[str],
    *,
    by: str,
    reason: str,
    audio: Collection[str] = (),
) -> Gate | None:
    """Make a new version without some speakers, by name, and without their audio, by sha256, under
    any name; None where the latest has none of them.

    The older versions stay with their hashed entries, since what they hold must not train either.

    Raises:
        UsageError: the gate set would be empty; no person or no reason.
    """
    from data.gate import without_speakers
    from data.gate_files import write_gate
    from data.ledger import speaker_id

    with domain_lock(workspace.settings, workspace.domain.name):
        gates = read_gates(workspace)
        if not gates:
            return None
        keys = {speaker_id(name) for name in speakers}
        gate = without_speakers(
            gates[-1], keys, audio=audio, frozen_at=moment(), frozen_by=by, reason=reason
        )
        if gate is not None:
            write_gate(workspace.ledgers, gate)
    return gate


def sealing_problems(workspace: Workspace) -> list[str]:
    """What is wrong with the gate set, empty when nothing is or none is frozen.

    The test split has to be exactly the newest version, and nothing of any may be in train or dev.
    """
    from data.gate import gate_problems, leaks

    gates = read_gates(workspace)
    if not gates:
        return []
    table = splits.read_split_table(workspace)
    problems = gate_problems(table, gates[-1])
    return [*problems, *leaks(table, gates, same_text(workspace))]
