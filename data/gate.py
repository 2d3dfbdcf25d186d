"""The gate set: the test utterances that certificates rest on, frozen once, by hash.

Pure. While a gate is frozen the test split is exactly its members: what else falls into test waits,
left out, for the next version. Nothing that any version holds may be trained on.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from data.columns import Corpus, column
from data.ledger import speaker_id, text_id
from data.split_hash import text_key
from data.utterance import Split
from voiceforge.errors import UsageError
from voiceforge.files import sha256_json

SCHEMA = 1
_SHOWN = 3
"""Examples of one problem; the sentence says how many there are."""


@dataclass(frozen=True, slots=True, order=True)
class Member:
    """An utterance of a gate set.

    Attributes:
        id, audio_sha256: the utterance's.
        text: key of its own letters and digits, `data.ledger.text_id` of `text_key`.
        group: key of its text group, under the normaliser of the day.
        speaker: key of its speaker.
    """

    id: str
    audio_sha256: str
    text: str
    group: str
    speaker: str


@dataclass(frozen=True, slots=True)
class Gate:
    """One version of a corpus's gate set.

    Attributes:
        corpus: its name.
        version: from 1.
        members: sorted by id.
        test_set: hash of what was held out when it was frozen, as certificates name a test set
            without a gate; "" where it was made from an earlier version.
        frozen_at: ISO 8601, UTC.
        frozen_by, reason: who froze it, and why.
        supersedes: `sha256` of the version before; "" for the first.
    """

    corpus: str
    version: int
    members: tuple[Member, ...]
    test_set: str
    frozen_at: str
    frozen_by: str
    reason: str
    supersedes: str

    def as_dict(self) -> dict[str, Any]:
        return {"schema": SCHEMA, **asdict(self)}

    @property
    def sha256(self) -> str:
        """Hash of everything in it."""
        return sha256_json(self.as_dict())

    @property
    def identity(self) -> str:
        """What a certificate calls the test set: version and hash."""
        return f"gate-{self.version} {self.sha256}"


@dataclass(frozen=True, slots=True)
class Sealed:
    """Splits under a gate: `waiting` utterances fall into test and are not among its members."""

    splits: list[Split]
    waiting: int


def held_out_sha256(corpus: Corpus) -> str:
    """Hash of what is held out: ids, texts and audio of the test split."""
    rows = zip(
        *(column(corpus, name) for name in ("split", "id", "text", "audio_sha256")), strict=True
    )
    return sha256_json(sorted(row[1:] for row in rows if row[0] == "test"))


def new_gate(
    corpus: Corpus,
    *,
    name: str,
    same: Callable[[str], str],
    previous: Gate | None,
    frozen_at: str,
    frozen_by: str,
    reason: str,
) -> Gate:
    """Freeze the test split of a corpus, whose splits were assigned without a gate.

    Args:
        same: texts for which it gives the same are one text.
        previous: the version that this one supersedes.

    Raises:
        UsageError: nothing is in test, or `previous` holds exactly that; no person or no reason.
    """
    splits = column(corpus, "split")
    rows = zip(
        *(column(corpus, key) for key in ("id", "audio_sha256", "text", "speaker")), strict=True
    )
    members = tuple(
        sorted(
            Member(row, audio, text_id(text_key(text)), text_id(same(text)), speaker_id(speaker))
            for (row, audio, text, speaker), split in zip(rows, splits, strict=True)
            if split == "test"
        )
    )
    if not members:
        raise UsageError(f"Nothing of {name} is in test, so there is no gate set to freeze.")
    if previous is not None and previous.members == members:
        raise UsageError(
            f"The test split of {name} is exactly gate-{previous.version}: a new version would "
            "hold the same."
        )
    return _gate(name, members, held_out_sha256(corpus), previous, frozen_at, frozen_by, reason)


def without_speakers(
    gate: Gate,
    speakers: Collection[str],
    *,
    audio: Collection[str] = (),
    frozen_at: str,
    frozen_by: str,
    reason: str,
) -> Gate | None:
    """The next version, without some speakers; None where they are not in this one.

    Args:
        speakers: by `data.ledger.speaker_id`.
        audio: sha256 of what they said, which may be there under other names.

    Raises:
        UsageError: nothing would be left; no person or no reason.
    """
    members = tuple(
        member
        for member in gate.members
        if member.speaker not in speakers and member.audio_sha256 not in audio
    )
    if members == gate.members:
        return None
    if not members:
        raise UsageError(
            f"Nobody else is in gate-{gate.version} of {gate.corpus}: without these speakers it "
            "would be empty. Freeze a new version with other people's recordings first."
        )
    return _gate(gate.corpus, members, "", gate, frozen_at, frozen_by, reason)


def _gate(
    name: str,
    members: tuple[Member, ...],
    test_set: str,
    previous: Gate | None,
    frozen_at: str,
    frozen_by: str,
    reason: str,
) -> Gate:
    if not frozen_by.strip() or not reason.strip():
        raise UsageError("A gate set is frozen by somebody and for a reason: give both.")
    return Gate(
        name,
        previous.version + 1 if previous else 1,
        members,
        test_set,
        frozen_at,
        frozen_by.strip(),
        reason.strip(),
        previous.sha256 if previous else "",
    )


def seal(corpus: Corpus, splits: Sequence[Split], gate: Gate) -> Sealed:
    """Reduce test to the members of a gate.

    Args:
        corpus: its own splits are ignored.
        splits: as assigned without a gate, in the corpus's order.
    """
    members = {(member.id, member.audio_sha256, member.text) for member in gate.members}
    sealed = list(splits)
    rows = zip(*(column(corpus, key) for key in ("id", "audio_sha256", "text")), strict=True)
    for at, (name, audio, text) in enumerate(rows):
        if sealed[at] == "test" and (name, audio, text_id(text_key(text))) not in members:
            sealed[at] = "left-out"
    return Sealed(sealed, splits.count("test") - sealed.count("test"))


def gate_problems(corpus: Corpus, gate: Gate) -> list[str]:
    """Why the test split is not the gate set, a sentence a kind of problem; empty when it is."""
    rows = {
        name: (audio, text, split)
        for name, audio, text, split in zip(
            *(column(corpus, key) for key in ("id", "audio_sha256", "text", "split")), strict=True
        )
    }
    found: dict[str, list[str]] = {}
    for member in gate.members:
        audio, text, split = rows.get(member.id, ("", "", ""))
        if member.id not in rows:
            problem = "missing from the corpus"
        elif audio != member.audio_sha256:
            problem = "of other audio than was frozen"
        elif text_id(text_key(text)) != member.text:
            problem = "of another text than was frozen"
        elif split != "test":
            problem = "not in test, since the split ledger has its text or speaker elsewhere"
        else:
            continue
        found.setdefault(problem, []).append(member.id)
    known = {member.id for member in gate.members}
    if strange := [name for name, row in rows.items() if row[2] == "test" and name not in known]:
        found["in test although it is no member"] = strange
    return [
        f"Gate set gate-{gate.version} of {gate.corpus}: {_names(names)} "
        f"{'is' if len(names) == 1 else 'are'} {problem}."
        for problem, names in found.items()
    ]


def leaks(
    corpus: Corpus, gates: Sequence[Gate], same: Callable[[str], str] = text_key
) -> list[str]:
    """What of any gate set is in train or dev: its audio, or its texts by the same speakers.

    A correction of a gate recording, or the recording under another name, has its audio; one that
    was recorded again has its text and speaker.

    Args:
        same: as in `new_gate`; texts are also compared by their letters and digits, so that pairs
            frozen under another normaliser are found.
    """
    if not gates:
        return []
    audio_of = {member.audio_sha256: gate for gate in gates for member in gate.members}
    pair_of = {
        (member.speaker, text): gate
        for gate in gates
        for member in gate.members
        for text in (member.text, member.group)
    }
    heard = {speaker for speaker, _ in pair_of}
    keys: dict[str, tuple[str, str]] = {}
    speakers = {name: speaker_id(name) for name in set(column(corpus, "speaker"))}
    found: dict[tuple[str, str, str], list[str]] = {}
    columns = ("id", "audio_sha256", "text", "speaker", "split")
    for name, audio, text, speaker, split in zip(
        *(column(corpus, key) for key in columns), strict=True
    ):
        if split not in ("train", "dev"):
            continue
        gate, what = audio_of.get(audio) if audio else None, "the audio"
        if gate is None and (who := speakers[speaker]) in heard:
            if text not in keys:
                keys[text] = (text_id(text_key(text)), text_id(same(text)))
            what = "a text and its speaker"
            gate = next((pair_of[who, key] for key in keys[text] if (who, key) in pair_of), None)
        if gate is not None:
            found.setdefault((split, what, f"gate-{gate.version}"), []).append(name)
    return [
        f"{_names(names)} in {split} {'has' if len(names) == 1 else 'have'} {what} of {version}."
        for (split, what, version), names in sorted(found.items())
    ]


def _names(names: Sequence[str]) -> str:
    shown = ", ".join(names[:_SHOWN])
    return f"{shown} and {len(names) - _SHOWN} more" if len(names) > _SHOWN else shown
