"""Sources plan what is really there: prompts with their transcripts, and a user's own folder."""

from __future__ import annotations

import gzip
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.fetch import fetch
from data.sources.base import FileAudio, Plan, Reach, slug
from data.sources.folder import Folder
from data.sources.prompts import plan_prompts, read_transcript
from voiceforge.errors import IntegrityError, UsageError
from voiceforge.params import FolderSource


@pytest.fixture(scope="module", params=["en", "it"])
def real(request: pytest.FixtureRequest, cache: Path) -> tuple[str, Path, Plan]:
    language: str = request.param
    folder = fetch(f"prompts-{language}", cache=cache, offline=False, timeout=10)
    return language, folder, plan_prompts(folder, language, "CC-BY-SA-3.0")


def test_real_prompts_are_one_person_with_sound_texts(real: tuple[str, Path, Plan]) -> None:
    language, _, plan = real
    assert len(plan.recordings) > 500
    assert {r.speaker for r in plan.recordings} == {
        {"en": "prompts:en:allison", "it": "prompts:it:carlo"}[language]
    }
    assert {r.accent for r in plan.recordings} == {{"en": "en-us", "it": "it-it"}[language]}
    assert len({r.id for r in plan.recordings}) == len(plan.recordings)
    for recording in plan.recordings:
        assert isinstance(recording.audio, FileAudio) and recording.audio.path.is_file()
        assert not set(recording.text) & set("[]()<>#*�")
        assert any(letter.isalnum() for letter in recording.text)
        assert recording.text == " ".join(recording.text.split())
        assert not recording.is_synthetic


def test_real_prompts_account_for_every_line_and_file(real: tuple[str, Path, Plan]) -> None:
    language, folder, plan = real
    texts = read_transcript(next(folder.glob(f"usr/share/doc/*/core-sounds-{language}.txt.gz")))
    audio = list(folder.rglob("*.g722"))
    without_text = plan.skipped.get("audio without a transcript", 0)
    without_audio = plan.skipped.get("transcripts without audio", 0)
    usable = len(plan.recordings) + len(plan.rejects)
    assert usable + plan.skipped["tones and silence"] + without_audio == len(texts)
    assert usable <= len(audio) - without_text
    assert plan.skipped["tones and silence"] >= 10


def test_real_prompts_by_example(cache: Path) -> None:
    folder = fetch("prompts-it", cache=cache, offline=True, timeout=1)
    plan = plan_prompts(folder, "it", "x")
    texts = {r.id: r.text for r in plan.recordings}
    assert texts["prompts-it-activated"] == "Attivato."
    assert texts["prompts-it-letters-dot"] == "punto"
    rejects = {r.id: r.reason for r in plan.rejects}
    # "La conferenza ? piena.": an accented letter was lost.
    assert rejects["prompts-it-conf-full"] == "damaged-text"
    # "Spiacente, [quello] non è un interno valido."
    assert rejects["prompts-it-invalid"] == "uncertain-text"
    assert not any(name.startswith(("prompts-it-beep", "prompts-it-silence")) for name in texts)


def _prompts(folder: Path, lines: str, keys: list[str]) -> Path:
    sounds = folder / "usr/share/asterisk/sounds/ru_RU_f_Test"
    for key in keys:
        (sounds / key).parent.mkdir(parents=True, exist_ok=True)
        (sounds / f"{key}.g722").write_bytes(b"\0")
    transcript = folder / "usr/share/doc/pkg/core-sounds-ru.txt.gz"
    transcript.parent.mkdir(parents=True)
    transcript.write_bytes(gzip.compress(("﻿; comment: no\n\n" + lines).encode()))
    return folder


