"""Releasing utterances from quarantine: what a person may let in, and what would do harm."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

from data.releases import Release
from lifecycle import corpus
from lifecycle.artifacts import Artifact
from lifecycle.ledgers import read_gates, read_ledger
from lifecycle.validation import QUARANTINE, TABLE, current_validation, near_pairs_of
from lifecycle.workspace import Workspace
from voiceforge.errors import UsageError

if TYPE_CHECKING:
    from data.precedence import Rank
    from data.utterance import Utterance

_ALIKE = {"near-duplicate-audio": "almost the same", "contradicting-texts": "the same"}
"""Reasons that name another utterance, and how much of its audio is that one's."""


def release_utterance(workspace: Workspace, name: str, code: str, why: str, who: str) -> Release:
    """Let an utterance out of quarantine; see `release_utterances`."""
    return release_utterances(workspace, [(name, code)], why, who)[0]


def release_utterances(
    workspace: Workspace, chosen: Sequence[tuple[str, str]], why: str, who: str
) -> list[Release]:
    """Let utterances of the current validation out of quarantine from the next one on.

    Args:
        chosen: ids, each with the reason code to release it from.
        why, who: neither may be blank.

    Raises:
        UsageError: one is not in quarantine for that reason or is released already, there is no
            audio of it, or no one may release from that reason; it is nearly what is held out; or
            one audio would be released with two texts. Then none is released.
        StageError: the domain has not been validated, or another version of its corpus.
    """
    from data.releases import read_releases, release
    from data.tables import read_rejects, read_utterances

    made = current_validation(workspace)
    codes: dict[str, set[str]] = {}
    for one in read_rejects(made.path / QUARANTINE):
        codes.setdefault(one.id, set()).add(one.reason)
    rows = {one.id: one for one in read_utterances(workspace.current(corpus.STAGE).path / TABLE)}
    releases, held_out = read_releases(workspace.ledgers), _HeldOut(workspace, made)
    for name, code in chosen:
        case = name, code
        _refuse_release(held_out, releases, codes.get(name, set()), rows.get(name), case)
        _refuse_two_texts(rows, (name, code), chosen, releases)
        if any((one.id, one.reason) == (name, code) for one in _holding(releases, rows[name])):
            raise UsageError(
                f"{name} is released from {code!r} already; `voiceforge corpus validate "
                f"{workspace.domain.name}` lets it in."
            )
    return [
        release(
            workspace.ledgers,
            id=name,
            audio_sha256=rows[name].audio_sha256,
            text=rows[name].text,
            code=code,
            why=why,
            who=who,
        )
        for name, code in chosen
    ]


def _refuse_release(
    held_out: _HeldOut,
    releases: Sequence[Release],
    codes: Collection[str],
    row: Utterance | None,
    case: tuple[str, str],
) -> None:
    """Raise a UsageError where an utterance, in quarantine for `codes`, cannot be released."""
    from data.reasons import reason

    name, code = case
    if code not in codes:
        if any((one.id, one.reason) == case for one in releases):
            raise UsageError(f"{name} is released from {code!r} already.")
        known = f"It is there for: {', '.join(sorted(codes))}." if codes else ""
        raise UsageError(
            f"{name} is not in quarantine for {code!r}. {known or 'It is not there at all.'}"
        )
    if row is None:
        raise UsageError(
            f"{name} cannot be released from {code!r}: no audio of it could be decoded, so there "
            "is nothing to let in. Mend the recording."
        )
    if not (known_code := reason(code)).releasable:
        raise UsageError(
            f"{name} cannot be released from {code!r}. {known_code.sentence} {known_code.advice}"
        )
    if held := held_out.like(row, code):
        raise UsageError(
            f"{name} cannot be released from {code!r}: {held} has {_ALIKE[code]} audio and is held "
            "out for dev, test or a gate set, which would then be trained on. Leave it out, or "
            f"take {held} out of its source and freeze a new version of the gate set."
        )


def _refuse_two_texts(
    rows: Mapping[str, Utterance],
    case: tuple[str, str],
    chosen: Sequence[tuple[str, str]],
    releases: Sequence[Release],
) -> None:
    """Raise a UsageError where one audio would be released with two texts: neither would count."""
    from data.splits import text_key

    name, code = case
    if code != "contradicting-texts":
        return
    row = rows[name]
    for other in rows.values():
        if other.audio_sha256 != row.audio_sha256 or text_key(other.text) == text_key(row.text):
            continue
        if (other.id, code) in chosen:
            raise UsageError(
                f"{name} and {other.id} cannot both be released from {code!r}: they are one "
                "recording with two texts, of which at most one is right. Release that one. "
                "Nothing was released."
            )
        if any((one.id, one.reason) == (other.id, code) for one in _holding(releases, other)):
            raise UsageError(
                f"{name} cannot be released from {code!r}: {other.id} is the same recording with "
                "another text and is released already, and at most one is right. If that was "
                f"wrong, withdraw it first: `voiceforge corpus release {row.domain} {other.id} "
                "--withdraw --why ...`."
            )


def _holding(releases: Sequence[Release], row: Utterance) -> list[Release]:
    return [one for one in releases if one.id == row.id and one.holds(row.audio_sha256, row.text)]


class _HeldOut:
    """What was accepted and is held out; read once, when it is first asked for."""

    def __init__(self, workspace: Workspace, made: Artifact) -> None:
        self._workspace, self._made = workspace, made

    def like(self, row: Utterance, code: str) -> str:
        """The id of what a release would bring into training though it is held out; "" for none."""
        from data.precedence import DEV, MEMBER

        if code not in _ALIKE:
            return ""
        if code == "contradicting-texts":
            # One of two texts may be the right one, but those of a gate set are settled.
            alike = [one for one in self._accepted if one.audio_sha256 == row.audio_sha256]
            last = MEMBER
        else:
            near = self._near(row)
            alike, last = [one for one in self._accepted if one.id in near], DEV
        held = [one.id for one in alike if self._rank(one.id, one.audio_sha256, one.text) <= last]
        return min(held, default="")

    def _near(self, row: Utterance) -> set[str]:
        ids = [row.id, *(one.id for one in self._accepted if not one.is_synthetic)]
        least = self._workspace.domain.validation.near_duplicates
        pairs = near_pairs_of(self._workspace.corpus, ids, least)
        return {name for pair in pairs if row.id in pair for name in pair}

    @cached_property
    def _accepted(self) -> list[Utterance]:
        from data.tables import read_utterances

        return read_utterances(self._made.path / TABLE)

    @cached_property
    def _rank(self) -> Rank:
        from data.precedence import precedence

        return precedence(read_ledger(self._workspace), read_gates(self._workspace))
