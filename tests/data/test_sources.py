"""Sources plan what is really there: prompts with their transcripts, and a user's own folder."""

from __future__ import annotations

import csv
import gzip
import hashlib
import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.fetch import fetch
from data.sources import open_sources
from data.sources.audio_paths import inside
from data.sources.base import FileAudio, Plan, Reach, slug
from data.sources.folder import Folder
from data.sources.prompts import plan_prompts, read_transcript
from data.sources.rows import is_mojibake
from data.sources.text_tables import Line, Unusable, read_csv
from voiceforge.errors import IntegrityError, UsageError
from voiceforge.params import DomainParams, FolderSource, load_params


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
        assert not set(recording.text) & set("[]()<>#*�…")
        assert ".." not in recording.text
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
    folder = fetch("prompts-it", cache=cache, offline=False, timeout=10)
    plan = plan_prompts(folder, "it", "x")
    texts = {r.id: r.text for r in plan.recordings}
    assert texts["prompts-it-activated"] == "Attivato."
    assert texts["prompts-it-letters-dot"] == "punto"
    # "...ha lasciato la conferenza.": what comes before is another recording.
    assert texts["prompts-it-conf-hasleft"] == "ha lasciato la conferenza."
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


@pytest.mark.parametrize(
    ("domain", "number", "count", "digest"),
    [
        ("telephony-en", 0, 548, "ec00ef027d405b8c"),
        ("telephony-en", 1, 2983, "de92cf0c8eedb7e1"),
        ("telephony-it", 0, 566, "1ebf4a1d203a0fa5"),
    ],
)
def test_ids_of_the_shipped_domains_stay_as_they_were_published(
    project: Path, cache: Path, domain: str, number: int, count: int, digest: str
) -> None:
    source = open_sources(load_params(project / "params.yaml")[domain], project)[number]
    ids = [r.id for r in source.plan(Reach(cache, offline=False, timeout=10)).recordings]
    assert len(ids) == count
    assert hashlib.sha256("\n".join(ids).encode()).hexdigest()[:16] == digest


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


@pytest.mark.parametrize(
    ("table", "says"),
    [
        ("file,text\na.wav,x\n", ["line 1", "lacks audio", "file, text", "speaker"]),
        ("audio\na.wav\n", ["line 1", "lacks text"]),
        ("", ["lacks audio and text", "columns: none"]),
        ("audio,text,text\na.wav,x,y\n", ["names 'text' twice"]),
        (
            "audio,text\na.wav,caf\xe9\n".encode("latin-1"),
            ["not UTF-8", "0xe9 at byte 20, line 2", "iconv -f WINDOWS-1252 -t UTF-8 table.csv"],
        ),
        ("audio,text\na.wav,x\n".encode("utf-16-le"), ["not UTF-8", "byte 1", "byte order mark"]),
        (b"\xff\xfe" + "audio,text\na.wav,x\n".encode("utf-16-le")[:-1], ["UTF-16", "damaged"]),
        (bytes(range(128, 256)), ["not UTF-8", "0x80 at byte 0, line 1"]),
    ],
)
def test_folder_names_the_place_of_a_mistake_in_its_table(
    tmp_path: Path, table: str | bytes, says: list[str]
) -> None:
    source = _folder(tmp_path / "f", table)
    for ask in (lambda: source.plan(REACH), source.fingerprint):
        with pytest.raises(UsageError) as caught:
            ask()
        for words in ["table.csv", *says]:
            assert words in str(caught.value)


def test_an_absolute_path_inside_the_folder_is_told_what_to_write(tmp_path: Path) -> None:
    root = tmp_path / "f"
    for path in (f"{root}/sub/b.wav", f" {root}/sub//b.wav".replace("/", "\\")):
        with pytest.raises(Unusable) as raised:
            inside(path, root)
        said = str(raised.value)
        assert said.endswith("is an absolute path, and those are not read. Write 'sub/b.wav'.")
    with pytest.raises(Unusable, match="leads out of its folder"):
        inside(f"{root}/../b.wav", root)


