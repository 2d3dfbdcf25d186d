"""`voiceforge corpus ...` as a person uses it: sources come, grow, are judged and removed."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import yaml

NAME = "voices-en"


@pytest.fixture(scope="session")
def example(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example of docs/corpora.md."""
    folder = tmp_path_factory.mktemp("example") / "my-voices"
    synthesise(project, folder)
    return folder


@pytest.fixture
def voices(place: Any, example: Path) -> Path:
    """A copy of it in the user's folder."""
    return Path(shutil.copytree(example, place.path / "my-voices"))


def synthesise(project: Path, folder: Path, *options: str) -> None:
    script = project / "docs" / "common_voice_example.py"
    subprocess.run([sys.executable, str(script), str(folder), *options], check=True)


def add(place: Any, voices: Path, *more: str) -> Any:
    return place(
        "corpus", "add", NAME, "--source", "common-voice", "--path", voices, "--language", "en",
        "--consent", "granted", *more,
    )  # fmt: skip


def shown(place: Any) -> dict[str, Any]:
    ended = place("corpus", "show", NAME, "--json")
    assert ended.code == 0, ended.err
    result: dict[str, Any] = json.loads(ended.out)
    return result


@pytest.mark.system
def test_a_corpus_from_its_source_to_its_end(place: Any, voices: Path, project: Path) -> None:
    before = (place.path / "params.yaml").read_text()
    ended = add(place, voices)
    assert ended.code == 0, ended.err
    assert "(a new domain): 128 recordings, 1 that cannot be used" in ended.err
    params = (place.path / "params.yaml").read_text()
    assert params.startswith(before)
    assert yaml.safe_load(params)["domains"][NAME]["sources"] == [
        {"kind": "common-voice", "path": "my-voices", "consent": "granted", "language": "en"}
    ]

    first = shown(place)
    assert first["utterances"] + len({row["id"] for row in first["quarantine"]}) == 129
    reasons = {row["id"]: row["reason"] for row in first["quarantine"]}
    assert reasons["cv-empty"] == "empty"
    assert reasons["cv-cyrillic"] == "wrong-script"
    assert reasons["cv-clipped"] == "clipped"
    assert reasons["cv-other-words"] == "suspect-transcript"
    assert sum(part["utterances"] for part in first["parts"]) == first["utterances"]
    page = Path(first["page"])
    players = page.read_text().count("<audio")
    assert players > 3
    heard = [part.split('"')[0] for part in page.read_text().split('src="')[1:]]
    assert all((page.parent / source).is_file() for source in heard)

    ended = place("corpus", "quarantine", NAME, "--reason", "bracketed-text")
    assert "[noise]" in ended.out
    ended = place("corpus", "quarantine", NAME, "--reason", "beeps")
    assert ended.code == 2
    assert "there is:" in ended.paragraph()

    ended = place("corpus", "release", NAME, "cv-empty", "--why", "it is not")
    assert ended.code == 2
    assert "nobody may release cv-empty from empty" in ended.paragraph()
    ended = place("corpus", "release", NAME, "cv-clipped", "cv-nope", "--why", "both")
    assert ended.code == 2
    assert "Nothing was released: cv-nope is not in quarantine" in ended.paragraph()
    assert not (place.path / "data/ledgers" / NAME / "releases.jsonl").exists()
    ended = place(
        "corpus", "release", NAME, "cv-clipped", "--why", "loud, but right", "--by", "Eva"
    )
    assert ended.code == 0, ended.err
    released = shown(place)
    assert released["utterances"] == first["utterances"] + 1
    assert released["released"] == 1

    ended = place("corpus", "freeze", NAME, "--why", "first release", "--by", "Eva")
    assert ended.code == 0, ended.err
    assert "gate-1 of voices-en is frozen" in ended.out
    ended = place("corpus", "freeze", NAME, "--why", "again")
    assert ended.code == 2
    assert "It does not change" in ended.paragraph()

    synthesise(project, voices, "--more")
    ended = place("corpus", "validate", NAME)
    assert ended.code == 0, ended.err
    grown = shown(place)
    assert len(grown["versions"]) == 2
    old = grown["versions"][-1]["md5"]
    ended = place("corpus", "diff", f"{NAME}@{old}", NAME, "--json")
    assert ended.code == 0, ended.err
    difference = json.loads(ended.out)
    assert len(difference["added"]) == 12
    assert not difference["removed"] and not difference["moved"] and not difference["changed"]
    ended = place("corpus", "diff", NAME, NAME)
    assert "Added:     none" in ended.out

    ended = place("corpus", "list")
    listed = {row["corpus"]: row for row in json.loads(place("corpus", "list", "--json").out)}
    assert listed[NAME]["utterances"] == grown["utterances"]
    assert listed[NAME]["version"] == grown["versions"][0]["md5"]
    assert not listed["telephony-it"]["built"] and "utterances" not in listed["telephony-it"]
    row = next(line for line in ended.out.splitlines() if NAME in line)
    assert "common-voice" in row and f"{grown['utterances']}" in row
    assert "not built yet" in ended.out

    assert place("corpus", "checkout", f"{NAME}@{old}").code == 0
    ended = place("corpus", "list")
    assert ended.code == 0, ended.err
    assert "is of another version of the corpus" in " ".join(ended.out.split())
    assert place("corpus", "checkout", f"{NAME}@{grown['versions'][0]['md5']}").code == 0

    shutil.move(place.path / "data/corpora" / NAME, place.path / "aside")
    assert place("corpus", "list").out.count("not built yet") == 3
    shutil.move(place.path / "aside", place.path / "data/corpora" / NAME)
    ended = place("corpus", "remove", NAME)
    assert ended.code == 2
    assert "What stays: recorded versions and data/ledgers/voices-en." in ended.paragraph()
    assert (place.path / "data/corpora" / NAME).is_dir()
    ended = place("corpus", "remove", NAME, "--yes")
    assert ended.code == 0, ended.err
    assert "its ledger keeps" in ended.err and "brings recorded versions back" in ended.err
    assert (place.path / "params.yaml").read_text().rstrip() == before.rstrip()
    assert not (place.path / "data/corpora" / NAME).exists()
    assert (place.path / "data/ledgers" / NAME / "splits.csv").is_file()


