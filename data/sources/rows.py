"""What a row of any table becomes: a recording, or a reject that says where and why.

Every source that reads a list of files shares this: paths that stay inside their folder, text
without damage, and the cells for language, accent, speaker, licence, consent and id. What is wrong
with one row never stops the others.
"""

from __future__ import annotations

import hashlib
import math
import os
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import TypeVar, cast, get_args

from data.sources.audio_paths import check_file, inside, unnamed_audio
from data.sources.base import FileAudio, Plan, Recording, Refused, Reject, clean_text, slug
from data.sources.text_tables import BadRow, Line, Unusable
from voiceforge.errors import UsageError
from voiceforge.params import Consent

_TAG = re.compile(r"[a-z]{2,3}(-[a-z0-9]{1,8})*")
_DAMAGED = re.compile(r"[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\ud800-\udfff\ufffd]")
"""Control characters but for white space, halves of letters, and the mark of a lost letter."""

_BEYOND_ASCII = re.compile(r"[^\x00-\x7f]{2,}")
_BEGINS = frozenset("ÂÃÄÅÎÏÐÑ×ØÙ")
"""First bytes of two: Latin with accents, Greek, Cyrillic, Hebrew, Arabic."""
_ENDS_WORDS = frozenset("\xa0»«›‹”“’‘…–—•·™®©²³´¡¿€£")

_LONGEST_WHERE = 300

Made = TypeVar("Made", Recording, Reject)


@dataclass(frozen=True, slots=True)
class Origin:
    """What all rows of a source share.

    Attributes:
        source: as in `Recording`.
        ids: first part of every id.
        speakers: first part of every speaker: names count within it.
        language, licence, consent: of rows that name none.
        needs_consent: whether only what was granted is planned. Elsewhere what was refused is, for
            validation to keep out, together with the same audio under other names.
    """

    source: str
    ids: str
    speakers: str
    language: str
    licence: str
    consent: Consent
    needs_consent: bool = False


@dataclass(frozen=True, slots=True)
class Row:
    """A row as its table gives it; "" where it says nothing.

    Attributes:
        place: where it stands, such as "calls.csv, line 7".
        root: folder that its audio may not lie outside of.
        audio: path below `root`.
        text: transcript.
        speaker: who speaks.
        accent: BCP 47 tag.
        language: BCP 47 tag; its first part is the language, all of it the accent where `accent`
            is empty.
        licence, consent: as in `Recording`.
        id: stands for the path in the recording's id.
        start, seconds: the part of the file that it is; to its end where `seconds` is None.
        where: as in `Recording`; "" where the path says it.
    """

    place: str
    root: Path
    audio: str
    text: str
    speaker: str = ""
    accent: str = ""
    language: str = ""
    licence: str = ""
    consent: str = ""
    id: str = ""
    start: float = 0.0
    seconds: float | None = None
    where: str = ""


@dataclass(frozen=True, slots=True)
class Skipped:
    """A row that was never meant to be an utterance of this corpus, counted under its reason."""

    reason: str


Rows = Iterable[Row | BadRow | Skipped]


def require_folder(path: Path, layout: str) -> None:
    """Raise a UsageError where a source's folder is not there; `layout` names what belongs in it.

    Raises:
        UsageError: it is missing, no folder, or may not be read.
    """
    if path.is_file():
        raise UsageError(
            f"{path} is a file; give its folder as the `path` of the source: {layout}."
        )
    if not path.is_dir():
        raise UsageError(
            f"The folder of recordings {path} does not exist. Give `path` of the source in "
            f"params.yaml as {layout}, absolute or relative to the project."
        )
    if not os.access(path, os.R_OK | os.X_OK):
        raise UsageError(f"The folder {path} may not be read. Change its permissions.")


def rows_of(
    lines: Iterable[Line | BadRow],
    read: Callable[[Line], Row | Skipped],
    speaker: str | None = "speaker",
) -> Iterator[Row | BadRow | Skipped]:
    """What `read` makes of each line; what it calls `Unusable` is a bad row.

    Args:
        speaker: the column that says who speaks, None where there is none.
    """
    for line in lines:
        if isinstance(line, BadRow):
            yield line
            continue
        try:
            yield read(line)
        except Unusable as problem:
            who = line.cells.get(speaker) if speaker else None
            known = str(who) if isinstance(who, str | int) else ""
            yield BadRow(line.place, problem.reason, str(problem), known)


def with_unnamed(rows: Rows, folder: Path, reason: str, below: str = "") -> Rows:
    """The rows, and then a `Skipped` for each audio file below `folder` that none of them names.

    Args:
        below: how the rows' paths lead to `folder`, such as "clips/".
    """
    named: set[str] = set()
    for row in rows:
        if isinstance(row, Row):
            path = PurePosixPath(row.audio.strip().replace("\\", "/")).as_posix()
            named.add(path.removeprefix(below))
        yield row
    for _ in unnamed_audio(folder, named):
        yield Skipped(reason)