def test_prompts_join_lines_and_files(tmp_path: Path) -> None:
    lines = "a: Привет:  мир. \nd/b: [тон]\nc: Что?\nlost: x\ne: два (тихо) слова\nf: не ? тут\n"
    plan = plan_prompts(_prompts(tmp_path, lines, ["a", "d/b", "c", "e", "f", "extra"]), "ru", "L")
    assert {r.where: r.text for r in plan.recordings} == {
        "a.g722": "Привет: мир.",
        "c.g722": "Что?",
        "e.g722": "два слова",
    }
    assert {r.licence for r in plan.recordings} == {"L"}
    assert [r.where for r in plan.rejects] == ["f.g722"]
    assert plan.skipped == {
        "audio without a transcript": 1,
        "tones and silence": 1,
        "transcripts without audio": 1,
    }


def test_prompts_without_their_files_are_an_integrity_error(tmp_path: Path) -> None:
    with pytest.raises(IntegrityError, match="0 folders of sounds"):
        plan_prompts(tmp_path, "en", "x")


@given(st.text(min_size=1, max_size=200), st.text(min_size=1, max_size=200))
def test_slugs_are_file_names_that_keep_names_of_other_scripts_apart(a: str, b: str) -> None:
    for name in (slug(a), slug(b)):
        assert name and len(name) < 140
        assert set(name) <= set("abcdefghijklmnopqrstuvwxyz0123456789.-")
        assert not name.startswith((".", "-"))
    if not a.isascii() and not b.isascii() and slug(a) == slug(b):
        import unicodedata

        assert unicodedata.normalize("NFC", a) == unicodedata.normalize("NFC", b)


REACH = Reach(Path("/nonexistent"), offline=True, timeout=1)


def _folder(path: Path, table: str | bytes, name: str = "table.csv", **params: str) -> Folder:
    path.mkdir(exist_ok=True)
    (path / name).write_bytes(table if isinstance(table, bytes) else table.encode())
    (path / "a.wav").write_bytes(b"x")
    (path / "sub").mkdir(exist_ok=True)
    (path / "sub" / "b.wav").write_bytes(b"x")
    source = FolderSource(kind="folder", path=path.name, language="en", **params)
    return Folder(source, path.parent)


@pytest.mark.parametrize(
    ("name", "table"),
    [
        ("t.csv", 'audio,text,speaker\na.wav,"Hello, you",Ann\nsub/b.wav,Bye,\n'),
        ("t.csv", "text;audio;speaker\nHello, you;a.wav;Ann\nBye;sub/b.wav;\n"),
        ("t.tsv", "Audio\tText\tSpeaker\r\na.wav\tHello, you\tAnn\r\n\r\nsub\\b.wav\tBye\t\r\n"),
        ("t.csv", "﻿audio,text,speaker,mood\n a.wav , 'x ,Ann,good\nsub/b.wav,Bye,,\n"),
    ],
)
def test_folder_tables_of_every_dialect(tmp_path: Path, name: str, table: str) -> None:
    plan = _folder(tmp_path / "My Speech", table, name, licence="CC0-1.0").plan(REACH)
    first, second = plan.recordings
    assert first.text in ("Hello, you", "'x") and second.text == "Bye"
    assert (first.id, second.id) == ("my-speech-a", "my-speech-sub-b")
    assert (first.speaker, second.speaker) == ("my-speech:Ann", "my-speech:unknown")
    assert second.audio == FileAudio(tmp_path / "My Speech" / "sub/b.wav")
    assert first.source == "folder:my-speech" and first.licence == "CC0-1.0"
    assert first.accent == first.language == "en" and not first.is_synthetic
    assert plan.rejects == ()


def test_folder_reads_every_optional_column(tmp_path: Path) -> None:
    table = "id,audio,text,accent,language,licence\nUtt 7,a.wav,Ciao,it_CH,IT,MIT\n"
    (row,) = _folder(tmp_path / "f", table).plan(REACH).recordings
    assert (row.id, row.accent, row.language, row.licence) == ("f-utt-7", "it-ch", "it", "MIT")


