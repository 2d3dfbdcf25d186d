"""The split ledger: where every text, speaker and recording was put the first time it was seen.

A project keeps one CSV a corpus, `data/ledgers/NAME/splits.csv`, under git: a header with the
layout's version and the seed, then sorted lines `kind,key,split`, so that new data adds lines and
changes none. Keys are the first 16 hex digits of a sha256: no words and no names are in the file,
though whoever guesses a text or a name can look whether it is there.

A recording has a line of its own so that it stays where it is when its text is corrected or its
speaker renamed.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, get_args

from voiceforge.errors import IntegrityError
from voiceforge.files import storage_errors, write_text

FILE = "splits.csv"
VERSION = 1

Heard = Literal["train", "dev", "test"]
Standing = Literal["train", "dev", "test", "shared"]
"""Where a speaker is heard: in one split, or in all of them."""

_HEADER = re.compile(r"# VoiceForge split ledger, version (\d+), seed (-?\d+)")
_COLUMNS = "kind,key,split"
_LINE = re.compile(
    r"(?:audio|text),[0-9a-f]{16},(?:train|dev|test)"
    r"|speaker,[0-9a-f]{16},(?:train|dev|test|shared)"
)
_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Ledger:
    """Key -> where it belongs.

    Attributes:
        seed: `splits.seed` when it was begun.
        texts: by `text_id` of what makes texts one.
        speakers: by `speaker_id`.
        audio: by `audio_id`: recordings that were in train, dev or test.
    """

    seed: int
    texts: Mapping[str, Heard] = field(default_factory=dict)
    speakers: Mapping[str, Standing] = field(default_factory=dict)
    audio: Mapping[str, Heard] = field(default_factory=dict)


def text_id(group: str) -> str:
    """The key of a text group."""
    return hashlib.sha256(f"text:{group}".encode()).hexdigest()[:16]


def speaker_id(name: str) -> str:
    """The key of a speaker."""
    return hashlib.sha256(f"speaker:{name}".encode()).hexdigest()[:16]


def audio_id(sha256: str) -> str:
    """The key of a recording; "" where its hash is not known."""
    return hashlib.sha256(f"audio:{sha256}".encode()).hexdigest()[:16] if sha256 else ""


def ledger_text(ledger: Ledger) -> str:
    """The content of the file, the same for equal ledgers."""
    lines = [
        f"{kind},{key},{entries[key]}"
        for kind, entries in (
            ("audio", ledger.audio),
            ("speaker", ledger.speakers),
            ("text", ledger.texts),
        )
        for key in sorted(entries)
    ]
    head = f"# VoiceForge split ledger, version {VERSION}, seed {ledger.seed}"
    return "\n".join([head, _COLUMNS, *lines, ""])


def write_ledger(path: Path, ledger: Ledger) -> None:
    """Write a ledger, whole or not at all.

    Raises:
        StorageError: the disk is full or read-only.
    """
    write_text(path, ledger_text(ledger))


def read_ledger(path: Path) -> Ledger | None:
    """Read a ledger; None where there is none yet.

    Lines may stand in any order and repeat each other, as git's union merge leaves them.

    Raises:
        IntegrityError: lines that are none of a ledger, or that contradict each other; by number.
    """
    with storage_errors(path):
        if not path.is_file():
            return None
        content = path.read_bytes()
    try:
        lines = content.decode("utf-8").splitlines()
    except UnicodeDecodeError as error:
        number = content.count(b"\n", 0, error.start) + 1
        raise _damaged(path, [f"line {number} is not UTF-8"]) from error
    head = _HEADER.fullmatch(lines[0]) if lines else None
    if head is None:
        raise _damaged(path, ["line 1 is not the header of a split ledger"])
    if int(head[1]) != VERSION:
        raise IntegrityError(
            f"{path} has layout {head[1]}, and this VoiceForge reads {VERSION}. Use the VoiceForge "
            "that wrote it, or a newer one."
        )
    problems = []
    if lines[1:2] != [_COLUMNS]:
        problems.append(f"line 2 is not {_COLUMNS!r}")
    entries: dict[str, dict[str, str]] = {"audio": {}, "speaker": {}, "text": {}}
    sound = _LINE.fullmatch
    for number, line in enumerate(lines[2:], start=3):
        if sound(line) is None:
            problems.append(f"line {number} is {line[:60]!r}")
            continue
        kind, key, split = line.split(",")
        if entries[kind].setdefault(key, split) != split:
            problems.append(
                f"line {number} puts {kind} {key} in {split}, and an earlier line in "
                f"{entries[kind][key]}"
            )
    if problems:
        raise _damaged(path, problems)
    return Ledger(int(head[2]), entries["text"], entries["speaker"], entries["audio"])  # type: ignore[arg-type]


def held_out_first(splits: Iterable[Heard]) -> Heard | None:
    """Of several, the one that must not be trained on: test, then dev; None of none."""
    return min(splits, key=("test", "dev", "train").index, default=None)


def _damaged(path: Path, problems: list[str]) -> IntegrityError:
    more = f", and {len(problems) - _SHOWN} more" if len(problems) > _SHOWN else ""
    return IntegrityError(
        f"The split ledger {path} is damaged: {'; '.join(problems[:_SHOWN])}{more}. After a merge "
        "keep the lines of both sides, and of two that contradict each other the one with test, or "
        "else with dev; otherwise restore the file from git. A line is "
        f"audio, speaker or text, 16 hex digits, and one of {', '.join(get_args(Standing))}."
    )