@pytest.mark.parametrize(
    ("row", "reason", "says"),
    [
        ("a.wav,one, two,", "bad-row", ["4 cells", "header has 3", "double quotes"]),
        ("a.wav", "bad-row", ["1 cells"]),
        ('a.wav,"x" y,', "bad-row", ["quotes"]),
        ('a.wav,"never closed,', "bad-row", ["quote"]),
        ("../a.wav,x,", "unsafe-path", ["leads out"]),
        ("sub/../../a.wav,x,", "unsafe-path", ["leads out"]),
        ("/etc/passwd,x,", "unsafe-path", ["absolute path", "Move the recording into"]),
        ("/f/../a.wav,x,", "unsafe-path", ["leads out"]),
        ("C:\\a.wav,x,", "unsafe-path", ["absolute path"]),
        ("a\0.wav,x,", "unsafe-path", ["no file name"]),
        (f"{'long' * 70}.wav,x,", "missing", ["too long"]),
        (",x,", "missing", ["empty"]),
        ("none.wav,x,", "missing", ["not there"]),
        ("a.wav/b.wav,x,", "missing", ["directory"]),
        ("sub,x,", "missing", ["not a file"]),
        ("a.wav, ... ,", "empty-text", ["no words"]),
        ("a.wav,caf\ufffd,", "damaged-text", ["encoding"]),
        ("a.wav,x\0y,", "damaged-text", ["encoding"]),
        ("a.wav,x,accent=british english", "bad-accent", ["british english"]),
        ("a.wav,x,language=english", "bad-language", ["english", "'en'"]),
        ("a.wav,x,consent=perhaps", "bad-consent", ["perhaps", "granted, unknown, refused"]),
        ("a.wav,x,speaker=\ufffd", "bad-row", ["speaker"]),
        ("sub/b.wav,x,", "duplicate-id", ["table.csv, line 2 is called sub/b.wav already"]),
        ("out.wav,x,", "unsafe-path", ["leads out"]),
        ("away/a.wav,x,", "unsafe-path", ["leads out"]),
        ("circle.wav,x,", "unsafe-path", ["circle"]),
        ("circle.d/a.wav,x,", "unsafe-path", ["circle"]),
        ("dangling.wav,x,", "missing", ["not there"]),
    ],
)
def test_folder_rejects_a_bad_row_and_keeps_those_around_it(
    tmp_path: Path, row: str, reason: str, says: list[str]
) -> None:
    *cells, last = row.split(",")
    column, _, value = last.partition("=") if "=" in last else ("extra", "", last)
    lines = [f"audio,text,{column}", "sub/b.wav,before,", ",".join([*cells, value])]
    source = _folder(tmp_path / "f", "\n".join([*lines, "sub/c.wav,after,", ""]))
    folder = tmp_path / "f"
    (folder / "sub" / "c.wav").write_bytes(b"x")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "a.wav").write_bytes(b"x")
    (folder / "out.wav").symlink_to(tmp_path / "elsewhere" / "a.wav")
    (folder / "away").symlink_to(tmp_path / "elsewhere")
    (folder / "circle.wav").symlink_to("circle.wav")
    (folder / "circle.d").symlink_to("circle.d")
    (folder / "dangling.wav").symlink_to("nothing.wav")
    plan = source.plan(REACH)
    assert [r.text for r in plan.recordings] == ["before", "after"]
    (reject,) = plan.rejects
    assert reject.reason == reason
    for words in ["table.csv, line 3", *says]:
        assert words in reject.detail
    assert reject.detail.isprintable() and reject.where.isprintable() and reject.id
    assert source.fingerprint() == source.fingerprint()


