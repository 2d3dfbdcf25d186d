"""Synthesises a small corpus in Common Voice layout, with a few recordings that are wrong.

`python docs/common_voice_example.py FOLDER` writes `FOLDER/validated.tsv` and `FOLDER/clips/*.mp3`:
ten eSpeak NG voices as ten contributors, and beside them what contributors send in real life. It
is what docs/corpora.md walks through; `--more` adds an eleventh voice to a folder that is there.
"""

from __future__ import annotations

import csv
import sys
from pathlib import Path

import av
import numpy as np

from data.audio import SAMPLE_RATE, Samples
from data.sources.espeak_library import speak

COLUMNS = (
    "client_id", "path", "sentence_id", "sentence", "sentence_domain", "up_votes", "down_votes",
    "age", "gender", "accents", "variant", "locale", "segment",
)  # fmt: skip
VOICES = ("m1", "m2", "m3", "m4", "m5", "f1", "f2", "f3", "f4", "f5")
_PLACES = ("the harbour", "our village", "the old mill", "the railway station", "a quiet street",
           "the market", "the northern coast", "the library", "her garden", "the football ground",
           "the glass factory", "a mountain hut")  # fmt: skip
_THINGS = ("reached {} before the rain began", "could not find {} on the map",
           "had never seen {} so crowded", "walked back to {} after lunch",
           "wrote three letters about {}")  # fmt: skip


def main(folder: Path, *, more: bool) -> None:
    """Write the corpus, or add the eleventh voice to it."""
    (folder / "clips").mkdir(parents=True, exist_ok=True)
    voices = ("f6",) if more else VOICES
    rows = []
    for number, voice in enumerate(voices):
        for clip in range(12):
            person = "She" if voice.startswith("f") else "He"
            place = _PLACES[(clip + 5 * number) % len(_PLACES)]
            text = f"{person} {_THINGS[(clip + number) % len(_THINGS)].format(place)}, " \
                   f"and {place} was {number * 12 + clip + 2} years old."  # fmt: skip
            rows.append(
                _clip(folder, voice, f"{voice}_{clip}", text, speak(text, f"en-gb+{voice}"))
            )
    if not more:
        rows += _wrong(folder, rows)
    _write(folder / "validated.tsv", rows, append=more)
    sys.stdout.write(f"{len(rows)} rows in {folder / 'validated.tsv'}\n")


def _wrong(folder: Path, rows: list[dict[str, str]]) -> list[dict[str, str]]:
    """What contributors send in real life."""
    said = "The lighthouse keeper counted nine ships."
    speech = speak(said, "en-gb+m2")
    quiet = np.zeros(2 * SAMPLE_RATE, np.float32)
    wrong = [
        _clip(folder, "m2", "other_words", "Some butter and flour.", speech),
        _clip(folder, "m2", "cyrillic", "Смотритель маяка насчитал девять кораблей.", speech),
        _clip(folder, "m3", "nothing", said, quiet),
        _clip(folder, "m3", "clipped", said, np.clip(speech * 40, -1, 1).astype(np.float32)),
        _clip(folder, "f2", "empty", said, speech),
        _clip(folder, "f2", "tiny", said, speech[:160]),
        _clip(folder, "f3", "bracket", "[noise]", speech),
    ]
    (folder / "clips" / "empty.mp3").write_bytes(b"")
    again = dict(rows[0], path="again.mp3", client_id="m4")
    (folder / "clips" / "again.mp3").write_bytes((folder / "clips" / rows[0]["path"]).read_bytes())
    return [*wrong, again, dict(rows[1], path="../elsewhere.mp3")]


def _clip(folder: Path, voice: str, name: str, text: str, samples: Samples) -> dict[str, str]:
    _write_mp3(folder / "clips" / f"{name}.mp3", samples)
    filled = {
        "client_id": voice, "path": f"{name}.mp3", "sentence": text, "up_votes": "2",
        "down_votes": "0", "accents": "England English", "locale": "en",
    }  # fmt: skip
    return {column: filled.get(column, "") for column in COLUMNS}


def _write_mp3(path: Path, samples: Samples) -> None:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libmp3lame", rate=SAMPLE_RATE, layout="mono")
        pcm = np.clip(np.rint(samples * 32767), -32768, 32767).astype(np.int16)
        frame = av.AudioFrame.from_ndarray(pcm[None, :], format="s16", layout="mono")
        frame.sample_rate = SAMPLE_RATE
        for packet in [*stream.encode(frame), *stream.encode(None)]:
            container.mux(packet)


def _write(path: Path, rows: list[dict[str, str]], *, append: bool) -> None:
    with path.open("a" if append else "w", encoding="utf-8", newline="") as stream:
        # As Common Voice writes its tables: tabs, and never a quote.
        table = csv.DictWriter(
            stream, COLUMNS, delimiter="\t", quoting=csv.QUOTE_NONE, lineterminator="\n",
            quotechar=None,
        )  # fmt: skip
        if not append:
            table.writeheader()
        table.writerows(rows)


if __name__ == "__main__":
    main(Path(sys.argv[1]), more="--more" in sys.argv[2:])
