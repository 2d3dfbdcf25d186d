"""Layouts of others, with real files: Common Voice, LibriSpeech, NeMo manifests, corrections."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.sources import open_sources
from data.sources.base import FileAudio, Reach
from data.sources.common_voice import CommonVoice, accent_tag
from data.sources.corrections import Corrections
from data.sources.librispeech import LibriSpeech
from data.sources.nemo_manifest import NemoManifest
from voiceforge.errors import UsageError
from voiceforge.params import (
    CommonVoiceSource,
    CorrectionsSource,
    DomainParams,
    LibriSpeechSource,
    NemoManifestSource,
    load_params,
)

REACH = Reach(Path("/nonexistent"), offline=True, timeout=1)


def write(path: Path, content: str | bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


# Common Voice

COLUMNS = "client_id path sentence up_votes down_votes age gender accents variant locale segment"


def clip(
    name: str, sentence: str, client: str = "c1", accents: str = "", locale: str = "en"
) -> str:
    return "\t".join([client, name, sentence, "2", "0", "", "", accents, "", locale, ""])


def common_voice(folder: Path, *rows: str, table: str = "validated", **params: Any) -> CommonVoice:
    header = "\t".join(COLUMNS.split())
    write(folder / f"{table}.tsv", "\n".join([header, *rows]) + "\n")
    for name in ("a.mp3", "b.mp3", "c.mp3"):
        write(folder / "clips" / name, b"x")
    fields = {"kind": "common-voice", "path": folder.name, "language": "en", **params}
    return CommonVoice(CommonVoiceSource.model_validate(fields), folder.parent)


def test_common_voice_is_read_as_it_is_written(tmp_path: Path) -> None:
    plan = common_voice(
        tmp_path / "en",
        clip("a.mp3", 'He said "no" twice', "7f3", "England English"),
        clip("b.mp3", '"Never closed', "7f3", "India and South Asia (India, Pakistan, Sri Lanka)"),
        clip("c.mp3", "Grüezi mitenand", "99a", "Züri|Midwestern, low voice", "de-CH"),
    ).plan(REACH)
    assert plan.rejects == ()
    first, second, third = plan.recordings
    assert (first.text, second.text) == ('He said "no" twice', '"Never closed')
    assert first.speaker == second.speaker == "common-voice:7f3"
    assert (first.accent, second.accent) == ("en-gb", "en-in")
    assert (third.language, third.accent[:5]) == ("de", "de-x-")
    assert first.id == "cv-a" and first.source == "common-voice:en"
    assert first.licence == "CC0-1.0" and first.consent == "unknown"
    assert first.where == "clips/a.mp3"
    assert first.audio == FileAudio(tmp_path / "en" / "clips/a.mp3")


def test_older_releases_of_common_voice_name_an_accent(tmp_path: Path) -> None:
    source = common_voice(tmp_path / "en")
    rows = "client_id\tpath\tsentence\taccent\nx\ta.mp3\tHello\tscotland\nx\tb.mp3\tYou\t\n"
    write(tmp_path / "en" / "validated.tsv", rows)
    assert [r.accent for r in source.plan(REACH).recordings] == ["en-gb-scotland", "en"]


def test_a_clip_of_several_tables_counts_once(tmp_path: Path) -> None:
    rows = [clip("a.mp3", "One"), clip("b.mp3", "Two")]
    common_voice(tmp_path / "en", rows[0], table="train")
    source = common_voice(tmp_path / "en", *rows, tables=["train", "validated"])
    plan = source.plan(REACH)
    assert [r.id for r in plan.recordings] == ["cv-a", "cv-b"] and plan.rejects == ()
    assert plan.skipped == {
        "clips that an earlier table names": 1,
        "clips that no table read here names": 1,
    }


def test_common_voice_rejects_rows_and_keeps_the_rest(tmp_path: Path) -> None:
    plan = common_voice(
        tmp_path / "en",
        clip("../../etc/passwd", "x"),
        clip("/etc/passwd", "x"),
        clip("", "x"),
        clip("gone.mp3", "x"),
        clip("a.mp3", ""),
        clip("b.mp3", "x", locale="English"),
        "c1\tb.mp3\ttoo few",
        clip("c.mp3", "Kept"),
        clip("c.mp3", "Again"),
    ).plan(REACH)
    assert [r.text for r in plan.recordings] == ["Kept"]
    reasons = [
        (r.reason, re.findall(r"validated\.tsv, line (\d+)", r.detail)[0]) for r in plan.rejects
    ]
    assert reasons == [
        ("unsafe-path", "2"),
        ("unsafe-path", "3"),
        ("missing", "4"),
        ("missing", "5"),
        ("empty-text", "6"),
        ("bad-language", "7"),
        ("bad-row", "8"),
        ("duplicate-id", "10"),
    ]


def test_common_voice_says_what_its_folder_lacks(tmp_path: Path) -> None:
    source = common_voice(tmp_path / "en", clip("a.mp3", "x"), tables=["dev"])
    with pytest.raises(UsageError, match=r"dev\.tsv does not exist.*may name: validated"):
        source.plan(REACH)
    (tmp_path / "de").mkdir()
    write(tmp_path / "de" / "validated.tsv", "client_id\tpath\tsentence\n")
    bare = CommonVoice(
        source.params.model_copy(update={"path": "de", "tables": ("validated",)}), tmp_path
    )
    with pytest.raises(UsageError, match="holds no folder `clips`"):
        bare.plan(REACH)
    write(tmp_path / "en" / "dev.tsv", "path\tsentence\n")
    with pytest.raises(UsageError, match=r"dev\.tsv, line 1 lacks client_id"):
        source.plan(REACH)
    write(
        tmp_path / "en" / "dev.tsv",
        "client_id\tpath\tsentence\nx\ta.mp3\tcaf\xe9\n".encode("latin-1"),
    )
    with pytest.raises(UsageError, match=r"dev\.tsv is not UTF-8: 0xe9 .*line 2"):
        source.fingerprint()


@pytest.mark.parametrize(
    ("said", "locale", "tag"),
    [
        ("", "en", ""),
        (" ", "en", ""),
        ("United States English", "en", "en-us"),
        ("scotland", "en", "en-gb-scotland"),
        ("scotland", "fr", "fr-x-scotland"),
        ("Kölsch", "de", "de-x-kolsch"),
        ("Wiener Dialekt", "de-AT", "de-x-wiener-dialekt"),
    ],
)
def test_accents_become_tags(said: str, locale: str, tag: str) -> None:
    assert accent_tag(said, locale) == tag


@given(st.text(max_size=60), st.text(max_size=60))
def test_every_accent_is_a_tag_and_others_are_others(one: str, other: str) -> None:
    tags = [accent_tag(said, "zh-TW") for said in (one, other)]
    for tag in tags:
        assert tag == "" or re.fullmatch(r"zh-x(-[a-z0-9]{1,8}){1,5}", tag)
    alike = ["".join(c for c in said.casefold() if c.isalnum()) for said in (one, other)]
    if alike[0] != alike[1] and all(said.isascii() for said in (one, other)):
        assert tags[0] != tags[1]


# LibriSpeech


def librispeech(folder: Path, transcript: str | bytes, **params: Any) -> LibriSpeech:
    chapter = folder / "dev-clean" / "84" / "121123"
    write(chapter / "84-121123.trans.txt", transcript)
    for number in range(3):
        write(chapter / f"84-121123-000{number}.flac", b"x")
    fields = {"kind": "librispeech", "path": folder.name, "language": "en", **params}
    return LibriSpeech(LibriSpeechSource.model_validate(fields), folder.parent)


def test_librispeech_is_read_and_lowered(tmp_path: Path) -> None:
    lines = "84-121123-0000 GO  DO YOU HEAR\n84-121123-0001 IT'S DON'T\n"
    source = librispeech(tmp_path / "LibriSpeech", lines)
    write(tmp_path / "LibriSpeech" / "SPEAKERS.TXT", "; not needed\n")
    other = tmp_path / "LibriSpeech" / "test-clean" / "61" / "70968"
    write(other / "61-70968.trans.txt", "61-70968-0000 HE BEGAN\n")
    write(other / "61-70968-0000.flac", b"x")
    plan = source.plan(REACH)
    assert plan.rejects == () and plan.skipped == {"audio without a transcript": 1}
    assert [r.text for r in plan.recordings] == ["go do you hear", "it's don't", "he began"]
    assert [r.speaker for r in plan.recordings] == ["librispeech:84"] * 2 + ["librispeech:61"]
    first = plan.recordings[0]
    assert first.id == "librispeech-84-121123-0000" and first.licence == "CC-BY-4.0"
    assert first.where == "dev-clean/84/121123/84-121123-0000.flac"
    one = librispeech(tmp_path / "LibriSpeech", lines, subsets=["test-clean"])
    assert [r.text for r in one.plan(REACH).recordings] == ["he began"]
    with pytest.raises(UsageError, match=r"no subset 'dev-other'.*dev-clean, test-clean"):
        librispeech(tmp_path / "LibriSpeech", lines, subsets=["dev-other"]).plan(REACH)


def test_librispeech_rejects_lines_and_keeps_the_rest(tmp_path: Path) -> None:
    lines = "84-121123-0000\n../../x.flac WORDS\n\n84-121123-0009 GONE\n84-121123-0001 KEPT\n"
    plan = librispeech(tmp_path / "L", lines + "84-121123-0001 AGAIN").plan(REACH)
    assert [r.text for r in plan.recordings] == ["kept"]
    place = "dev-clean/84/121123/84-121123.trans.txt, line "
    assert [(r.reason, r.detail.split(":")[0]) for r in plan.rejects] == [
        ("empty-text", f"{place}1"),
        ("bad-row", f"{place}2"),
        ("missing", f"{place}4"),
        ("duplicate-id", f"{place}6"),
    ]


def test_librispeech_says_what_is_wrong_with_its_folder(tmp_path: Path) -> None:
    source = librispeech(tmp_path / "L", b"84-121123-0000 CAF\xc9\n")
    with pytest.raises(UsageError, match=r"84-121123\.trans\.txt is not UTF-8: 0xc9 .*line 1"):
        source.plan(REACH)
    (tmp_path / "empty").mkdir()
    empty = LibriSpeech(source.params.model_copy(update={"path": "empty"}), tmp_path)
    with pytest.raises(UsageError, match=r"holds no SUBSET/SPEAKER/CHAPTER"):
        empty.plan(REACH)


# NeMo manifests


def line(**changes: Any) -> str:
    fields = {"audio_filepath": "a.wav", "text": "words", "duration": 1.5, **changes}
    return json.dumps({key: value for key, value in fields.items() if value is not ...})


def manifest(folder: Path, *lines: str, name: str = "train.json", **params: Any) -> NemoManifest:
    path = write(folder / name, "\n".join(lines) + "\n")
    write(folder / "a.wav", b"x")
    write(folder / "sub" / "b.wav", b"x")
    fields = {"kind": "nemo-manifest", "path": str(path), "language": "en", **params}
    return NemoManifest(NemoManifestSource.model_validate(fields), folder)


def test_nemo_manifests_hold_files_and_parts_of_them(tmp_path: Path) -> None:
    plan = manifest(
        tmp_path / "calls",
        line(speaker="Ann", lang="en-GB", extra={"a": [1]}),
        line(audio_filepath="sub/b.wav", offset=2.5, duration=1.25, text="part"),
        line(audio_filepath="./sub/b.wav", offset=0, duration=0.5, licence="MIT", id="x"),
    ).plan(REACH)
    assert plan.rejects == ()
    whole, part, first = plan.recordings
    assert whole.audio == FileAudio(tmp_path / "calls/a.wav")
    assert (whole.speaker, whole.language, whole.accent) == ("calls-train:Ann", "en", "en-gb")
    assert part.audio == FileAudio(tmp_path / "calls/sub/b.wav", 2.5, 1.25)
    assert (part.id, part.where) == ("calls-train-sub-b-2500-3750", "sub/b.wav from 2.5 s on")
    assert first.audio == FileAudio(tmp_path / "calls/sub/b.wav", 0.0, 0.5)
    assert (first.id, first.licence) == ("calls-train-x", "MIT")


def test_absolute_paths_count_only_in_the_declared_root(tmp_path: Path) -> None:
    inside = write(tmp_path / "audio" / "deep" / "c.wav", b"x")
    outside = write(tmp_path / "other" / "d.wav", b"x")
    (tmp_path / "audio" / "link.wav").symlink_to(outside)
    lines = [
        line(audio_filepath=str(inside)),
        line(audio_filepath=str(outside)),
        line(audio_filepath=f"{tmp_path}/audio/../other/d.wav"),
        line(audio_filepath=f"{tmp_path}/audio/link.wav"),
        line(),
    ]
    source = manifest(tmp_path / "calls", *lines, audio_root=str(tmp_path / "audio"))
    plan = source.plan(REACH)
    assert [r.where for r in plan.recordings] == ["deep/c.wav", "a.wav"]
    assert [r.reason for r in plan.rejects] == ["unsafe-path"] * 3
    undeclared = manifest(tmp_path / "calls", *lines).plan(REACH)
    assert [r.where for r in undeclared.recordings] == ["a.wav"]
    with pytest.raises(UsageError, match="`audio_root`"):
        manifest(tmp_path / "calls", *lines, audio_root="nowhere").plan(REACH)


@pytest.mark.parametrize(
    ("bad", "reason", "says"),
    [
        ("{not json", "bad-row", "not JSON"),
        ("[1]", "bad-row", "holds a list"),
        ("[" * 100_000, "bad-row", "not JSON"),
        (line(duration=float("nan")), "bad-duration", "nan"),
        (line(duration=float("inf")), "bad-duration", "inf"),
        (line(duration=-1), "bad-duration", "-1"),
        (line(duration=0), "bad-duration", "0.0 s"),
        (line(duration=...), "bad-duration", "missing"),
        (line(duration="1.5"), "bad-row", "duration is '1.5'"),
        (line(duration=True), "bad-row", "duration is True"),
        (line(duration=10**400), "bad-duration", "inf"),
        (line(offset=float("nan")), "bad-duration", "offset"),
        (line(offset=-0.5), "bad-duration", "offset"),
        (line(text=...), "bad-row", "text is missing"),
        (line(text=1984), "bad-row", "text is 1984"),
        (line(text=""), "empty-text", "no words"),
        (line(text="a\ud800b"), "damaged-text", "encoding"),
        (line(speaker="a\ud800b"), "bad-row", "speaker"),
        (line(audio_filepath="a\ud800.wav"), "unsafe-path", "file name"),
        (line(audio_filepath=None), "bad-row", "audio_filepath is missing"),
        (line(audio_filepath="/a.wav"), "unsafe-path", "absolute path"),
        (line(audio_filepath="../calls/a.wav"), "unsafe-path", "leads out"),
        (line(lang="English!"), "bad-language", "english!"),
    ],
)
def test_a_bad_line_of_a_manifest_is_rejected_alone(
    tmp_path: Path, bad: str, reason: str, says: str
) -> None:
    plan = manifest(tmp_path / "c", line(), bad, line(audio_filepath="sub/b.wav")).plan(REACH)
    assert [r.where for r in plan.recordings] == ["a.wav", "sub/b.wav"]
    (reject,) = plan.rejects
    assert reject.reason == reason and says in reject.detail
    assert reject.detail.startswith("train.json, line 2: ")
    assert all(part.encode() for part in (reject.id, reject.where, reject.detail))


def test_tarred_manifests_are_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"tarred.*line 2 has a shard_id"):
        manifest(tmp_path / "c", line(), line(shard_id=0)).plan(REACH)
    for name in ("manifest__OP_0..127_CL_.json", "tarred_audio_manifest.json"):
        with pytest.raises(UsageError, match="its name is that of a shard"):
            manifest(tmp_path / "c", line(), name=name).plan(REACH)
    with pytest.raises(UsageError, match="does not exist"):
        NemoManifest(
            manifest(tmp_path / "c").params.model_copy(update={"path": "no"}), tmp_path
        ).plan(REACH)


# Corrections


def correction(**changes: Any) -> str:
    fields = {
        "id": "r-1",
        "audio": "audio/r-1.flac",
        "text": "Turn left",
        "hypothesis": "turn loft",
        "user": "u42",
        "language": "en",
        "accent": None,
        "consent": "granted",
        "licence": "unknown",
        "corrected_at": "2026-03-01T12:00:00+00:00",
        "model": "telephony-en/3",
        **changes,
    }
    return json.dumps({key: value for key, value in fields.items() if value is not ...})


def corrections(folder: Path, *lines: str) -> Corrections:
    write(folder / "corrections.jsonl", "\n".join(lines))
    write(folder / "audio" / "r-1.flac", b"x")
    fields = {"kind": "corrections", "path": folder.name, "language": "en"}
    return Corrections(CorrectionsSource.model_validate(fields), folder.parent)


def test_corrections_and_confirmations_enter_with_their_user(tmp_path: Path) -> None:
    plan = corrections(
        tmp_path / "march",
        correction(accent="en-IE"),
        correction(id="r-2", text="turn  loft", note="other keys are ignored"),
    ).plan(REACH)
    assert plan.rejects == ()
    first, confirmed = plan.recordings
    assert (first.id, first.speaker, first.accent) == ("march-r-1", "corrections:u42", "en-ie")
    assert first.consent == "granted" and first.source == "corrections:march"
    assert not first.is_synthetic and confirmed.text == "turn loft"


@pytest.mark.parametrize(
    ("changes", "reason", "says"),
    [
        ({"consent": "unknown"}, "no-consent", "unknown"),
        ({"consent": "Unknown"}, "no-consent", "unknown"),
        ({"consent": "refused"}, "no-consent", "refused"),
        ({"consent": "yes"}, "bad-consent", "yes"),
        ({"consent": ...}, "bad-row", "consent is missing"),
        ({"consent": ""}, "bad-row", "consent is empty"),
        ({"consent": True}, "bad-row", "consent is True"),
        ({"user": " "}, "bad-row", "user is empty"),
        ({"id": ...}, "bad-row", "id is missing"),
        ({"hypothesis": ...}, "bad-row", "hypothesis is missing"),
        ({"model": ...}, "bad-row", "model is missing"),
        ({"accent": ...}, "bad-row", "accent is missing"),
        ({"accent": "Irish brogue"}, "bad-accent", "irish brogue"),
        ({"language": "English"}, "bad-language", "english"),
        ({"corrected_at": "yesterday"}, "bad-row", "corrected_at"),
        ({"corrected_at": "2026-03-01T12:00:00"}, "bad-row", "offset"),
        ({"audio": "../r-1.flac"}, "unsafe-path", "leads out"),
        ({"audio": "audio/r-9.flac"}, "missing", "not there"),
        ({"text": " "}, "empty-text", "no words"),
    ],
)
def test_a_correction_that_may_not_enter_says_why(
    tmp_path: Path, changes: dict[str, Any], reason: str, says: str
) -> None:
    plan = corrections(tmp_path / "m", correction(**changes), correction(id="r-2")).plan(REACH)
    assert [r.id for r in plan.recordings] == ["m-r-2"]
    (reject,) = plan.rejects
    assert reject.reason == reason and says in reject.detail and "line 1" in reject.detail


def test_corrections_of_other_languages_are_skipped(tmp_path: Path) -> None:
    plan = corrections(
        tmp_path / "m", correction(language="it"), correction(language="en-US")
    ).plan(REACH)
    assert [r.accent for r in plan.recordings] == ["en-us"] and plan.rejects == ()
    assert plan.skipped == {"corrections in other languages than en": 1}


def test_corrections_need_their_table(tmp_path: Path) -> None:
    source = corrections(tmp_path / "m", correction())
    (tmp_path / "m" / "corrections.jsonl").unlink()
    with pytest.raises(UsageError, match=r"corrections\.jsonl does not exist"):
        source.plan(REACH)


# All of them


@pytest.fixture
def every_layout(project: Path, tmp_path: Path) -> DomainParams:
    common_voice(tmp_path / "en", clip("a.mp3", "x"))
    librispeech(tmp_path / "L", "84-121123-0000 X\n")
    manifest(tmp_path / "c", line())
    corrections(tmp_path / "m", correction())
    shipped = load_params(project / "params.yaml")["telephony-en"].model_dump()
    kinds = {
        "common-voice": "en",
        "librispeech": "L",
        "nemo-manifest": "c/train.json",
        "corrections": "m",
    }
    sources = [{"kind": kind, "path": path, "language": "en"} for kind, path in kinds.items()]
    return DomainParams.model_validate({**shipped, "sources": sources})


def test_fingerprints_see_tables_audio_and_parameters(
    every_layout: DomainParams, tmp_path: Path
) -> None:
    def now(domain: DomainParams = every_layout) -> list[str]:
        return [json.dumps(s.fingerprint()) for s in open_sources(domain, tmp_path)]

    assert [len(s.plan(REACH).recordings) for s in open_sources(every_layout, tmp_path)] == [1] * 4
    before = now()
    assert now() == before
    audio = [
        "en/clips/a.mp3",
        "L/dev-clean/84/121123/84-121123-0000.flac",
        "c/a.wav",
        "m/audio/r-1.flac",
    ]
    for name in audio:
        os.utime(tmp_path / name, (1, 1))
    touched = now()
    tables = [
        "en/validated.tsv",
        "L/dev-clean/84/121123/84-121123.trans.txt",
        "c/train.json",
        "m/corrections.jsonl",
    ]
    for name in tables:
        write(tmp_path / name, (tmp_path / name).read_bytes() + b"\n")
    edited = now()
    other = every_layout.model_copy(
        update={
            "sources": tuple(s.model_copy(update={"language": "de"}) for s in every_layout.sources)
        }
    )
    renamed = now(other)
    for seen in zip(before, touched, edited, renamed, strict=True):
        assert len(set(seen)) == 4