def test_an_open_quote_costs_its_line_and_not_those_up_to_the_next_quote(tmp_path: Path) -> None:
    names = [f"{n}.wav" for n in range(6)]
    texts = ["zero", '"one', "two", '"three, or so"', '"four\nin two lines"', '"five']
    rows = [f"{name},{text}" for name, text in zip(names, texts, strict=True)]
    source = _folder(tmp_path / "f", "audio,text\n" + "\n".join(rows))
    for name in names:
        (tmp_path / "f" / name).write_bytes(b"x")
    plan = source.plan(REACH)
    kept = ["zero", "two", "three, or so", "four in two lines"]
    assert [r.text for r in plan.recordings] == kept
    assert [(r.where, r.reason) for r in plan.rejects] == [
        ("table.csv, line 3", "bad-row"),
        ("table.csv, line 8", "bad-row"),
    ]


def test_a_folder_of_only_bad_rows_is_a_plan_and_no_error(tmp_path: Path) -> None:
    plan = _folder(tmp_path / "f", 'audio,text\n"\n"""\n,,,\n').plan(REACH)
    assert plan.recordings == () and {r.reason for r in plan.rejects} == {"bad-row"}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_tables_come_in_every_unicode_encoding_with_its_mark(tmp_path: Path, encoding: str) -> None:
    names = ["my calls/Größe 🎙️.wav", "ленинград.wav", "a b.wav"]
    table = "audio;text\n" + "".join(f"{name};Schöne Grüße 🎉\n" for name in names)
    source = _folder(tmp_path / "Große Reise 🚂", table.encode(encoding))
    for name in names:
        path = tmp_path / "Große Reise 🚂" / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"x")
    plan = source.plan(REACH)
    assert plan.rejects == ()
    assert [r.where for r in plan.recordings] == names
    assert {r.text for r in plan.recordings} == {"Schöne Grüße 🎉"}
    assert len({r.id for r in plan.recordings}) == 3 and all(
        r.id.isascii() for r in plan.recordings
    )


def test_consent_is_the_rows_own_or_the_sources(tmp_path: Path) -> None:
    table = "audio,text,consent\na.wav,x,\nsub/b.wav,y, Refused\n"
    for default in ("granted", "unknown", "refused"):
        plan = _folder(tmp_path / "f", table, consent=default).plan(REACH)
        assert [r.consent for r in plan.recordings] == [default, "refused"]


def test_a_language_tag_is_language_and_accent(tmp_path: Path) -> None:
    table = "audio,text,language,accent\na.wav,x,pt_BR,\nsub/b.wav,y,de-AT,de-x-wien\n"
    rows = _folder(tmp_path / "f", table).plan(REACH).recordings
    assert [(r.language, r.accent) for r in rows] == [("pt", "pt-br"), ("de", "de-x-wien")]


def test_audio_that_the_table_forgot_is_counted(tmp_path: Path) -> None:
    source = _folder(tmp_path / "f", "audio,text\nsub\\b.wav,x\nnone.wav,y\n")
    before = source.fingerprint()
    assert source.plan(REACH).skipped == {"audio that the table does not name": 1}
    for name in ("sub/c.MP3", "notes.txt", ".hidden.wav", ".git/d.wav"):
        (tmp_path / "f" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "f" / name).write_bytes(b"x")
    assert source.plan(REACH).skipped == {"audio that the table does not name": 2}
    assert source.fingerprint() != before


def _ids(folder: Path, rows: str) -> dict[str, str]:
    """Text -> id; nothing is rejected."""
    plan = _folder(folder, f"audio,text,id\n{rows}").plan(REACH)
    assert plan.rejects == () and len({r.id for r in plan.recordings}) == len(plan.recordings)
    return {r.text: r.id for r in plan.recordings}