def plan_rows(origin: Origin, rows: Rows) -> Plan:
    """The plan of a table: each row a recording or a reject, in its order, each id once.

    Names that differ only in what ids do not keep (case, punctuation) get digits of their hash:
    all of them, so that the order of rows decides nothing.
    """
    recordings: list[Recording] = []
    refused: list[Refused] = []
    skipped: Counter[str] = Counter()
    places: dict[str, str] = {}
    names = _Names(origin)
    called_so: tuple[list[str], list[str]] = [], []
    folders: dict[Path, str] = {}
    for row in rows:
        if isinstance(row, Skipped):
            skipped[row.reason] += 1
            continue
        called, name = names.add(row)
        try:
            if isinstance(row, BadRow):
                raise Unusable(row.reason, row.detail)
            recording = _recording(origin, row, name, folders)
            if called in places:
                raise Unusable("duplicate-id", f"{places[called]} is called {called} already.")
        except Unusable as problem:
            where, path = row.place, None
            if isinstance(row, Row):
                where, path = row.where or printable(row.audio) or row.place, _path(row)
            detail = printable(f"{row.place}: {problem}")
            reject = Reject(name, origin.source, where[:_LONGEST_WHERE], problem.reason, detail)
            speaker = "" if row.speaker is None else speaker_of(origin, row.speaker)
            refused.append(Refused(reject, speaker, path))
            called_so[1].append(called)
        else:
            places[called] = row.place
            recordings.append(recording)
            called_so[0].append(called)
    told = names.told_apart([one.reject for one in refused], called_so[1])
    return Plan(
        tuple(names.told_apart(recordings, called_so[0])),
        tuple(replace(one, reject=reject) for one, reject in zip(refused, told, strict=True)),
        dict(skipped),
    )


def fingerprint_rows(rows: Rows) -> str:
    """Hash of name, size and time of change of every file that rows name, and what is skipped."""
    digest = hashlib.sha256()
    for row in rows:
        if isinstance(row, Skipped):
            digest.update(row.reason.encode())
        if isinstance(row, Row):
            try:
                facts = (row.root / inside(row.audio)).stat()
                known = f"{row.audio}\0{facts.st_size}\0{facts.st_mtime_ns}\n"
            except (Unusable, OSError):
                known = f"{row.audio}\n"
            digest.update(known.encode(errors="surrogatepass"))
    return digest.hexdigest()


class _Names:
    """What rows call themselves, and the ids that it becomes."""

    def __init__(self, origin: Origin) -> None:
        self._origin = origin
        self._called: dict[str, str] = {}
        self._shared: set[str] = set()

    def add(self, row: Row | BadRow) -> tuple[str, str]:
        """The row's own name, and its id unless other names share that.

        Its name is the id that it gives, or else its path and part of it, or else its place.
        """
        given = called = ""
        if isinstance(row, Row):
            given = row.id.strip() or _stem(row)
            called = row.id.strip() or _stem(row, whole=True)
        name = slug(printable(f"{self._origin.ids}-{given or row.place}"))
        called = unicodedata.normalize("NFC", printable(called or row.place))
        if self._called.setdefault(name, called) != called:
            self._shared.add(name)
        return called, name

    def told_apart(self, made: list[Made], called: list[str]) -> Iterator[Made]:
        """What was made of rows of these names, with digits in the ids that several share."""
        for one, name in zip(made, called, strict=True):
            if one.id in self._shared:
                digits = hashlib.sha256(name.encode()).hexdigest()[:8]
                yield replace(one, id=f"{one.id}-{digits}")
            else:
                yield one


def speaker_of(origin: Origin, given: str) -> str:
    """The speaker of a row that names them so; rows without a name share one."""
    return f"{origin.speakers}:{clean_text(given) or 'unknown'}"


def printable(text: str) -> str:
    """The text on one line, what cannot be written or shown replaced by the Unicode mark for it."""
    return "".join(
        letter if letter.isprintable() else " " if letter.isspace() else "\ufffd" for letter in text
    )


def is_tag(text: str) -> bool:
    """Whether a text is a language tag as corpora hold them: BCP 47 in lower case."""
    return _TAG.fullmatch(text) is not None