def test_adding_again_after_something_went_wrong_adds_nothing(place: Any, voices: Path) -> None:
    assert add(place, voices, "--no-build").code == 0
    before = (place.path / "params.yaml").read_text()
    ended = add(place, voices, "--no-build")
    assert ended.code == 0, ended.err
    assert "There is already this source of kind common-voice in voices-en" in ended.err
    assert (place.path / "params.yaml").read_text() == before


def test_removing_what_was_never_built_promises_nothing(place: Any, voices: Path) -> None:
    before = (place.path / "params.yaml").read_text()
    assert add(place, voices, "--no-build").code == 0
    ended = place("corpus", "remove", NAME)
    assert ended.code == 2
    assert ended.paragraph() == (
        "Error: Remove the domain voices-en from params.yaml? "
        "Nobody is there to answer: give --yes."
    )
    ended = place("corpus", "remove", NAME, "--yes")
    assert (ended.code, ended.err) == (0, "Removed voices-en.\n")
    assert (place.path / "params.yaml").read_text().rstrip() == before.rstrip()


def test_quarantine_counts_a_recording_with_two_reasons_once(place: Any) -> None:
    folder = place.path / "recordings"
    folder.mkdir()
    noise = np.random.default_rng(5).normal(0, 0.1, 32_000)
    soundfile.write(folder / "good.wav", noise, 16_000)
    soundfile.write(folder / "bad.wav", np.clip(noise * 100, -1, 1), 16_000)
    (folder / "table.csv").write_text(
        "audio,text,speaker\ngood.wav,how do you do,a\nbad.wav,how [noise] are you,b\n"
    )
    params = yaml.safe_load((place.path / "params.yaml").read_text())
    source = {"kind": "folder", "path": "recordings", "table": "table.csv", "language": "en"}
    params["domains"]["calls"] = {
        "language": "en", "base_model": "whisper-tiny.en", "sources": [source],
        "validation": {"agreement": {"enabled": False}},
    }  # fmt: skip
    (place.path / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))
    place("corpus", "validate", "calls")
    ended = place("corpus", "quarantine", "calls", "--json")
    assert ended.code == 0, ended.err
    rows = json.loads(ended.out)
    assert {"bracketed-text", "clipped"} <= {row["reason"] for row in rows}
    recordings = {row["id"] for row in rows}
    assert len(rows) > len(recordings)
    ended = place("corpus", "quarantine", "calls")
    noun = "recording of calls is" if len(recordings) == 1 else "recordings of calls are"
    assert f"{len(recordings)} {noun} in quarantine.\n" in ended.err
    assert rows[0]["id"] in ended.out
    ended = place("corpus", "quarantine", "calls", "--reason", "clipped", "--json")
    assert json.loads(ended.out) == [row for row in rows if row["reason"] == "clipped"]
    listed = {row["corpus"]: row for row in json.loads(place("corpus", "list", "--json").out)}
    assert listed["calls"]["quarantined"] == len(recordings)
    assert listed["calls"]["utterances"] == 2 - len(recordings)
    assert listed["telephony-en"] == {
        "corpus": "telephony-en", "sources": listed["telephony-en"]["sources"],
        "built": False, "problem": "",
    }  # fmt: skip


