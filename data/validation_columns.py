"""The data frame that validation judges: a row an utterance, what is known and what follows of it.

Columns throughout (Arrow, pandas), since a corpus may have a million rows. Texts are looked at with
RE2, which knows Unicode's scripts.
"""

from __future__ import annotations

from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from data.tables import (
    MEASUREMENTS,
    UTTERANCES,
    read_measurement_table,
    read_utterance_table,
)
from voiceforge.errors import IntegrityError

if TYPE_CHECKING:
    import pandas as pd

SURE_SECONDS = 1.0
"""From this length on missing speech means something: in every telephone prompt of a second or more
Silero VAD heard at least 0.6 s, in shorter ones down to one window of 32 ms (the letter a)."""

_OTHER_SCRIPTS = {
    "Arabic": "ar fa ug ur ps sd",
    "Armenian": "hy",
    "Bengali": "as bn",
    "Cyrillic": "ba be bg ce cv kk ky mk mn os ru tg tt uk",
    "Devanagari": "hi mr ne sa",
    "Ethiopic": "am ti",
    "Georgian": "ka",
    "Greek": "el",
    "Gujarati": "gu",
    "Gurmukhi": "pa",
    "Han": "zh yue",
    "Hebrew": "he iw yi",
    "Kannada": "kn",
    "Khmer": "km",
    "Lao": "lo",
    "Malayalam": "ml",
    "Myanmar": "my",
    "Sinhala": "si",
    "Tamil": "ta",
    "Telugu": "te",
    "Thai": "th",
    "Tibetan": "bo dz",
}
_LATIN = """
af az bm br bs ca cs cy da de en eo es et eu fi fil fo fr fy ga gd gl gn ha haw hr ht hu id ig is it
jv jw kab la lb lg ln lt lv mg mi ms mt nb nl nn no oc pl pt qu rm ro rw sk sl sm sn so sq st su sv
sw tk tl tn tr vi wo xh yo zu
"""
SCRIPTS: dict[str, tuple[str, ...]] = {
    **{code: (script,) for script, codes in _OTHER_SCRIPTS.items() for code in codes.split()},
    **dict.fromkeys(_LATIN.split(), ("Latin",)),
    "ja": ("Han", "Hiragana", "Katakana"),
    "ko": ("Hangul", "Han"),
    "ku": ("Latin", "Arabic"),
    "sr": ("Cyrillic", "Latin"),
    "uz": ("Latin", "Cyrillic"),
}
"""ISO 639 code -> the Unicode scripts that the language is commonly written in (after CLDR).
The alphabet of a language that is not listed is not checked, and the summary says so."""

_MEASURED = ("clipped", "silence", "dc", "level", "bandwidth", "speech")

_PART = 100_000
"""Texts that one thread looks at in one go."""

_LETTER = r"\p{L}"
_CHARACTER = r"[\p{L}\p{N}]"


def read_frame(corpus: Path) -> pd.DataFrame:
    """Utterances and measurements of a corpus folder, joined by id, in the order of the utterances.

    Fingerprints, which take more room than everything else, are left out (`read_fingerprints`).

    Raises:
        StorageError: a table is missing.
        IntegrityError: a table is none, ids are not unique, the tables are of different
            utterances, or a figure is not finite.
    """
    return join_frame(
        read_utterance_table(corpus / UTTERANCES),
        read_measurement_table(corpus / MEASUREMENTS),
        name=str(corpus),
    )


