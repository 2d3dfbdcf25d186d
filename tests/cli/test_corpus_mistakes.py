"""What a new user of `voiceforge corpus` gets wrong, in a corpus of a few real recordings."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from cli.corpus_build import (
    add_to_corpus,
    freeze_gate,
    list_quarantine,
    release_utterances,
    validate_corpus,
    withdraw_releases,
)
from cli.corpus_diff import show_diff
from cli.preview import preview_corpus
from data.fetch import fetch
from data.gate_files import read_gates
from data.sources.base import FileAudio, Reach
from data.sources.prompts import Prompts
from data.split_hash import text_key
from voiceforge.errors import StageError, UsageError, VoiceForgeError

NAME = "calls"
CLIPS = 24


@pytest.fixture(scope="session")
def prompts(cache: Path) -> list[tuple[Path, str]]:
    """Recordings and what is said in them."""
    fetch("prompts-en", cache=cache, offline=False, timeout=60.0)
    plan = Prompts("en").plan(Reach(cache, False, 60.0))
    texts: dict[str, tuple[Path, str]] = {}
    for one in plan.recordings:
        if isinstance(one.audio, FileAudio) and 4 <= len(one.text.split()) <= 20:
            texts.setdefault(text_key(one.text), (one.audio.path, one.text))
    return [texts[key] for key in sorted(texts)[:CLIPS]]


class Calls:
    """A project with a folder of recordings, each by another speaker, and no domain of its own."""

    def __init__(self, folder: Path, params: Path, prompts: list[tuple[Path, str]]) -> None:
        self.folder, self.params = folder, folder / "params.yaml"
        content = yaml.safe_load(params.read_text())
        content["defaults"]["validation"]["agreement"]["enabled"] = False
        self.params.write_text(yaml.safe_dump(content))
        self.recordings = folder / "mine"
        self.recordings.mkdir()
        self.rows = []
        for number, (path, text) in enumerate(prompts):
            shutil.copy(path, self.recordings / f"{number}{path.suffix}")
            self.rows.append((f"{number}{path.suffix}", text, f"p{number}"))
        self.write(self.rows)

    def write(self, rows: list[tuple[str, str, str]], table: str = "table.csv") -> None:
        with (self.recordings / table).open("w", newline="") as file:
            csv.writer(file).writerows([("audio", "text", "speaker"), *rows])

    def add(self, kind: str = "folder", *options: str, build: bool = False, **more: Any) -> None:
        fields = {"path": more.pop("path", self.recordings), **more.pop("fields", {})}
        more = {"language": "en", "base_model": None, **more}
        fields = {key: value for key, value in fields.items() if value is not None}
        add_to_corpus(NAME, kind, fields, options, build=build, **more)

    def refused(self, *args: Any, **more: Any) -> str:
        """What adding says where it must not, and params.yaml stays as it is."""
        before = self.params.read_bytes()
        with pytest.raises(UsageError) as raised:
            self.add(*args, **more)
        assert self.params.read_bytes() == before
        return str(raised.value)

    @property
    def ledgers(self) -> Path:
        return self.folder / "data" / "ledgers" / NAME


@pytest.fixture
def calls(
    tmp_path: Path, project: Path, cache: Path, prompts: list[tuple[Path, str]],
    monkeypatch: pytest.MonkeyPatch,
) -> Calls:  # fmt: skip
    (tmp_path / "var" / "cache").mkdir(parents=True)
    for kept in ("sources", "base-models"):
        (tmp_path / "var" / "cache" / kept).symlink_to(cache / kept)
    monkeypatch.chdir(tmp_path)
    return Calls(tmp_path, project / "params.yaml", prompts)


def test_a_gate_sets_member_that_left_its_table_stops_validation(calls: Calls) -> None:
    calls.add(build=True)
    freeze_gate(NAME, new_version=False, why="first", by="Eva")
    validate_corpus(NAME)
    member = read_gates(calls.ledgers)[-1].members[0].id
    calls.write([row for row in calls.rows if f"mine-{Path(row[0]).stem}" != member])
    with pytest.raises(StageError, match=f"Gate set gate-1 of {NAME}: {member} is missing from"):
        validate_corpus(NAME)
    calls.write(calls.rows)
    validate_corpus(NAME)


def test_a_folder_is_not_read_twice(calls: Calls) -> None:
    calls.add(fields={"consent": "granted"})
    said = calls.refused()
    assert f"Source 1 of {NAME} (kind folder) reads {calls.recordings} already" in said
    assert f"`voiceforge corpus remove {NAME}`, as it is the only one" in said
    (calls.folder / "link").symlink_to(calls.recordings)
    assert "Source 1" in calls.refused(path=calls.folder / "link")
    assert "Source 1" in calls.refused("folder", "table=table.csv")


def test_two_tables_of_a_folder_are_two_sources_unless_they_share_ids(calls: Calls) -> None:
    calls.write(calls.rows[:10], "one.csv")
    calls.write(calls.rows[10:], "two.csv")
    calls.write(calls.rows[9:12], "both.csv")
    (calls.recordings / "table.csv").unlink()
    calls.add("folder", "table=one.csv")
    calls.add("folder", "table=two.csv")
    said = calls.refused("folder", "table=both.csv")
    assert f"`voiceforge corpus remove {NAME} --source 1`" in said
    assert "Source 1" in said and "1 ids would be there twice, such as mine-9." in said


def test_a_namesake_is_refused_before_params_are_written(calls: Calls) -> None:
    calls.add()
    other = calls.folder / "other" / "mine"
    shutil.copytree(calls.recordings, other)
    assert "have the same name" in calls.refused(path=other)


def test_speech_that_the_base_model_does_not_know_is_refused(calls: Calls) -> None:
    calls.add(base_model="whisper-tiny.en")
    german = calls.folder / "german"
    shutil.copytree(calls.recordings, german)
    said = calls.refused(path=german, language="de")
    assert f"whisper-tiny.en, the base model of {NAME}, knows English only" in said
    assert "--language de" in said
    said = calls.refused("folder", "language=de", path=german, language=None)
    assert "knows English only" in said
    calls.add(path=german)


def test_of_two_texts_of_a_recording_one_is_released_and_can_be_withdrawn(
    calls: Calls, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copy(calls.recordings / calls.rows[0][0], calls.recordings / "again.g722")
    calls.write([*calls.rows, ("again.g722", "Quite other words than those.", "p0")])
    calls.add(build=True)
    file = calls.ledgers / "releases.jsonl"

    def release(*ids: str) -> None:
        release_utterances(NAME, ids, None, "heard it", "Eva")

    with pytest.raises(UsageError, match="mine-0 and mine-again cannot both be released"):
        release("mine-0", "mine-again")
    assert not file.exists()
    release("mine-0")
    before = file.read_bytes()
    with pytest.raises(UsageError, match="mine-0 is released from contradicting-texts already"):
        release("mine-0")
    with pytest.raises(UsageError, match=r"mine-0 is the same recording .* is released already"):
        release("mine-again")
    with pytest.raises(UsageError, match="mine-again is not released"):
        withdraw_releases(NAME, ["mine-0", "mine-again"], None, "wrong", "Eva")
    assert file.read_bytes() == before
    withdraw_releases(NAME, ["mine-0"], None, "the other is right", "Eva")
    capsys.readouterr()
    release("mine-again")
    said = capsys.readouterr()
    assert "Released mine-again from contradicting-texts." in said.err
    assert f"{CLIPS} utterances" in said.out and "1 of them released" in said.out


def test_a_path_of_the_wrong_kind_is_told_what_to_give(calls: Calls) -> None:
    table = calls.recordings / "table.csv"
    assert calls.refused(path=None) == (
        "A source of kind folder needs --path: where its recordings lie."
    )
    for kind in ("folder", "common-voice", "librispeech", "huggingface", "corrections"):
        assert f"{table} is a file; give its folder" in calls.refused(kind, path=table)
    said = calls.refused("nemo-manifest")
    assert f"{calls.recordings} is a folder; give the manifest itself" in said
    assert "are read with `--source folder`" in calls.refused("common-voice")
    calls.write(calls.rows, "more.csv")
    assert "`--set table=more.csv`" in calls.refused()
    calls.write([], "empty.csv")
    assert "kind folder has no rows" in calls.refused("folder", "table=empty.csv")


def test_an_error_of_a_source_is_the_only_one_that_is_named(calls: Calls) -> None:
    said = calls.refused("folder", "colour=red")
    assert "unknown key calls.sources.0.colour" in said
    assert "at least 1 item" not in said


def test_a_corpus_that_was_not_built_says_how_to_build_it(calls: Calls) -> None:
    calls.add()
    advice = f"`voiceforge corpus validate {NAME}`"
    with pytest.raises(VoiceForgeError, match=advice):
        freeze_gate(NAME, new_version=False, why="first", by="Eva")
    with pytest.raises(VoiceForgeError, match=advice):
        list_quarantine(NAME, None)
    with pytest.raises(VoiceForgeError, match=advice):
        preview_corpus(NAME, clips=1, out=None, effects=[], seed=None)
    with pytest.raises(VoiceForgeError, match=advice):
        show_diff(NAME, NAME, as_json=False)


def test_a_difference_with_a_recorded_version_is_said_to_be_before_validation(
    calls: Calls, capsys: pytest.CaptureFixture[str]
) -> None:
    calls.add(build=True)
    version = capsys.readouterr().out.split(f"{NAME}@")[1].split()[0]
    show_diff(f"{NAME}@{version}", NAME, as_json=False)
    said = capsys.readouterr().out
    assert f"{NAME} are compared as built, before validation" in said
    assert "  split" not in said and f"{CLIPS} → {CLIPS}" in said
    show_diff(NAME, NAME, as_json=False)
    said = capsys.readouterr().out
    assert "before validation" not in said and "  split" in said
