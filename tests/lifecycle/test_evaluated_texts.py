"""Terms and replacements of an evaluation: whose, kept in its folder, and refused by name."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from evaluation.replacements import Replacements
from lifecycle.evaluated import CANDIDATE, FILE, pair, read
from lifecycle.evaluated_heard import check_language, check_rows
from lifecycle.evaluated_speech import Speech, also_there, general_languages, language_of
from lifecycle.evaluated_texts import Texts, read_texts
from lifecycle.evaluation_report import model_titles, write_report
from tests.lifecycle.evaluations import lay_down, said, spoken
from voiceforge.errors import IntegrityError, UsageError
from voiceforge.files import read_json, write_json
from voiceforge.settings import Settings

DOMAIN = "telephony-en"


def texts(settings: Settings, speech: str = "calls.csv", **asked: Any) -> Texts:
    how = {"language": "en", "normaliser": None, "replacements": None, "terms": None, **asked}
    return read_texts(settings, speech, **how)


def change(settings: Settings, **keys: Any) -> None:
    path = settings.project / "params.yaml"
    content = yaml.safe_load(path.read_text())
    content["domains"][DOMAIN] |= keys
    path.write_text(yaml.safe_dump(content))


def test_a_domain_that_is_heard_brings_its_own(settings: Settings, tmp_path: Path) -> None:
    assert texts(settings, DOMAIN) == Texts("whisper-english")
    (settings.project / "ours.tsv").write_text("so laura\tzelvora\n")
    change(
        settings,
        vocabulary={"terms": ["Zelvora | zel vora"]},
        evaluation={"normaliser": "whisper-basic", "replacements": "ours.tsv"},
    )
    found = texts(settings, DOMAIN)
    assert (found.normaliser, found.terms, found.terms_from) == (
        "whisper-basic", ("Zelvora",), DOMAIN,
    )  # fmt: skip
    assert found.replacements is not None and len(found.replacements.pairs) == 1
    assert found.identity["name"] == "whisper-basic + replacements"
    assert texts(settings, DOMAIN, normaliser="whisper-basic").identity == found.identity
    assert texts(settings, DOMAIN, normaliser="raw") == replace(
        found, normaliser="raw", replacements=None, replaced_by=""
    )
    (tmp_path / "list.txt").write_text("# ours\nBrimtok\n")
    other = texts(settings, DOMAIN, terms=str(tmp_path / "list.txt"))
    assert other.terms == ("Brimtok",)
    assert texts(settings, "calls.csv", terms=DOMAIN).terms == ("Zelvora",)
    assert texts(settings, "calls.csv") == Texts("whisper-english")
    assert texts(settings, "calls.csv", language="it") == Texts("whisper-basic")


def test_evaluation_json_keeps_them(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "ours.yaml").write_text("so laura: zelvora\ner:\n")
    (tmp_path / "list.txt").write_text("Zelvora\n")
    found = texts(settings, replacements=tmp_path / "ours.yaml", terms=str(tmp_path / "list.txt"))
    kept = json.loads(json.dumps(found.described()))
    again = Texts.of(kept)
    assert again.described() == kept and again.terms == found.terms
    assert again.replacements is not None and found.replacements is not None
    assert again.replacements.pairs == found.replacements.pairs
    assert Texts.of({"normaliser": {"name": "raw"}}) == Texts("raw")


@pytest.mark.parametrize(
    ("content", "asked", "words"),
    [
        (None, {"terms": "LIST"}, "list.txt cannot be read as UTF-8 text"),
        ("# none\n\n", {"terms": "LIST"}, "list.txt holds no term"),
        ("Ann\na | b | c\n", {"terms": "LIST"}, "line 2: .* more than one bar"),
        ("Ann\nUm\n", {"terms": "LIST"}, "leaves nothing of the term 'Um'"),
        ("Ten\n10\n", {"terms": "LIST"}, "'Ten' and '10' are the same after .* \\('10'\\)"),
        ("Ann\n", {"terms": "nobody"}, "no such file or domain"),
        ("Ann\n", {"terms": DOMAIN}, "has no terms under `vocabulary`"),
        (None, {"replacements": "LIST"}, "list.txt is no file of replacements"),
        (None, {"replacements": "TSV"}, "ours.tsv cannot be read: No such file"),
        ("", {"replacements": "TSV"}, "ours.tsv replaces nothing"),
        ("a\tb\nc d\n", {"replacements": "TSV"}, "ours.tsv, line 2: it has 0 tabs"),
        ("OK\tokay\n", {"replacements": "TSV"}, "ours.tsv, line 1: 'OK' never stands in a text"),
        ("a\tb\n", {"normaliser": "best"}, "There is no normaliser 'best'"),
        ("a\tb\n", {"normaliser": "whisper-english", "language": "it"}, "would mangle 'it'"),
        ("a\tb\n", {"language": "english"}, "There is no language 'english'"),
        ("a\tb\n", {"language": "xx"}, "There is no language 'xx'"),
    ],
)
def test_what_cannot_be_meant_is_named(
    settings: Settings, tmp_path: Path, content: str | None, asked: dict[str, Any], words: str
) -> None:
    paths = {"LIST": tmp_path / "list.txt", "TSV": tmp_path / "ours.tsv"}
    if content is not None:
        for path in paths.values():
            path.write_text(content)
    given = {key: paths.get(value, value) for key, value in asked.items()}
    if "terms" in given:
        given["terms"] = str(given["terms"])
    with pytest.raises(UsageError, match=words):
        texts(settings, **given)


def test_a_report_is_derived_from_what_the_folder_keeps(tmp_path: Path) -> None:
    rows = spoken(60)
    ours = Replacements([(("so", "laura"), ("zelvora",))])
    heard = {"candidate": said(rows, 1), "baseline": said(rows, 6)}
    plain = lay_down(tmp_path / "plain", rows, heard, Texts("whisper-english", terms=("Zelvora",)))
    mapped = lay_down(tmp_path / "mapped", rows, heard, Texts("whisper-english", ours, "o.tsv"))
    found = write_report(read(plain), plain, resamples=500).report
    assert found.terms is not None and found.terms.parts[0].gain is not None
    assert (found.terms.parts[0].gain.found, found.terms.lines[0].missed) == (30, 6)
    assert found.answer == "better"
    same = write_report(read(mapped), mapped, resamples=500).report
    assert same.candidate.words.errors == 0 and same.terms is None
    fields = read_json(mapped / "report.json")
    assert fields["normaliser"] == fields["evaluation"]["normaliser"]
    assert fields["normaliser"]["name"] == "whisper-english + replacements"
    with pytest.raises(UsageError, match=r"differ in normaliser: .* with the rules of the first"):
        pair(read(plain), read(mapped))
    forced = pair(read(plain), read(mapped), force=True)
    assert write_report(forced, tmp_path / "both", resamples=500).report.terms is not None


def test_a_comparison_by_force_says_so_and_too_little_speech_is_not_judged(tmp_path: Path) -> None:
    rows = spoken(10)
    ours = Replacements([(("so", "laura"), ("zelvora",))])
    one = lay_down(tmp_path / "one", rows, {"candidate": said(rows, 1)})
    mapped = Texts("whisper-english", ours, "o.tsv")
    other = lay_down(tmp_path / "other", rows, {"candidate": said(rows, 5)}, mapped)
    write_report(pair(read(one), read(other), force=True), tmp_path / "both", resamples=200)
    page = (tmp_path / "both" / "report.html").read_text()
    assert "Compared by force: they differ in normaliser, whisper-english (" in page
    assert "Too little speech to judge" in page and "matched pairs test" not in page
    again = lay_down(tmp_path / "again", rows, {"candidate": said(rows, 5)})
    write_report(pair(read(one), read(again), force=True), tmp_path / "same", resamples=200)
    assert "by force" not in (tmp_path / "same" / "report.html").read_text()


def test_terms_of_either_folder_are_counted_in_a_comparison(tmp_path: Path) -> None:
    rows = spoken(40)
    one = lay_down(tmp_path / "one", rows, {"candidate": said(rows, 1)})
    listed = Texts("whisper-english", terms=("Zelvora",), terms_from="list.txt")
    other = lay_down(tmp_path / "other", rows, {"candidate": said(rows, 5)}, listed)
    found = write_report(pair(read(one), read(other)), tmp_path / "both", resamples=500).report
    assert found.terms is not None and found.terms.source == "list.txt"


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda rows: [*rows, rows[3]], "the utterance 'u003' has two predictions"),
        (lambda rows: rows[1:], "1 utterances have no prediction, such as 'u000'"),
        (lambda rows: [*rows[1:], replace(rows[0], utterance_id="x")], "no utterance 'x'"),
        (lambda rows: [replace(rows[0], reference="Hi"), *rows[1:]], "reference of 'u000' is ano"),
        (
            lambda rows: [replace(rows[0], token_logprobs=(-1.0, float("nan"))), *rows[1:]],
            "log-probability of token 1 of 'u000' is nan",
        ),
        (
            lambda rows: [replace(rows[0], token_logprobs=(float("-inf"),)), *rows[1:]],
            "log-probability of token 0 of 'u000' is -inf",
        ),
    ],
)
def test_predictions_of_something_else_are_refused(tmp_path: Path, damage: Any, words: str) -> None:
    rows = spoken(12)
    folder = lay_down(tmp_path / "it", rows, {"candidate": damage(said(rows))})
    with pytest.raises(IntegrityError, match=words) as refused:
        read(folder)
    assert "candidate.parquet" in str(refused.value) and "evaluate again" in str(refused.value)


def test_a_baseline_may_have_heard_a_sample(tmp_path: Path) -> None:
    rows = spoken(40)
    folder = lay_down(
        tmp_path / "it", rows, {"candidate": said(rows, 1), "baseline": said(rows, 1)[:30]}
    )
    found = write_report(read(folder), folder, resamples=500).report
    assert found.scan.overall.utterances == 30


def test_a_baseline_that_was_to_hear_everything_must_have(tmp_path: Path) -> None:
    """Rows that were lost are no sample: the comparison would rest on what happens to be left."""
    rows = spoken(40)
    both = {"candidate": said(rows, 1), "baseline": said(rows, 1)[:30]}
    sampled = lay_down(tmp_path / "sampled", rows, both, sampled=["baseline"])
    assert len(read(sampled).predictions["baseline"]) == 30
    whole = lay_down(tmp_path / "whole", rows, both, sampled=[])
    with pytest.raises(IntegrityError, match=r"baseline.parquet: 10 utterances have no pred"):
        read(whole)


def test_only_what_both_heard_of_one_text_is_compared_by_force(tmp_path: Path) -> None:
    rows = spoken(40)
    fewer = [replace(rows[0], text="Another text."), *rows[1:30]]
    one = lay_down(tmp_path / "one", rows, {"candidate": said(rows)})
    other = lay_down(tmp_path / "other", fewer, {"candidate": said(fewer)})
    with pytest.raises(UsageError, match="differ in speech"):
        pair(read(one), read(other))
    together = pair(read(one), read(other), force=True)
    written = write_report(together, tmp_path / "both", resamples=500)
    assert written.report.scan.overall.utterances == 29
    page = (tmp_path / "both" / "report.html").read_text()
    assert "29 utterances of the same id and reference, of 40 and 30 heard" in page
    strangers = [replace(row, id=f"x{row.id}") for row in rows]
    third = lay_down(tmp_path / "third", strangers, {"candidate": said(strangers)})
    with pytest.raises(UsageError, match="share no utterance"):
        pair(read(one), read(third), force=True)


def test_another_decoding_is_no_comparison_either(tmp_path: Path) -> None:
    rows = spoken(20)
    one, other = (
        lay_down(tmp_path / name, rows, {"candidate": said(rows)}) for name in ("one", "other")
    )
    write_json(other / FILE, {**read_json(other / FILE), "decoding": 0})
    with pytest.raises(UsageError, match=r"decoded by other rules \(1 and 0\)"):
        pair(read(one), read(other))
    assert len(pair(read(one), read(other), force=True).predictions[CANDIDATE]) == 20


def test_speech_that_cannot_be_scored_is_named() -> None:
    rows = spoken(5)
    check_rows(Speech("calls", rows, Path()))
    check_language(Speech("calls", rows, Path()), "en")
    twice = [rows[0], replace(rows[1], id=rows[0].id)]
    silent = [replace(row, text=" ") for row in rows]
    mixed = [*rows[2:], *spoken(2, language="xx")]
    with pytest.raises(UsageError, match="heard in 'en', and 2 of its 5 utterances are in another"):
        check_language(Speech("calls", mixed, Path()), "en")
    for bad, words in (
        (twice, "2 utterances with the id 'u000'"),
        (silent, "no utterance with a reference"),
        ([], "no utterance with a reference"),
    ):
        with pytest.raises(UsageError, match=words):
            check_rows(Speech("calls", bad, Path()))


def test_general_speech_names_its_languages(settings: Settings) -> None:
    assert general_languages("general:it, de") == ("it", "de")
    assert {"en", "it", "ru"} < set(general_languages("general:all"))
    assert general_languages("telephony-en") == ()
    for bad, words in (("general:it,fi", "in 'fi'"), ("general:it,it", "'it' twice"),
                       ("general:", "in ''")):  # fmt: skip
        with pytest.raises(UsageError, match=words):
            general_languages(bad)
    assert language_of(settings, "telephony-it") == "it"
    assert language_of(settings, "general:fr") == "fr"
    assert language_of(settings, "calls.csv") == "en"


def test_a_domain_is_meant_where_a_folder_is_called_like_it(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    change(settings, vocabulary={"terms": ["Zelvora"]})
    monkeypatch.chdir(tmp_path)
    assert also_there(settings, DOMAIN) == ""
    (tmp_path / DOMAIN).mkdir()
    (tmp_path / "telephony-it").touch()
    assert texts(settings, DOMAIN).terms == ("Zelvora",)
    assert texts(settings, f"./{DOMAIN}").terms == ()
    assert language_of(settings, "telephony-it") == "it"
    assert f"There is a folder of that name, too: for it write ./{DOMAIN}." in (
        also_there(settings, DOMAIN)
    )
    assert "There is a file of that name" in also_there(settings, "telephony-it")
    assert also_there(settings, f"./{DOMAIN}") == also_there(settings, "calls.csv") == ""


def test_two_engines_of_one_name_and_kind_have_titles_of_their_own(tmp_path: Path) -> None:
    rows = spoken(20)

    def laid(name: str, *, said_to_be: str, sha256: str, engine: str | None = None) -> Path:
        folder = lay_down(tmp_path / name, rows, {"candidate": said(rows)})
        model = {"name": said_to_be, "engine_sha256": sha256}
        model |= {} if engine is None else {"engine": engine}
        write_json(folder / FILE, {**read_json(folder / FILE), "models": {"candidate": model}})
        return folder

    week = "telephony-en engine"
    one = laid("one", said_to_be=week, sha256="0123456789ab", engine="ctranslate2:int8")
    other = laid("other", said_to_be=week, sha256="fedcba987654", engine="ctranslate2:int8")
    exact = laid("exact", said_to_be=week, sha256="888888888888", engine="ctranslate2:float32")
    older = laid("older", said_to_be=week, sha256="777777777777")
    base = laid("base", said_to_be="whisper-tiny.en", sha256="666666666666")

    def titles(ours: Path, theirs: Path) -> tuple[str, ...]:
        return tuple(model_titles(pair(read(ours), read(theirs))).values())

    assert titles(one, other) == (f"{week}, 01234567", f"{week}, fedcba98")
    assert titles(older, laid("before", said_to_be=week, sha256="555555555555")) == (
        f"{week}, 77777777", f"{week}, 55555555",
    )  # fmt: skip
    assert titles(one, exact) == (f"{week}, ctranslate2:int8", f"{week}, ctranslate2:float32")
    assert titles(one, base) == (week, "whisper-tiny.en")  # older folders do not say the engine
    whole = laid("whole", said_to_be="base", sha256="333333333333", engine="ctranslate2:float32")
    assert titles(one, whole) == (f"{week}, ctranslate2:int8", "base, ctranslate2:float32")
    assert titles(one, one) == (week, week)
