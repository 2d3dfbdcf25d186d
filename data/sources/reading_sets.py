"""Which packages hold people who speak known texts, who they are, and how their texts are found.

Every reference was written by people and lies in the package beside the audio, or is a passage
that every edition prints alike; no transcript of a machine is one. What a machine heard was only
compared with the references, by hand, to leave out kinds of recordings that say something else.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from voiceforge.errors import IntegrityError


@dataclass(frozen=True, slots=True)
class Clip:
    """A part of a file and what is said in it.

    Attributes:
        path: relative to the fetched folder, or a member of the set's archive.
        text: the reference.
        speaker: one of the set's `speakers` of that language.
        start: seconds.
        seconds: to the end of the file where None.
        accent: BCP 47 tag in lower case; "" where nobody says.
    """

    path: str
    text: str
    speaker: str
    start: float = 0.0
    seconds: float | None = None
    accent: str = ""


@dataclass(frozen=True, slots=True)
class ReadingSet:
    """A package that ships speech with its texts.

    Attributes:
        entry: its name in the catalogue.
        speakers: language -> the speakers as far as the package tells them apart.
        clips: (unpacked folder, language) -> its clips.
        archive: zip file in the folder that `Clip.path` is a member of; "" for plain files.
    """

    entry: str
    speakers: Mapping[str, tuple[str, ...]]
    clips: Callable[[Path, str], Iterator[Clip]]
    archive: str = ""


_SPHINX = "usr/share/pocketsphinx/test/data/librivox"
_SPOKEN = re.compile(r"<s>\s*(?P<text>.*?)\s*</s>\s*\((?P<name>[^)]+)\)")

_MISPRINT = ("a more a amiable", "a more amiable")
"""Of the package's transcript, and what the book (1811) has."""


def _austen(folder: Path, _: str) -> Iterator[Clip]:
    """Sentences of Sense and Sensibility, cut from a LibriVox recording."""
    for line in _read(folder / _SPHINX / "transcription").splitlines():
        if found := _SPOKEN.fullmatch(line.strip()):
            text = found["text"].replace(*_MISPRINT)
            yield Clip(f"{_SPHINX}/{found['name']}.wav", text, "reader")


_TWO_CITIES: tuple[tuple[float, float, str], ...] = (
    (0.0, 8.5, "It was the best of times, it was the worst of times, it was the age of wisdom, "
     "it was the age of foolishness,"),
    (8.5, 17.05, "it was the epoch of belief, it was the epoch of incredulity, it was the season "
     "of Light, it was the season of Darkness,"),
    (17.05, 24.3, "it was the spring of hope, it was the winter of despair, we had everything "
     "before us, we had nothing before us,"),
    (24.3, 28.65, "we were all going direct to Heaven, we were all going direct the other way --"),
    (28.65, 42.6, "in short, the period was so far like the present period, that some of its "
     "noisiest authorities insisted on its being received, for good or for evil, in the "
     "superlative degree of comparison only."),
)  # fmt: skip
"""Start and end in seconds, both in a pause, and the first paragraph of the book (1859)."""


def _dickens(_: Path, __: str) -> Iterator[Clip]:
    """The first paragraph of A Tale of Two Cities, cut at pauses."""
    for start, end, text in _TWO_CITIES:
        yield Clip("two_cities.wav", text, "reader", start, round(end - start, 3))


_WARZONE = "usr/share/games/warzone2100/base.wz"
_CUE = re.compile(r'audio\s+"(?P<file>[^"]+\.ogg)"\s+\S+\s+\d+\s+\d+[ \t]*/\*(?P<text>.*?)\*/')
_CREW = {
    "audio/memressp/cmndrvoc": "commander",
    "audio/trnsppil": "transport-pilot",
    "audio/vtoltalk": "pilot",
    "audio/memressp": "computer",
    "audio/extra": "computer",
}
"""Folder -> who speaks there. "audio/coltive" is no person: a voice that was made a machine's."""
_ABBREVIATED = {"LZ": "landing zone", "NASDA": "", "SAM": "", "VTOLs": "", "NEXUS": ""}
"""What a cue writes short: how it is spoken, or "" where that is not certain."""