def test_folder_quarantines_what_is_wrong_with_one_recording(tmp_path: Path) -> None:
    table = "audio,text\na.wav,fine\nnone.wav,gone\nsub/b.wav, ... \nsub,folder\n"
    plan = _folder(tmp_path / "f", table).plan(REACH)
    assert [r.id for r in plan.recordings] == ["f-a"]
    assert {r.where: r.reason for r in plan.rejects} == {
        "none.wav": "missing",
        "sub/b.wav": "empty-text",
        "sub": "missing",
    }


@pytest.mark.parametrize(
    ("table", "says"),
    [
        ("file,text\na.wav,x\n", ["line 1", "lacks audio", "file, text", "speaker"]),
        ("audio\na.wav\n", ["line 1", "lacks text"]),
        ("", ["lacks audio and text", "columns: none"]),
        ("audio,text,text\na.wav,x,y\n", ["names 'text' twice"]),
        ("audio,text\na.wav,one, two\n", ["line 2", "3 cells", "double quotes"]),
        ("audio,text\n\na.wav\n", ["line 3", "1 cells"]),
        ("audio,text\n../a.wav,x\n", ["line 2", "column audio", "leads out"]),
        ("audio,text\nsub/../../a.wav,x\n", ["column audio", "leads out"]),
        ("audio,text\n/etc/passwd,x\n", ["column audio", "leads out"]),
        ("audio,text\nC:\\a.wav,x\n", ["column audio", "leads out"]),
        ("audio,text\n,x\n", ["line 2", "column audio", "empty"]),
        ("audio,text,accent\na.wav,x,british english\n", ["line 2", "column accent", "british"]),
        ("audio,text,language\na.wav,x,english\n", ["line 2", "column language", "english"]),
        ('audio,text\na.wav,"x" y\n', ["line 2", "quotes"]),
        ("audio,text\na.wav,caf\xe9\n".encode("latin-1"), ["not UTF-8", "byte 20"]),
        ("audio,text\na.wav,x\n".encode("utf-16"), ["not UTF-8"]),
    ],
)
def test_folder_names_the_place_of_a_mistake(
    tmp_path: Path, table: str | bytes, says: list[str]
) -> None:
    with pytest.raises(UsageError) as caught:
        _folder(tmp_path / "f", table).plan(REACH)
    for words in ["table.csv", *says]:
        assert words in str(caught.value)


def test_folder_asks_which_table(tmp_path: Path) -> None:
    source = _folder(tmp_path / "f", "audio,text\na.wav,x\n", "one.csv")
    (tmp_path / "f" / "two.tsv").write_text("audio\ttext\nsub/b.wav\ty\n")
    with pytest.raises(UsageError, match=r"`table`.*one\.csv, two\.tsv"):
        source.plan(REACH)
    named = Folder(source.params.model_copy(update={"table": "two.tsv"}), tmp_path)
    assert [r.text for r in named.plan(REACH).recordings] == ["y"]
    wrong = Folder(source.params.model_copy(update={"table": "three.csv"}), tmp_path)
    with pytest.raises(UsageError, match=r"three\.csv does not exist"):
        wrong.plan(REACH)
    with pytest.raises(UsageError, match="does not exist"):
        Folder(source.params, tmp_path / "elsewhere").plan(REACH)


def test_folder_fingerprint_sees_table_audio_and_parameters(tmp_path: Path) -> None:
    source = _folder(tmp_path / "f", "audio,text\na.wav,x\nnone.wav,y\n")
    seen = [source.fingerprint()]
    assert source.fingerprint() == seen[0]
    os.utime(tmp_path / "f" / "a.wav", (1, 1))
    seen.append(source.fingerprint())
    (tmp_path / "f" / "table.csv").write_text("audio,text\na.wav,z\nnone.wav,y\n")
    seen.append(source.fingerprint())
    (tmp_path / "f" / "none.wav").write_bytes(b"now")
    seen.append(source.fingerprint())
    other = source.params.model_copy(update={"licence": "MIT"})
    seen.append(Folder(other, tmp_path).fingerprint())
    assert all(seen[i] != seen[j] for i in range(5) for j in range(i))
