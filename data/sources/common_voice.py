"""A release of Mozilla Common Voice: tables of clips, and the clips beside them.

The folder of one language holds `validated.tsv`, `train.tsv` and others, and `clips/`. Columns are
client_id, path, sentence, accents (`accent` in older releases), locale and more that is not read
here. The tables are written without quoting, so a double quote in a sentence is a letter of it.
A contributor keeps one client_id over languages and releases, and is one speaker here.
"""

from __future__ import annotations

import functools
import hashlib
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data.sources.base import Plan, Reach, slug
from data.sources.rows import (
    Origin,
    Row,
    Rows,
    Skipped,
    fingerprint_rows,
    plan_rows,
    require_folder,
    rows_of,
    with_unnamed,
)
from data.sources.text_tables import BadRow, Line, read_csv
from voiceforge.errors import UsageError
from voiceforge.files import sha256_file
from voiceforge.params import CommonVoiceSource
from voiceforge.settings import from_project

NEEDED = ("client_id", "path", "sentence")
OPTIONAL = ("accents", "accent", "variant", "locale")

_ENGLISH = {
    "us": "en-us",
    "united states english": "en-us",
    "england": "en-gb",
    "england english": "en-gb",
    "scotland": "en-gb-scotland",
    "scottish english": "en-gb-scotland",
    "wales": "en-gb-wales",
    "welsh english": "en-gb-wales",
    "ireland": "en-ie",
    "irish english": "en-ie",
    "northern irish": "en-gb-nir",
    "australia": "en-au",
    "australian english": "en-au",
    "newzealand": "en-nz",
    "new zealand english": "en-nz",
    "canada": "en-ca",
    "canadian english": "en-ca",
    "indian": "en-in",
    "india and south asia (india, pakistan, sri lanka)": "en-in",
    "philippines": "en-ph",
    "filipino": "en-ph",
    "hongkong": "en-hk",
    "hong kong english": "en-hk",
    "malaysia": "en-my",
    "malaysian english": "en-my",
    "singapore": "en-sg",
    "singaporean english": "en-sg",
    "african": "en-x-africa",
    "southern african (south africa, zimbabwe, namibia)": "en-x-safrica",
    "bermuda": "en-bm",
}
"""The accents that Common Voice offers speakers of English to choose from, old codes and new."""

_SUBTAG, _SUBTAGS = 8, 5
"""Letters of a part of a language tag (RFC 5646), and parts that a tag is still read with."""


@dataclass(frozen=True, slots=True)
class CommonVoice:
    """A folder in the layout of Common Voice; a relative path starts at the project."""

    params: CommonVoiceSource
    project: Path

    @property
    def path(self) -> Path:
        return from_project(self.project, self.params.path)

    def plan(self, reach: Reach) -> Plan:
        """Read the tables.

        Raises:
            UsageError: no folder, no such table, or a table that cannot be meant.
        """
        params = self.params
        origin = Origin(
            f"common-voice:{slug(self.path.resolve().name)}",
            "cv",
            "common-voice",
            params.language,
            params.licence,
            params.consent,
        )
        return plan_rows(origin, self._all())

    def fingerprint(self) -> Any:
        """The tables' bytes, and name, size and time of change of every clip they name."""
        return {
            "common-voice": self.params.model_dump(mode="json"),
            "tables": [sha256_file(table) for table in self._tables()],
            "files": fingerprint_rows(self._all()),
        }

    def _tables(self) -> list[Path]:
        require_folder(self.path, "the folder of one language, which holds `clips`")
        tables = [self.path / f"{name}.tsv" for name in self.params.tables]
        there = ", ".join(sorted(path.stem for path in self.path.glob("*.tsv")))
        if not there:
            raise UsageError(
                f"{self.path} holds no table of Common Voice, such as validated.tsv. Give the "
                "folder of one language as the `path` of the source; recordings of your own, in a "
                "folder with a CSV or TSV, are read with `--source folder`."
            )
        for table in tables:
            if not table.is_file():
                raise UsageError(
                    f"{table} does not exist. `tables` of the source in params.yaml may name: "
                    f"{there}."
                )
        if not (self.path / "clips").is_dir():
            raise UsageError(
                f"{self.path} holds no folder `clips`. Give `path` of the source in params.yaml as "
                "the folder of one language of a Common Voice release."
            )
        return tables

    def _all(self) -> Rows:
        clips, reason = self.path / "clips", "clips that no table read here names"
        return with_unnamed(self._rows(), clips, reason, below="clips/")

    def _rows(self) -> Iterator[Row | BadRow | Skipped]:
        read = functools.partial(self._row, root=self.path)
        earlier: set[str] = set()
        for table in self._tables():
            clips: set[str] = set()
            lines = read_csv(table, NEEDED, OPTIONAL, delimiters="\t", quotes=False)
            for row in rows_of(lines, read, "client_id"):
                if isinstance(row, Row) and row.audio in earlier:
                    yield Skipped("clips that an earlier table names")
                    continue
                if isinstance(row, Row):
                    clips.add(row.audio)
                yield row
            earlier |= clips

    def _row(self, line: Line, root: Path) -> Row:
        cells = line.cells
        locale = cells.get("locale", "") or self.params.language
        said = cells.get("accents", "") or cells.get("accent", "") or cells.get("variant", "")
        clip = cells["path"]
        absolute = clip[:1] in ("/", "\\")
        return Row(
            place=line.place,
            # The table's paths start at the clips, and so does what is advised instead.
            root=root / "clips" if absolute else root,
            # An absolute path stays one, and an empty one empty: both are refused.
            audio=clip if not clip or absolute else f"clips/{clip}",
            text=cells["sentence"],
            speaker=cells["client_id"],
            accent=accent_tag(said, locale),
            language=locale,
            id=clip.rpartition(".")[0] or clip,
        )


def accent_tag(said: str, locale: str) -> str:
    """A language tag for an accent in a contributor's own words; "" where there are none.

    What Common Voice offers speakers of English has tags of regions, such as "en-gb-scotland".
    Everything else becomes a private tag of its words, such as "de-x-kolsch"; words that a tag
    cannot hold are cut, and digits of a hash keep them apart.
    """
    said = " ".join(said.split())
    language = locale.lower().replace("_", "-").split("-")[0]
    if not any(letter.isalnum() for letter in said):
        return ""
    if language == "en" and (known := _ENGLISH.get(said.casefold())):
        return known
    letters = unicodedata.normalize("NFKD", said)
    plain = "".join(letter for letter in letters if not unicodedata.combining(letter))
    words = [word for word in slug(plain).replace(".", "-").split("-") if word]
    cut = [word[:_SUBTAG] for word in words[: _SUBTAGS - 1]]
    if cut != words:
        cut.append(hashlib.sha256(said.casefold().encode()).hexdigest()[:_SUBTAG])
    return "-".join([language, "x", *cut])
