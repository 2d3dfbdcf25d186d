"""Releases: utterances that a person let out of quarantine, kept in `releases.jsonl` for good.

A line a release, appended and never changed; a line with `withdrawn` takes back those before it of
the same utterance, reason, audio and text. A line goes only with the audio of a speaker who asked
to be forgotten. The file is a team's record of who decided what, so it belongs into git. A release
holds for one utterance id, one reason code and the audio it was given for; where the reason rests
on the text (`data.reasons`), for that text as well.
"""

from __future__ import annotations

import datetime
import hashlib
import json
from collections.abc import Collection, Iterable
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

from data.reasons import REASONS, reason
from voiceforge.clock import moment
from voiceforge.errors import IntegrityError, UsageError
from voiceforge.files import storage_errors, write_text

RELEASES = "releases.jsonl"
_SHA256 = 64


@dataclass(frozen=True, slots=True)
class Release:
    """A line of releases.jsonl.

    Attributes:
        id: of the utterance.
        audio_sha256: of the audio that was listened to.
        text_sha256: of the text, None where the reason does not rest on it.
        reason: the code that no longer keeps it out.
        why: in the words of who decided.
        who: who decided.
        at: when, ISO 8601 with its offset from UTC.
        withdrawn: whether this takes back what was released; a line that releases has no such key.
    """

    id: str
    audio_sha256: str
    text_sha256: str | None
    reason: str
    why: str
    who: str
    at: str
    withdrawn: bool = False

    def holds(self, audio_sha256: str, text: str) -> bool:
        """Whether it is for this audio and, where its reason rests on the text, this text."""
        known = self.text_sha256 in (None, text_sha256(text))
        return known and self.audio_sha256 == audio_sha256


def text_sha256(text: str) -> str:
    """Hex sha256 of a text's UTF-8 bytes."""
    return hashlib.sha256(text.encode()).hexdigest()


def release(
    folder: Path, *, id: str, audio_sha256: str, text: str, code: str, why: str, who: str,
    at: datetime.datetime | None = None,
) -> Release:  # fmt: skip
    """Let an utterance out of quarantine from the next validation on.

    Args:
        folder: the corpus's ledger, `Settings.ledgers / NAME`.
        id, audio_sha256, text: of the utterance, as it is in the corpus.
        code: the reason to release it from.
        why, who: neither may be blank.
        at: when; now by default.

    Raises:
        UsageError: there is no such reason code, no person may release from it, or `why` or `who`
            says nothing.
        IntegrityError: the file as it is cannot be read.
        StorageError: the disk is full or read-only.
    """
    known = reason(code)
    if not known.releasable:
        raise UsageError(f"{id} cannot be released from {code!r}. {known.sentence} {known.advice}")
    _check_words(why, who)
    added = Release(
        id=id,
        audio_sha256=audio_sha256,
        text_sha256=text_sha256(text) if known.concerns_text else None,
        reason=code,
        why=" ".join(why.split()),
        who=" ".join(who.split()),
        at=moment(at),
    )
    _append(folder, [added])
    return added


def withdraw(
    folder: Path, *, id: str, code: str, why: str, who: str, at: datetime.datetime | None = None
) -> None:
    """Take back every release of an utterance from a reason, from the next validation on.

    Args:
        folder, why, who, at: as those of `release`.
        id, code: of what was released.

    Raises:
        UsageError: it is not released from that reason, or `why` or `who` says nothing.
        IntegrityError, StorageError: as `release`.
    """
    _check_words(why, who)
    known = [one for one in read_releases(folder) if (one.id, one.reason) == (id, code)]
    if not known:
        raise UsageError(f"{id} is not released from {code!r}, so nothing can be withdrawn.")
    said = {"why": " ".join(why.split()), "who": " ".join(who.split()), "at": moment(at)}
    _append(folder, [replace(one, withdrawn=True, **said) for one in known])