def is_mojibake(text: str) -> bool:
    """Whether a text holds UTF-8 that was read as Windows-1252 or Latin-1, such as "perchÃ©".

    Letters beyond ASCII that stand together are taken back to bytes and read as UTF-8. Real words
    can pass for that, too ("Fuß…", "OÙ…", "ÚŽASNÝ", "été" before a space and "»"), so that what
    begins a sequence must be a letter that common scripts begin with, and what follows must not be
    what ends words, unless a capital stands behind a small letter ("proszÄ™"). Some damage is
    missed for that: "Å“uvre".
    """
    for run in _BEYOND_ASCII.finditer(text):
        try:
            letters = b"".join(map(_byte, run[0])).decode("utf-8")
        except UnicodeError:
            continue
        at = run.start()
        for letter in letters:
            size = len(letter.encode())
            first, rest = text[at], text[at + 1 : at + size]
            small_before = at > 0 and text[at - 1].islower()
            if size > 2:
                if rest[0] not in _ENDS_WORDS or first + rest[0] == "â€":
                    return True
            elif first in _BEGINS and (
                first in "ÂÃÐÑ" or rest not in _ENDS_WORDS or (first.isupper() and small_before)
            ):
                return True
            at += size
    return False


def _byte(letter: str) -> bytes:
    """A letter's byte in Windows-1252, or in Latin-1 where that leaves a gap."""
    try:
        return letter.encode("cp1252")
    except UnicodeEncodeError:
        return letter.encode("latin-1")


def is_damaged(text: str) -> bool:
    """Whether a text lost letters to its encoding, or holds what no text holds."""
    return _DAMAGED.search(text) is not None


def _path(row: Row) -> Path | None:
    try:
        return row.root / inside(row.audio)
    except Unusable:
        return None


def _stem(row: Row, *, whole: bool = False) -> str:
    """Path and part of a row, "" where it has no path; `whole` keeps the path's suffix."""
    path = PurePosixPath(row.audio.strip().replace("\\", "/"))
    if not path.name:
        return ""
    stem = (path if whole else path.with_suffix("")).as_posix()
    if not (row.start or row.seconds is not None):
        return stem
    end = "end" if row.seconds is None else _milliseconds(row.start + row.seconds)
    return f"{stem}-{_milliseconds(row.start)}-{end}"


def _milliseconds(seconds: float) -> str:
    return str(round(seconds * 1000)) if math.isfinite(seconds) else "nan"


def _recording(origin: Origin, row: Row, name: str, folders: dict[Path, str]) -> Recording:
    where = inside(row.audio, row.root)
    _check_part(row)
    text = _text(row.text)
    language, accent = _language(origin, row)
    consent = row.consent.strip().lower() or origin.consent
    if consent not in get_args(Consent):
        allowed = ", ".join(get_args(Consent))
        raise Unusable("bad-consent", f"consent is {consent!r:.60}; it is one of {allowed}.")
    if origin.needs_consent and consent != "granted":
        raise Unusable("no-consent", f"the speaker's consent is {consent!r}.")
    _plain("speaker", row.speaker)
    licence = _plain("licence", row.licence) or origin.licence
    check_file(row.root, row.root / where, folders)
    part = f" from {row.start:g} s on" if row.start or row.seconds is not None else ""
    return Recording(
        id=name,
        text=text,
        language=language,
        accent=accent,
        speaker=speaker_of(origin, row.speaker),
        source=origin.source,
        licence=licence,
        consent=cast(Consent, consent),
        is_synthetic=False,
        where=row.where or where + part,
        audio=FileAudio(row.root / where, row.start, row.seconds),
    )


def _check_part(row: Row) -> None:
    if not (math.isfinite(row.start) and row.start >= 0.0):
        raise Unusable("bad-duration", f"the offset is {row.start} s; it is 0 or more.")
    if row.seconds is not None and not (math.isfinite(row.seconds) and row.seconds > 0.0):
        raise Unusable("bad-duration", f"the duration is {row.seconds} s; it is more than 0.")


def _text(given: str) -> str:
    # Before white space is made one space: a no-break space is half of "à".
    if is_damaged(given) or is_mojibake(given):
        raise Unusable("damaged-text", f"the text lost letters to its encoding: {given!r:.200}.")
    text = clean_text(given)
    if not any(letter.isalnum() for letter in text):
        raise Unusable("empty-text", "there are no words to learn from.")
    return text


def _language(origin: Origin, row: Row) -> tuple[str, str]:
    """Language and accent, each a tag in lower case."""
    tag = row.language.strip().lower().replace("_", "-") or origin.language
    if not is_tag(tag):
        raise Unusable("bad-language", f"the language is {tag!r:.60}; a tag is such as 'en'.")
    accent = row.accent.strip().lower().replace("_", "-") or tag
    if not is_tag(accent):
        raise Unusable(
            "bad-accent", f"the accent is {accent!r:.60}; a tag is such as 'en-gb-scotland'."
        )
    return tag.split("-")[0], accent


def _plain(name: str, given: str) -> str:
    if is_damaged(given):
        raise Unusable("bad-row", f"the {name} lost letters to its encoding: {given!r:.60}.")
    return clean_text(given)