def _warzone(folder: Path, _: str) -> Iterator[Clip]:
    """Announcements of a game; its table of sounds has the script of each as a comment."""
    with zipfile.ZipFile(folder / _WARZONE) as archive:
        table = archive.read("audio/audio.cfg").decode("utf-8", errors="replace")
        members = {PurePosixPath(name).name: name for name in archive.namelist()}
    for cue in _CUE.finditer(table):
        member = members.get(cue["file"], "")
        crew = next((who for where, who in _CREW.items() if member.startswith(f"{where}/")), "")
        words = cue["text"].split()
        if not crew or any(_ABBREVIATED.get(word) == "" for word in words):
            continue
        if crew == "pilot":
            crew = f"pilot-{member[-5]}"
        text = " ".join(_ABBREVIATED.get(word, word) for word in words)
        yield Clip(member, text.rstrip(":"), crew)


_STAMPS = "usr/share/tuxpaint/stamps"
_ARTICLE = re.compile(r"An? (?P<rest>[^.]+)\.?")


def _stamps(folder: Path, language: str) -> Iterator[Clip]:
    """Names of the pictures of a paint program, spoken by volunteers; digits by others."""
    root = folder / _STAMPS
    for path in sorted(root.rglob("*.txt")):
        if "alphabets" in path.parts:
            continue  # "La letra H." is spoken "hache": models write either.
        texts = _translations(path)
        where = path.parent.relative_to(folder).as_posix()
        if path.parent.name == "math" and path.stem.isdigit():
            region = "en_GB" if language == "en" else language
            text = texts.get(region) or texts.get(language, "")
            if text and (path.parent / f"{path.stem}_{region}.ogg").is_file():
                accent = "en-gb" if language == "en" else ""
                yield Clip(f"{where}/{path.stem}_{region}.ogg", text, "digits", accent=accent)
            continue
        suffix = "" if language == "en" else f"_{language}"
        text = texts.get(language, "")
        if language == "en":
            # The recordings are older than the articles: they say the noun alone.
            found = _ARTICLE.fullmatch(text)
            text = found["rest"] if found else ""
        # What stands in brackets may or may not be spoken.
        spoken = bool(text) and "(" not in text
        if spoken and (path.parent / f"{path.stem}_desc{suffix}.ogg").is_file():
            yield Clip(f"{where}/{path.stem}_desc{suffix}.ogg", text, "pictures")


def _translations(path: Path) -> dict[str, str]:
    """A picture's description by locale; the first line is English."""
    first, *rest = _read(path).splitlines() or [""]
    pairs = (line.split(".utf8=", 1) for line in rest if ".utf8=" in line)
    return {"en": first.strip(), **{key.strip(): text.strip() for key, text in pairs}}


_POTATO = "usr/share/ktuberling/sounds"
_SOUND = re.compile(r'<sound name="(?P<name>[a-z_]+)" file="(?P<file>[^"]+)"')
_SCENES = ("egypt_", "moon_", "pizzeria_", "tv_")
_COMPOUNDS = {"palmtree": "palm tree", "fallingstar": "falling star", "brocolli": "broccoli",
              "moonwalker": "moon walker", "sphynx": "sphinx"}  # fmt: skip


def _potato(folder: Path, language: str) -> Iterator[Clip]:
    """Single words of a game for children, by the names that its sound theme gives them."""
    for found in _SOUND.finditer(_read(folder / _POTATO / f"{language}.soundtheme")):
        name = found["name"]
        for scene in _SCENES:
            name = name.removeprefix(scene)
        text = _COMPOUNDS.get(name, name).replace("_", " ")
        yield Clip(f"{_POTATO}/{found['file']}", text, "words")


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError as error:
        raise IntegrityError(
            f"{path} is missing: the package was not unpacked whole. Delete its folder in the "
            "cache and run again."
        ) from error


_PICTURES = ("digits", "pictures")
SETS: Mapping[str, ReadingSet] = {
    "austen": ReadingSet("readings-austen", {"en": ("reader",)}, _austen),
    "dickens": ReadingSet("readings-dickens", {"en": ("reader",)}, _dickens),
    "warzone": ReadingSet(
        "readings-warzone",
        {"en": ("commander", "computer", "pilot-1", "pilot-2", "pilot-3", "transport-pilot")},
        _warzone,
        archive=_WARZONE,
    ),
    "stamps": ReadingSet(
        "readings-stamps",
        dict.fromkeys(("ca", "el", "en", "es", "fr", "nl", "ro", "ru"), _PICTURES)
        | dict.fromkeys(("de", "it", "pt"), ("digits",))
        | {"da": ("pictures",)},
        _stamps,
    ),
    "potato": ReadingSet("readings-potato", {"en": ("words",)}, _potato),
}