def test_names_that_an_id_cannot_tell_apart_keep_recordings_of_their_own(tmp_path: Path) -> None:
    rows = "a.wav,one,f-aB3dX\na.wav,two,f-Ab3Dx\na.wav,three,other\na.wav,four,call_1\n"
    more = "a.wav,five,call 1\nsub/b.wav,six,\na.wav,seven,sub-b\n"
    ids = _ids(tmp_path / "calls", rows + more)
    assert ids["three"] == "calls-other"  # what nothing collides with stays as it is
    starts = {text: name.rpartition("-")[0] for text, name in ids.items()}
    assert starts["one"] == starts["two"] == "calls-f-ab3dx"
    assert starts["four"] == starts["five"] == "calls-call-1"
    assert starts["six"] == starts["seven"] == "calls-sub-b"
    # The order of rows decides nothing.
    other = "".join(sorted((rows + more).splitlines(keepends=True)))
    assert _ids(tmp_path / "calls", other) == ids
    # One name twice is still one recording too many, under whatever id.
    again = _folder(tmp_path / "calls", f"audio,text,id\n{rows}a.wav,x,f-aB3dX\n").plan(REACH)
    assert [(r.reason, r.id) for r in again.rejects] == [("duplicate-id", ids["one"])]
    assert "table.csv, line 2" in again.rejects[0].detail


def test_files_that_differ_in_their_format_only_are_different_recordings(tmp_path: Path) -> None:
    (tmp_path / "calls").mkdir()
    (tmp_path / "calls" / "a.mp3").write_bytes(b"x")
    ids = _ids(tmp_path / "calls", "a.wav,one,\na.mp3,two,\n")
    assert {name.rpartition("-")[0] for name in ids.values()} == {"calls-a"}


_GIVEN = st.text("aAbB12/ _-.", min_size=1, max_size=5).filter(lambda name: name.strip() == name)


@given(st.lists(_GIVEN, unique=True, min_size=1, max_size=8))
def test_every_name_of_a_source_is_a_recording(names: list[str]) -> None:
    with tempfile.TemporaryDirectory() as root:
        ids = _ids(Path(root) / "c", "".join(f"a.wav,t{n},{x}\n" for n, x in enumerate(names)))
    assert len(ids) == len(names)


_WORDS = (
    "perché città più È l’università CITTÀ OÙ été où cœur ÉCOLE Noël façon ça naïve maïs Fuß für "
    "GRÖẞE Übung MÄRZ Äpfel łódź dziękuję ŻÓŁĆ ąę gęś Ślązak teşekkür ığdır İstanbul ŞİŞLİ привет "
    "ПОДЪЁМ ёж HYVÄ SÃO irmã MANHÃ ÅÄÖ Øre ΑΒΓ άλφα ÚŽASNÝ VÝŠKA BLÍŽE niño ÑANDÚ שלום مرحبا 你好"
)
_BETWEEN = (" ", "… ", "\xa0» ", "” ", " « ", " – ", "—", "’ ", "\xa0! ", "“, ", "™ ", "€ ")


@given(st.lists(st.tuples(st.sampled_from(_WORDS.split()), st.sampled_from(_BETWEEN)), min_size=1))
def test_real_words_of_many_languages_are_no_mojibake(pairs: list[tuple[str, str]]) -> None:
    # All but two Portuguese capitals, which are how damage most often begins.
    said = [(word, "." if word.endswith("Ã") else mark) for word, mark in pairs]
    assert not is_mojibake("".join(word + mark for word, mark in said))


@pytest.mark.parametrize("encoding", ["cp1252", "latin-1"])
@pytest.mark.parametrize(
    "word",
    ["perché", "città", "più", "für", "Fuß", "dziękuję", "łódź", "teşekkür", "привет", "мир",
     "άλφα", "don’t", "cœur", "你好", "مرحبا", "שלום", "İstanbul", "« oui »"],
)  # fmt: skip
def test_mojibake_of_many_languages_is_damage(tmp_path: Path, word: str, encoding: str) -> None:
    wrong = "".join(
        bytes([one]).decode(encoding, errors="ignore") or chr(one) for one in word.encode()
    )
    assert is_mojibake(f"so {wrong} then") and is_mojibake(wrong)
    plan = _folder(tmp_path / "calls", f'audio,text\na.wav,"so {wrong} then"\n').plan(REACH)
    assert [r.reason for r in plan.rejects] == ["damaged-text"]


