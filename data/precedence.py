"""Who stays where utterances conflict: what is held out, then what is known, then the newcomer.

Pure. Were ids alone to decide, one more row could push a member out of a frozen gate set, or a
near-copy of a test recording could be trained on while the recording itself is in quarantine.

What the split ledger gains from a corpus is what validation let in, and that already stayed where
it conflicted. So a ledger that grew by a corpus decides about it as the one before did, and only
the gate sets belong to the identity of a validation.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from data.gate import Gate
from data.ledger import Ledger, audio_id, text_id
from data.split_hash import text_key

Rank = Callable[[str, str, str], int]
"""Takes id, audio_sha256 and text of an utterance; of those that conflict the lowest stays."""

MEMBER, GATE_AUDIO, TEST, DEV, TRAIN, UNKNOWN = range(6)
"""Ranks. A member of the newest gate set has its id, audio and text; any gate set's audio may be
there under another name. Up to `DEV` an utterance must not be trained on."""

_HEARD = {"test": TEST, "dev": DEV, "train": TRAIN}


def unranked(_name: str, _audio: str, _text: str) -> int:
    """The rank of everything where there is neither ledger nor gate set."""
    return UNKNOWN


def precedence(ledger: Ledger | None, gates: Sequence[Gate]) -> Rank:
    """The rank of an utterance by what is known of its audio.

    Args:
        ledger: None where nothing was split yet.
        gates: every version, oldest first.
    """
    members = {(one.id, one.audio_sha256): one.text for one in gates[-1].members} if gates else {}
    frozen = {one.audio_sha256 for gate in gates for one in gate.members}
    heard = ledger.audio if ledger else {}

    def rank(name: str, audio: str, text: str) -> int:
        if (name, audio) in members and members[name, audio] == text_id(text_key(text)):
            return MEMBER
        if audio in frozen:
            return GATE_AUDIO
        return _HEARD.get(heard.get(audio_id(audio), ""), UNKNOWN)

    return rank