def read_releases(folder: Path) -> tuple[Release, ...]:
    """The releases of a corpus that were not withdrawn, oldest first; none where there is no file.

    Raises:
        IntegrityError: a line is not a release; the message names it.
        StorageError: the file cannot be read.
    """
    standing: dict[tuple[str, str, str, str | None], list[Release]] = {}
    lines = _read_lines(folder)
    for one in lines:
        case = (one.id, one.reason, one.audio_sha256, one.text_sha256)
        standing[case] = [] if one.withdrawn else [*standing.get(case, ()), one]
    kept = {id(one) for some in standing.values() for one in some}
    return tuple(one for one in lines if id(one) in kept)


def _read_lines(folder: Path) -> tuple[Release, ...]:
    """Every line of the file, those that withdraw as well; raises as `read_releases`."""
    path = folder / RELEASES
    if not path.exists():
        return ()
    with storage_errors(path):
        content = path.read_bytes()
    try:
        lines = content.decode().split("\n")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise _damaged(path, line, "it is not UTF-8") from error
    if lines[-1]:
        raise _damaged(path, len(lines), "it is cut off: no line end follows it")
    return tuple(_parse(path, number, line) for number, line in enumerate(lines[:-1], 1))


def drop_releases(folder: Path, audio: Collection[str]) -> int:
    """Remove the lines about audio with these sha256, of a speaker who was forgotten; how many.

    Raises:
        IntegrityError, StorageError: as `read_releases`.
    """
    known = _read_lines(folder)
    kept = [one for one in known if one.audio_sha256 not in audio]
    if len(kept) < len(known):
        write_text(folder / RELEASES, "".join(map(_line, kept)))
    return len(known) - len(kept)


def _check_words(why: str, who: str) -> None:
    for name, value in (("why", why), ("who", who)):
        if not value.strip():
            raise UsageError(f"A release needs a {name}: whoever reads it later has only that.")


def _append(folder: Path, added: Iterable[Release]) -> None:
    path = folder / RELEASES
    _read_lines(folder)  # what is damaged must be mended, not written after
    with storage_errors(path):
        before = path.read_text() if path.is_file() else ""
        write_text(path, before + "".join(map(_line, added)))


def _line(one: Release) -> str:
    row = asdict(one)
    if not one.withdrawn:
        del row["withdrawn"]
    return json.dumps(row, ensure_ascii=False) + "\n"


def _parse(path: Path, number: int, line: str) -> Release:
    try:
        row = json.loads(line)
    except ValueError as error:
        raise _damaged(path, number, f"it is not JSON ({error})") from error
    if problem := _problem(row):
        raise _damaged(path, number, problem)
    return Release(**row)


def _problem(row: Any) -> str:
    """What is wrong with the content of a line, "" where nothing is."""
    names = [field.name for field in fields(Release) if field.name != "withdrawn"]
    if not isinstance(row, dict) or {*row} - {"withdrawn"} != {*names}:
        return f"its keys must be {', '.join(names)}"
    if row.get("withdrawn", True) is not True:
        return "withdrawn must be true, or left out"
    for name in names:
        if name == "text_sha256" and row[name] is None:
            continue
        if not isinstance(row[name], str) or not row[name].strip():
            return f"{name} must be a text that says something"
        if name.endswith("_sha256") and not _is_sha256(row[name]):
            return f"{name} must be {_SHA256} hexadecimal digits"
    if row["reason"] not in REASONS or not REASONS[row["reason"]].releasable:
        return f"no utterance can be released from {row['reason']!r}"
    if REASONS[row["reason"]].concerns_text and row["text_sha256"] is None:
        return f"text_sha256 must be given, since {row['reason']!r} rests on the text"
    try:
        at = datetime.datetime.fromisoformat(row["at"])
    except ValueError:
        return f"at is {row['at']!r}, no ISO 8601 time"
    return "" if at.tzinfo else f"at is {row['at']!r}, without an offset from UTC"


def _is_sha256(value: str) -> bool:
    return len(value) == _SHA256 and set(value) <= set("0123456789abcdef")


def _damaged(path: Path, line: int, problem: str) -> IntegrityError:
    return IntegrityError(
        f"{path}, line {line} is not a release: {problem}. Mend or remove the line, or restore the "
        "file from git; without it, released utterances would silently go back into quarantine."
    )