def test_two_who_add_at_once_both_have_added(place: Any, voices: Path) -> None:
    names = ("first", "second")

    def one(name: str) -> Any:
        return place(
            "corpus", "add", name, "--source", "common-voice", "--path", voices,
            "--language", "en", "--no-build",
        )  # fmt: skip

    with ThreadPoolExecutor(2) as pool:
        assert [ended.code for ended in pool.map(one, names)] == [0, 0]
    domains = yaml.safe_load((place.path / "params.yaml").read_text())["domains"]
    assert set(names) <= domains.keys()


def test_a_second_source_comes_and_goes(place: Any, voices: Path) -> None:
    assert add(place, voices, "--no-build").code == 0
    before = (place.path / "params.yaml").read_text()
    ended = place(
        "corpus", "add", NAME, "--source", "prompts", "--set", "language=en", "--no-build"
    )
    assert ended.code == 0, ended.err
    kinds = [
        source["kind"]
        for source in yaml.safe_load((place.path / "params.yaml").read_text())["domains"][NAME][
            "sources"
        ]
    ]
    assert kinds == ["common-voice", "prompts"]
    assert place("corpus", "remove", NAME, "--source", "2", "--yes").code == 0
    assert (place.path / "params.yaml").read_text() == before
    ended = place("corpus", "remove", NAME, "--source", "1", "--yes")
    assert ended.code == 2
    assert "has only this source" in ended.paragraph()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["add", "x", "--source", "tape", "--language", "en"], "There are: folder, common-voice"),
        (["add", "x", "--source", "folder", "--path", "my-voices"], "needs --language"),
        (["add", "x", "--source", "folder", "--language", "en"], "needs --path"),
        (
            ["add", "x", "--source", "prompts", "--language", "en", "--path", "."],
            "has no path. Leave --path out",
        ),
        (
            ["add", "x", "--source", "common-voice", "--language", "en", "--path", "nowhere"],
            "does not exist",
        ),
        (
            ["add", "x", "--source", "common-voice", "--language", "en", "--path", "my-voices",
             "--set", "colour=red"],
            "unknown key x.sources.0.colour",
        ),
        (
            ["add", "x", "--source", "common-voice", "--language", "en", "--path", "my-voices",
             "--consent", "maybe"],
            "x.sources.0.consent is 'maybe'",
        ),
        (
            ["add", "x", "--source", "common-voice", "--language", "en", "--path", "my-voices",
             "--set", "red"],
            "is no KEY=VALUE",
        ),
        (
            ["add", "x", "--source", "common-voice", "--language", "en", "--path", "my-voices",
             "--set", "a=1", "--set", "a.b=2"],
            "a has a value of its own already",
        ),
        (
            ["add", "telephony-en", "--source", "common-voice", "--path", "my-voices",
             "--base-model", "whisper-base"],
            "--base-model is for a new domain",
        ),
        (["show", "telephony-en"], "has not been built and validated yet"),
        (["show", "nowhere"], "There is no domain 'nowhere'"),
        (["validate", "nowhere"], "There is no domain 'nowhere'"),
        (["remove", "nowhere", "--yes"], "There is no domain 'nowhere'"),
        (["remove", "telephony-en", "--source", "9", "--yes"], "no source number 9"),
        (["diff", "telephony-en@123", "telephony-en"], "is not a version of a corpus"),
        (["diff", f"telephony-en@{'0' * 32}", "telephony-en"], "neither in DVC's cache nor"),
    ],
)  # fmt: skip
def test_what_cannot_be_meant_changes_nothing(
    place: Any, voices: Path, arguments: list[str], words: str
) -> None:
    before = (place.path / "params.yaml").read_bytes()
    ended = place("corpus", *arguments)
    assert ended.code in (1, 2), ended.err
    assert words in " ".join(ended.paragraph().split())
    assert (place.path / "params.yaml").read_bytes() == before
