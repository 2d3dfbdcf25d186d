"""`voiceforge evaluate` and `compare` on a table of own recordings, heard by a real model."""

from __future__ import annotations

import csv
import json
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import jiwer
import numpy as np
import pytest

from cli.evaluate import WORSE
from data.audio import SAMPLE_RATE, decode, write_flac
from data.tables import read_utterances, write_utterances
from evaluation.runners import read_predictions, write_predictions
from evaluation.text import normalise
from tests.cli.conftest import Ended, Place
from training.base_models import resolve
from voiceforge.files import sha256_folder

MODEL = "base:whisper-tiny.en"
TEXTS = {
    "vm-goodbye": "Goodbye.",
    "vm-password": "Password.",
    "conf-onlyperson": "You are currently the only human in this conference.",
}
"""What is said, but for one word: so that something is to be seen."""


@pytest.fixture
def table(tmp_path: Path, prompt: Callable[[str, str], Path]) -> Path:
    """Prompts by name, all of them once more in a recording of over 30 s, and one not there."""
    folder = tmp_path / "calls"
    folder.mkdir()
    lines = [["audio", "text", "speaker"]]
    spoken = [decode(prompt("en", name)) for name in TEXTS]
    for (name, text), samples in zip(TEXTS.items(), spoken, strict=True):
        write_flac(folder / f"{name}.flac", samples)
        lines.append([f"{name}.flac", text, "allison"])
    long = np.concatenate([*spoken, np.zeros(26 * SAMPLE_RATE, np.float32), *spoken])
    assert len(long) > 30 * SAMPLE_RATE
    write_flac(folder / "long.flac", long)
    lines += [["long.flac", " ".join([*TEXTS.values()] * 2), "allison"], ["gone.flac", "no", "x"]]
    with (folder / "calls.csv").open("w", newline="") as stream:
        csv.writer(stream).writerows(lines)
    return folder / "calls.csv"


def evaluated(place: Place, table: Path, out: Path, *more: str) -> Ended:
    return place("evaluate", table, "--model", MODEL, "--out", out, *more)


def test_a_table_is_heard_once_and_counted_as_jiwer_counts(
    place: Place, table: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    done = evaluated(place, table, out, "--baseline", MODEL)
    assert done.code == 0, done.err
    assert "gone.flac: calls.csv, line 6: the file is not there" in done.err
    assert "Cannot tell: too small to judge" in done.out
    rows = read_predictions(out / "predictions" / "candidate.parquet")
    assert sorted(row.reference for row in rows) == sorted(
        [*TEXTS.values(), " ".join([*TEXTS.values()] * 2)]
    )
    texts = [
        [normalise(text, "whisper-english", "en") for text in column]
        for column in ([row.reference for row in rows], [row.hypothesis for row in rows])
    ]
    report = json.loads((out / "report.json").read_text())
    overall = report["scan"]["overall"]["candidate"]
    assert overall["value"] == pytest.approx(jiwer.wer(*texts))
    assert overall["value"] < 0.2
    assert overall["words"] == sum(len(text.split()) for text in texts[0])
    assert report["candidate"]["rates"]["word information lost"] == pytest.approx(jiwer.wil(*texts))
    assert report["evaluation"]["normaliser"]["name"] == "whisper-english"
    assert report["answer"] == "cannot tell"
    page = (out / "report.html").read_text()
    addresses = re.findall(r'<audio [^>]*src="([^"]+)"', page)
    assert addresses and all((out / address).is_file() for address in addresses)
    assert "https://" not in page and "http://" not in page

    heard = {path: path.stat().st_mtime_ns for path in (out / "predictions").iterdir()}
    assert sorted(path.name for path in heard) == ["baseline.parquet", "candidate.parquet"]
    (out / "report.json").unlink()
    again = evaluated(place, table, out, "--baseline", MODEL)  # hears nothing again
    assert again.code == 0, again.err
    assert {path: path.stat().st_mtime_ns for path in (out / "predictions").iterdir()} == heard
    assert json.loads((out / "report.json").read_text()) == report


def test_a_worse_model_has_an_exit_code_of_its_own(
    place: Place, table: Path, tmp_path: Path
) -> None:
    good, bad = tmp_path / "good", tmp_path / "bad"
    little = evaluated(place, table, good)
    assert little.code == 0 and "This speech is too small to judge: " in little.err
    # Enough to judge: forty utterances of nine words, as if they had been heard.
    said = read_predictions(good / "predictions" / "candidate.parquet")[0]
    spoken = read_utterances(good / "utterances.parquet")[0]
    texts = [f"please press {number} for the department that you want" for number in range(40)]
    rows = [replace(spoken, id=f"u{n}", text=text) for n, text in enumerate(texts)]
    heard = [
        replace(said, utterance_id=row.id, reference=row.text, hypothesis=row.text) for row in rows
    ]
    write_utterances(good / "utterances.parquet", rows)
    write_predictions(good / "predictions" / "candidate.parquet", heard)
    shutil.copytree(good, bad)
    worse_heard = [replace(row, hypothesis=row.hypothesis[:-9]) for row in heard]
    write_predictions(bad / "predictions" / "candidate.parquet", worse_heard)
    worse = place("compare", bad, good)
    assert worse.code == WORSE, worse.err
    assert "Worse: +2" in worse.out
    better = place("compare", good, bad, "--out", tmp_path / "compared")
    assert better.code == 0 and "Better: -2" in better.out
    assert json.loads((tmp_path / "compared" / "report.json").read_text())["answer"] == "better"


def test_what_cannot_be_compared_is_said(place: Place, table: Path, tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    assert evaluated(place, table, one).code == 0
    text = table.read_text().replace("Goodbye.", "Good night.")
    table.write_text(text)
    before = sha256_folder(one)
    refused = evaluated(place, table, one)
    assert refused.code == 2
    assert "holds an evaluation of other speech" in refused.paragraph()
    assert sha256_folder(one) == before  # its recordings, too
    assert evaluated(place, table, other).code == 0
    refused = place("compare", one, other)
    assert refused.code == 2 and "differ in speech" in refused.paragraph()
    forced = place("compare", one, other, "--force")
    assert forced.code == 0, forced.err
    raw = evaluated(place, table, tmp_path / "raw", "--normaliser", "raw")
    assert raw.code == 0
    refused = place("compare", other, tmp_path / "raw")
    assert refused.code == 2 and "differ in normaliser" in refused.paragraph()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nowhere.csv", "--model", MODEL], "There is no file, folder or domain 'nowhere.csv'"),
        (["TABLE", "--model", "base:whisper-vast"], "whisper-vast"),
        (["TABLE", "--model", "nothing"], "'nothing' is no model: write base:NAME"),
        (["TABLE", "--model", MODEL, "--normaliser", "best"], "There is no normaliser 'best'"),
        (["TABLE", "--model", MODEL, "--split", "test"], "is a table, which has no splits"),
        (["TABLE", "--model", MODEL, "--language", "it"], "whisper-tiny.en knows English only"),
        (["EMPTY", "--model", MODEL], "empty.csv holds no recording that can be used (0 were"),
        (["LOST", "--model", MODEL], "lost.csv holds no recording that can be used (1 were"),
        (["telephony-en", "--model", MODEL], "has left no artifact yet"),
        (["params.yaml", "--model", MODEL], "params.yaml is no table"),
        (
            ["general:fi", "--model", MODEL],
            "There is no general speech in 'fi'. There is in: ca, d",
        ),
    ],
)
def test_bad_input_is_named(
    place: Place, table: Path, tmp_path: Path, arguments: list[str], words: str
) -> None:
    tables = {"TABLE": table, "EMPTY": tmp_path / "empty.csv", "LOST": tmp_path / "lost.csv"}
    tables["EMPTY"].write_text("audio,text\n")
    tables["LOST"].write_text("audio,text\ngone.flac,no\n")
    given = [str(tables.get(one, one)) for one in arguments]
    done = place("evaluate", *given, "--out", tmp_path / "out")
    assert done.code in (1, 2)
    assert words in " ".join(done.paragraph().split())
    assert not (tmp_path / "out").exists()


