"""Terms, replacements and bad tables at the command; general speech heard by a real model."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from cli.evaluate import evaluate_model
from cli.evaluate_texts import evaluate_languages
from data.audio import decode, write_flac
from data.tables import UTTERANCES, read_utterances
from evaluation.prediction import Prediction
from evaluation.runners import write_predictions
from lifecycle.evaluate import Asked, evaluate
from lifecycle.evaluated_speech import read_speech
from lifecycle.general_suite import evaluate_suite
from tests.cli.conftest import Place
from voiceforge.errors import UsageError, VoiceForgeError
from voiceforge.params.sources import READINGS
from voiceforge.settings import load_settings

MODEL = "base:whisper-tiny.en"


def written(folder: Path, name: str, rows: Sequence[Sequence[str]]) -> Path:
    with (folder / name).open("w", newline="") as stream:
        csv.writer(stream).writerows(rows)
    return folder / name


@pytest.fixture
def calls(tmp_path: Path, prompt: Callable[[str, str], Path]) -> Path:
    """Two prompts."""
    folder = tmp_path / "calls"
    folder.mkdir()
    for name in ("vm-goodbye", "vm-password"):
        write_flac(folder / f"{name}.flac", decode(prompt("en", name)))
    rows = [["vm-goodbye.flac", "Goodbye."], ["vm-password.flac", "Password 42."]]
    return written(folder, "calls.csv", [["audio", "text"], *rows])


def test_terms_and_replacements_are_counted_and_kept(
    place: Place, calls: Path, tmp_path: Path
) -> None:
    (tmp_path / "terms.txt").write_text("# ours\nPassword\nZelvora\n")
    (tmp_path / "ours.tsv").write_text("goodbye\tbye\n")
    out = tmp_path / "out"
    done = place(
        "evaluate", calls, "--model", MODEL, "--out", out, "--normaliser", "whisper-basic",
        "--terms", tmp_path / "terms.txt", "--replacements", tmp_path / "ours.tsv",
    )  # fmt: skip
    assert done.code == 0, done.err
    assert "Terms:     1 of 1 found (too few to judge: 1 of 30 to find" in done.out
    assert "Numbers, dates and names: 0 of 1 kept (too few to judge" in done.out
    report = json.loads((out / "report.json").read_text())
    assert report["normaliser"]["name"] == "whisper-basic + replacements"
    assert report["evaluation"]["replacements"]["pairs"] == [["goodbye", "bye"]]
    assert {one["reference"] for one in report["listed"]} <= {"password 42", "bye"}
    assert report["terms"]["absent"] == ["Zelvora"]
    assert report["entities"]["wrong"][0]["said"] == "42"
    assert report["candidate"]["bleu"]["signature"].startswith("nrefs:1|")
    page = (out / "report.html").read_text()
    assert "<h2>Terms</h2>" in page and "<h2>Numbers, dates and names</h2>" in page


def test_the_help_names_every_kind_of_normaliser(place: Place) -> None:
    said = " ".join(place("evaluate", "--help").out.replace("│", " ").split())
    assert "whisper-english, whisper-basic, or raw for none" in said
    assert "--replacements" in said and "words and what they become" in said


def test_bad_tables_are_named_before_anything_is_heard(
    place: Place, calls: Path, tmp_path: Path
) -> None:
    settings, folder, one = load_settings({}, place.path), calls.parent, "vm-goodbye.flac"
    tables = {
        "no text": ([["audio"], [one]], "text"),
        "empty": ([["audio", "text"], [one, ""], [one, " "]], "empty"),
        "mixed": ([["audio", "text", "language"], [one, "Bye.", "xx"]], "language (1 in 'xx')"),
    }
    for name, (rows, words) in tables.items():
        asked = Asked.of(str(written(folder, f"{name}.csv", rows)), model=MODEL, baseline=None,
                         language="en")  # fmt: skip
        with pytest.raises(VoiceForgeError) as refused:
            evaluate(settings, asked, tmp_path / name)
        assert words in str(refused.value), name
        assert not (tmp_path / name / "predictions").exists()


def test_of_two_rows_with_one_id_the_second_is_left_out_and_named(
    place: Place, calls: Path, tmp_path: Path
) -> None:
    one = "vm-goodbye.flac"
    table = written(
        calls.parent, "twice.csv",
        [["audio", "text", "id"], [one, "Goodbye.", "a"], ["vm-password.flac", "Password.", "a"]],
    )  # fmt: skip
    speech = read_speech(load_settings({}, place.path), str(table), tmp_path, language="en")
    assert [row.text for row in speech.rows] == ["Goodbye."]
    (reject,) = speech.rejects
    assert (reject.reason, "line 3" in reject.detail) == ("duplicate-id", True)


def test_general_speech_is_heard_and_what_was_forgotten_is_answered(
    place: Place,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name in READINGS:  # five sentences of one reader are enough
        if name != "austen":
            monkeypatch.setitem(READINGS, name, ())
    monkeypatch.chdir(place.path)
    monkeypatch.delenv("VOICEFORGE_HOME", raising=False)
    out = tmp_path / "out"
    asked = Asked.of("general:en", model=MODEL, baseline=MODEL, language="en")
    evaluate_model(asked, out, 0.5)
    said = capsys.readouterr().out
    assert "Forgetting, where 0.5 points matter: Cannot tell for en." in said
    assert "en: cannot tell, too small to judge: 70 of 300 words" in said
    report = json.loads((out / "report.json").read_text())
    rate = report["scan"]["overall"]["candidate"]
    assert (rate["words"], rate["utterances"], rate["speakers"]) == (70, 5, 1)
    assert rate["value"] < 0.2
    assert report["forgetting"]["languages"][0]["difference"]["value"] == 0.0
    assert "<h2>Forgetting</h2>" in (out / "report.html").read_text()


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def test_several_languages_have_a_report_each_and_one_verdict(
    place: Place,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    settings = load_settings({}, place.path)
    out = tmp_path / "out"
    asked = Asked.of(
        "general:it,pt", model="base:whisper-base", baseline="base:whisper-base", language="it,pt"
    )
    for language in ("it", "pt"):  # real readings; what two models heard of them is decided here
        with monkeypatch.context() as interrupted, pytest.raises(KeyboardInterrupt):
            interrupted.setattr("lifecycle.evaluate.hear", _interrupt)
            one = replace(asked, speech=f"general:{language}", language=language)
            evaluate(settings, one, out / language)
        rows = read_utterances(out / language / UTTERANCES)
        for role, wrong in (("candidate", language == "pt"), ("baseline", False)):
            said = [
                Prediction(row.id, row.text, "" if wrong else row.text, (), row.duration, 0.1)
                for row in rows
            ]
            write_predictions(out / language / "predictions" / f"{role}.parquet", said)
    suite = evaluate_suite(settings, asked, ("it", "pt"), out, resamples=300)
    assert suite.forgetting is not None
    assert suite.forgetting.outcome == "cannot tell"  # nine and ten words are too few
    languages = {one.language: one for one in suite.forgetting.languages}
    assert languages["pt"].difference.value == 1.0 and languages["it"].difference.value == 0.0
    fields = json.loads((out / "report.json").read_text())
    assert fields["suite"] == ["it", "pt"] and fields["languages"]["pt"]["answer"] == "cannot tell"
    page = (out / "report.html").read_text()
    assert 'href="it/report.html"' in page and (out / "it" / "report.html").is_file()
    with pytest.raises(UsageError, match="holds the evaluation of one speech"):
        evaluate_suite(settings, asked, ("it", "pt"), out / "it")
    monkeypatch.chdir(place.path)
    monkeypatch.delenv("VOICEFORGE_HOME", raising=False)
    assert not evaluate_languages(asked, ("it", "pt"), out, 0.5)
    assert "Forgetting, where 0.5 points matter: Cannot tell for it, pt." in capsys.readouterr().out
    assert not suite.is_worse
    written_it = suite.reports["it"]
    worse = replace(written_it, report=replace(written_it.report, answer="worse"))
    assert replace(suite, reports={**suite.reports, "it": worse}).is_worse


def test_a_domain_that_a_folder_is_called_like_is_said_to_be_heard(
    place: Place,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (place.path / "telephony-en").mkdir()
    monkeypatch.chdir(place.path)
    monkeypatch.delenv("VOICEFORGE_HOME", raising=False)
    for speech, said in (("telephony-en", True), ("./telephony-en", False)):
        asked = Asked.of(speech, model="nothing", baseline=None, language="en")
        with pytest.raises(UsageError, match="'nothing' is no model"):
            evaluate_model(asked, tmp_path / "out", 0.5)
        told = "telephony-en is a domain of params.yaml and is heard as that." in (
            capsys.readouterr().err
        )
        assert told is said
