"""Music in which nobody sings: what telephone exchanges play to who waits.

The pieces are those of Debian's asterisk-moh-opsound, instrumental, CC BY-SA 3.0, by Macroform
(Paul Shuler), Manolo Camp and Reno Project; Silero VAD hears 0.3 s of speech in 18 minutes.
"""

from __future__ import annotations

from pathlib import Path

from data.audio import Samples, decode
from data.fetch import fetch
from voiceforge.errors import IntegrityError

ENTRY = "music-on-hold"
"""Of the catalogue."""


def music_on_hold(*, cache: Path, offline: bool, timeout: float) -> list[Samples]:
    """The pieces, mono at 16 kHz, in the order of their names; see `data.fetch.fetch` for errors.

    Raises:
        IntegrityError: the package holds no music.
    """
    folder = fetch(ENTRY, cache=cache, offline=offline, timeout=timeout)
    pieces = sorted(folder.rglob("*.g722"))
    if not pieces:
        raise IntegrityError(f"{folder} holds no music. Delete it and run again.")
    return [decode(piece) for piece in pieces]