def join_frame(utterances: Any, measurements: Any | None, *, name: str) -> pd.DataFrame:
    """The frame of two Arrow tables; without `measurements` it has the utterances' columns only.

    Args:
        name: of the corpus, for errors.

    Raises:
        IntegrityError: as `read_frame`.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    ids = utterances["id"]
    if len(pc.unique(ids)) < len(ids):
        counts = pc.value_counts(ids)
        twice = counts.field("values").filter(pc.greater(counts.field("counts"), 1))[0]
        raise IntegrityError(f"{name} has the id {twice} twice. Make the corpus again.")
    table = utterances.drop_columns(["split", "domain", "accent"])
    if measurements is not None:
        rows = pc.index_in(ids, measurements["id"].combine_chunks())
        if len(measurements) != len(ids) or rows.null_count:
            raise IntegrityError(
                f"{name} has {len(measurements)} measurements of {len(ids)} utterances, or of "
                "others. Make the corpus again."
            )
        for column in _MEASURED:
            table = table.append_column(column, measurements[column].take(rows))
    for column in table.column_names:
        if pa.types.is_floating(table[column].type):
            bad = pc.invert(pc.is_finite(table[column]))
            if pc.any(bad).as_py():
                raise IntegrityError(
                    f"{name} holds a {column} of {ids.filter(bad)[0]} that is not a number. Make "
                    "the corpus again."
                )
    frame: pd.DataFrame = table.to_pandas()
    return frame


def read_fingerprints(corpus: Path, ids: Collection[str]) -> list[str]:
    """The acoustic fingerprints of these utterances, in the order given; raises as `read_frame`."""
    import pyarrow as pa
    import pyarrow.compute as pc

    measurements = read_measurement_table(corpus / MEASUREMENTS)
    rows = pc.index_in(pa.array(ids, pa.string()), measurements["id"].combine_chunks())
    found: list[str] = measurements["fingerprint"].take(rows).to_pylist()
    return found


def add_derived_columns(frame: pd.DataFrame) -> None:
    """Add what rules are about and no table holds.

    characters: letters and digits of the text. foreign_letters: share of its letters in scripts
    that its language is not written in, 0 where the language's are not known.
    characters_per_second: of audio. characters_per_speech: per second of detected speech, NaN where
    there is less than a second of it. sure_speech: `speech`, NaN in clips that are too short to
    tell. consent_for_audio: `consent`, but "refused" where anybody refused for the same audio.
    """
    frame["characters"] = count_matches(frame["text"], _CHARACTER)
    frame["foreign_letters"] = _foreign_share(frame)
    seconds = frame["duration"].clip(lower=1e-3)
    frame["characters_per_second"] = frame["characters"] / seconds
    if "speech" in frame:
        speech = frame["speech"]
        frame["characters_per_speech"] = frame["characters"] / speech.where(speech >= 1.0)
        frame["sure_speech"] = speech.where(frame["duration"] >= SURE_SECONDS)
    refused = frame["audio_sha256"][frame["consent"] == "refused"]
    frame["consent_for_audio"] = frame["consent"].mask(
        np.asarray(frame["audio_sha256"].isin(refused)), "refused"
    )


def unknown_alphabets(languages: Collection[str]) -> list[str]:
    """Those of the languages whose alphabet is not checked, sorted."""
    return sorted(set(languages) - SCRIPTS.keys())


def _foreign_share(frame: pd.DataFrame) -> pd.Series[float]:
    import pandas as pd

    share = pd.Series(0.0, index=frame.index)
    for language in frame["language"].unique():
        if language in SCRIPTS:
            scripts = "".join(rf"\p{{{script}}}" for script in SCRIPTS[language])
            texts = frame["text"][frame["language"] == language]
            if "Latin" in SCRIPTS[language]:
                texts = texts[~_ascii(texts)]  # most of a million, at a fraction of the time
            # Letters that several scripts share (Japanese's long vowel mark) are foreign to none.
            foreign = count_matches(texts, rf"[^\P{{L}}{scripts}\p{{Common}}\p{{Inherited}}]")
            foreign = foreign[foreign > 0]
            share[foreign.index] = foreign / count_matches(texts[foreign.index], _LETTER)
    return share


def _ascii(texts: pd.Series[str]) -> npt.NDArray[np.bool_]:
    import pyarrow as pa
    import pyarrow.compute as pc

    found: npt.NDArray[np.bool_] = pc.string_is_ascii(pa.array(texts, pa.string())).to_numpy(
        zero_copy_only=False
    )
    return found


def count_matches(texts: pd.Series[str], pattern: str) -> pd.Series[int]:
    """How often a pattern of RE2 occurs in each text."""
    import pandas as pd
    import pyarrow as pa
    import pyarrow.compute as pc

    values = pa.array(texts, pa.string())
    if isinstance(values, pa.ChunkedArray):
        values = values.combine_chunks()
    parts = [values.slice(at, _PART) for at in range(0, len(values), _PART)] or [values]
    # RE2 runs beside itself: the interpreter is not held.
    with ThreadPoolExecutor(min(len(parts), pa.cpu_count())) as pool:
        found = list(pool.map(lambda part: pc.count_substring_regex(part, pattern), parts))
    return pd.Series(np.concatenate([part.to_numpy() for part in found]), index=texts.index)