def test_a_folder_that_is_no_evaluation_is_said(place: Place, tmp_path: Path) -> None:
    done = place("compare", tmp_path, tmp_path)
    assert done.code == 2 and "is no evaluation" in done.paragraph()


def test_an_evaluation_that_is_not_finished_is_said(
    place: Place, table: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    assert evaluated(place, table, out).code == 0
    (out / "predictions" / "candidate.parquet").unlink()
    done = place("compare", out, out)
    assert done.code == 2
    assert "is no finished evaluation" in done.paragraph() and "goes on" in done.paragraph()


def test_a_place_that_holds_something_else_is_left_alone(
    place: Place, table: Path, tmp_path: Path
) -> None:
    notes, folder, foreign = tmp_path / "notes.txt", tmp_path / "mine", tmp_path / "foreign"
    notes.write_text("ours")
    folder.mkdir()
    (folder / "report.html").write_text("ours")
    foreign.mkdir()
    (foreign / "evaluation.json").write_text("{}")
    for out, words in (
        (notes, "which is a file"),
        (folder, "holds report.html and is no evaluation"),
        (table.parent, "is no evaluation"),
        (foreign, "is of something else"),
    ):
        done = place("evaluate", table, "--model", MODEL, "--out", out)
        assert done.code == 2 and words in " ".join(done.paragraph().split()), out
    assert (notes.read_text(), (folder / "report.html").read_text()) == ("ours", "ours")


def test_a_hugging_face_folder_is_the_model_that_it_holds(
    place: Place, table: Path, tmp_path: Path, cache: Path
) -> None:
    model = resolve("whisper-tiny.en", cache=cache, offline=False, timeout=60.0).path
    out = tmp_path / "out"
    done = place("evaluate", table, "--model", model, "--baseline", MODEL, "--out", out)
    assert done.code == 0, done.err
    ours, theirs = (
        [row.hypothesis for row in read_predictions(out / "predictions" / f"{role}.parquet")]
        for role in ("candidate", "baseline")
    )
    assert ours == theirs


def test_speech_made_worse_and_sounds_without_any_are_heard_and_found_again(
    place: Place, table: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    done = evaluated(place, table, out, "--robustness")
    assert done.code == 0, done.err
    report = json.loads((out / "report.json").read_text())
    (found,) = report["robustness"]
    rates = {
        (one["condition"]["kind"], one["condition"]["level"]): one["word_error_rate"]["value"]
        for one in found["curve"]
    }
    assert rates["pink noise", 0.0] > rates["pink noise", 20.0]
    assert found["curve"][0]["utterances"] == 3  # the long recording is too long
    assert set(found["invented"]) == {"silence", "white noise", "pink noise", "tones", "music"}
    assert "Where nobody speaks" in (out / "report.html").read_text()
    heard = {path: path.stat().st_mtime_ns for path in (out / "conditions").rglob("*.parquet")}
    (out / "conditions" / "candidate" / "gsm.parquet").unlink()
    assert evaluated(place, table, out, "--robustness").code == 0
    again = {path: path.stat().st_mtime_ns for path in (out / "conditions").rglob("*.parquet")}
    changed = {path.name for path in heard if heard[path] != again[path]}
    assert changed == {"gsm.parquet"}
    assert json.loads((out / "report.json").read_text()) == report