def test_different_folders_of_one_name_are_refused(tmp_path: Path, project: Path) -> None:
    def opened(*sources: dict[str, str]) -> int:
        shipped = load_params(project / "params.yaml")["telephony-en"].model_dump()
        named = [{"language": "en", **source} for source in sources]
        return len(
            open_sources(DomainParams.model_validate({**shipped, "sources": named}), tmp_path)
        )

    one = {"kind": "folder", "path": "siteA/recordings", "table": "1.csv"}
    assert opened(one, {**one, "table": "2.csv"}, {**one, "path": "siteB/calls"}) == 3
    for other in (
        {"kind": "folder", "path": "siteB/recordings"},
        {"kind": "corrections", "path": "siteB/Recordings"},
        {"kind": "huggingface", "path": "siteB/recordings"},
    ):
        with pytest.raises(UsageError, match=r"siteA/recordings and .*Rename one"):
            opened(one, other)
    manifest = {"kind": "nemo-manifest", "path": "x/calls/all.jsonl"}
    assert opened(manifest, {**manifest, "path": "x/calls/more.jsonl"}) == 2
    with pytest.raises(UsageError, match="'calls-all'"):
        opened(manifest, {**manifest, "path": "y/calls/all.jsonl"})


def test_links_inside_the_folder_are_followed(tmp_path: Path) -> None:
    source = _folder(tmp_path / "f", "audio,text\nlink.wav,x\nd/b.wav,y\n")
    (tmp_path / "f" / "link.wav").symlink_to("a.wav")
    (tmp_path / "f" / "d").symlink_to("sub")
    (tmp_path / "g").symlink_to("f")
    assert len(source.plan(REACH).recordings) == 2
    linked = Folder(source.params.model_copy(update={"path": "g"}), tmp_path)
    assert [r.where for r in linked.plan(REACH).recordings] == ["link.wav", "d/b.wav"]


@given(
    st.lists(
        st.lists(st.text(st.characters(codec="utf-8"), max_size=12), min_size=2, max_size=2),
        max_size=8,
    ),
    st.sampled_from([",", ";", "\t"]),
)
def test_what_csv_writes_is_read_back(rows: list[list[str]], delimiter: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "t.csv"
        with path.open("w", encoding="utf-8", newline="") as stream:
            writer = csv.writer(stream, delimiter=delimiter)
            writer.writerows([["audio", "text"], *rows])
        lines = list(read_csv(path, ["audio", "text"], [], delimiters=",;\t", quotes=True))
    wanted = [[cell.strip() for cell in row] for row in rows]
    assert [list(line.cells.values()) for line in lines if isinstance(line, Line)] == [
        row for row in wanted if any(row)
    ]


@given(st.binary(max_size=60))
def test_no_bytes_of_a_table_are_more_than_rejects_or_a_usage_error(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        source = _folder(Path(folder) / "f", b"audio,text,id\n" + content)
        try:
            plan = source.plan(REACH)
        except UsageError as error:
            assert "table.csv" in str(error)
        else:
            for reject in plan.rejects:
                assert "table.csv, line " in reject.detail and reject.reason in REASONS


REASONS = {"bad-row", "missing", "unsafe-path", "empty-text", "damaged-text", "duplicate-id"}


def test_folder_asks_which_table(tmp_path: Path) -> None:
    source = _folder(tmp_path / "f", "audio,text\na.wav,x\n", "one.csv")
    (tmp_path / "f" / "two.tsv").write_text("audio\ttext\nsub/b.wav\ty\n")
    with pytest.raises(UsageError, match=r"one\.csv, two\.tsv.*`--set table=one\.csv`"):
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
