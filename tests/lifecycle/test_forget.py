"""A forgotten speaker is nowhere, also after a kill, and never comes back."""

from __future__ import annotations

import csv
import errno
import hashlib
import io
import json
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import soundfile
import typer

from cli.corpus import checkout
from cli.forget import forget_speaker
from cli.status import show_status
from data.forgotten import read_forgotten
from data.gate import new_gate
from data.gate_files import read_gates, write_gate
from data.releases import read_releases, release
from data.remotes import RemoteSettings
from data.sources.extracted import extracted
from data.split_hash import text_key
from data.tables import QUARANTINE, UTTERANCES, load_corpus, read_rejects, write_utterances
from data.utterance import Utterance
from data.versions import checkout_version
from evaluation.prediction import Prediction
from evaluation.runners import write_predictions
from lifecycle.artifacts import Artifact
from lifecycle.corpus import corpus_version, make_corpus
from lifecycle.findings import look
from lifecycle.forget import STEPS, Forgetting, forget
from lifecycle.marks import TESTED_TAG, TRAINED_TAG, certificate_marks
from lifecycle.preview import make_preview
from lifecycle.previews import default_preview, remember_preview
from lifecycle.traces import Traces
from lifecycle.workspace import Workspace, open_workspace
from serving.engines.contracts import EngineDescription
from serving.engines.description import write_description
from serving.registry import CHAMPION, Registry, RunRecord
from tests.s3 import S3
from voiceforge.errors import StorageError, UsageError
from voiceforge.files import read_json, sha256_folder, write_json, write_text
from voiceforge.settings import Settings, load_settings

DOMAIN = "calls"
SPEAKERS = ("Anna Berg", "Bo", "Cleo", "Anna Bergman")
IDS = tuple(f"recordings:{name}" for name in SPEAKERS)
GONE, ID = SPEAKERS[0], IDS[0]
TEXTS = tuple(f"call number {number}" for number in range(8))
OTHERS = [(f"{n}.wav", TEXTS[n], (SPEAKERS * 2)[n]) for n in range(8) if n % 4]


@dataclass(frozen=True)
class Calls:
    """A domain with a corpus of eight clips by four people, and models made from it."""

    settings: Settings

    @property
    def workspace(self) -> Workspace:
        return open_workspace(DOMAIN, self.settings)

    @property
    def registry(self) -> Registry:
        return Registry(self.settings.mlflow_uri, self.settings.mlflow_artifacts)

    @property
    def recordings(self) -> Path:
        return self.settings.project / "recordings"

    @property
    def ledgers(self) -> Path:
        return self.settings.ledgers / DOMAIN

    def build(self) -> str:
        """Build and record the corpus; returns its DVC version."""
        make_corpus(self.workspace)
        return str(corpus_version(self.workspace)["md5"])

    def forget(self, **options: Any) -> Forgetting:
        return forget(self.workspace, ID, by="tests", why="asked", **options)

    def lay(
        self,
        stage: str,
        inputs: Mapping[str, str],
        write: Callable[[Path], object],
        summary: Mapping[str, Any] = MappingProxyType({}),
    ) -> Artifact:
        def build(out: Path, _: Path) -> Mapping[str, Any]:
            write(out)
            return summary

        return self.workspace.make(stage, 0, inputs, {}, build)

    def train(
        self,
        test: str,
        name: str = "model",
        test_set: str = "none",
        replays: Mapping[str, str] = MappingProxyType({}),
    ) -> tuple[Artifact, str]:
        """Splits with this speaker held out, and what is made from them; splits and version."""
        rows = [
            replace(row, split="test" if row.speaker == test else "train")
            for row in load_corpus(self.workspace.corpus)
        ]
        held = [row for row in rows if row.split == "test"]
        split = self.lay(
            "splits",
            {"corpus": name},
            lambda out: write_utterances(out / "utterances.parquet", rows),
        )
        adapter = self.lay(
            "adapter",
            {"splits": split.sha256, **replays},
            lambda out: write_text(out / "adapter_model.safetensors", name),
        )
        said = [Prediction(row.id, row.text, row.text, (-0.1,), 1.0, 0.1) for row in held]
        heard = self.lay(
            "predictions",
            {"splits": split.sha256},
            lambda out: write_predictions(out / "predictions.parquet", said),
        )
        worst = [{"speaker": row.speaker, "reference": row.text} for row in held]
        report = self.lay(
            "accuracy_report",
            {"predictions": heard.sha256},
            lambda out: write_json(out / "report.json", {"worst": worst, "losses": []}),
            {"slices": [{"word_error_rate": 0.1, "low": 0.0, "high": 0.2, "words": 9}]},
        )

        def engine(out: Path) -> None:
            write_text(out / "engine" / "model.bin", name)
            files = {"model.bin": name}
            description = EngineDescription(
                "ctranslate2", "int8", 100, "en", False, 80, name, files, {}
            )
            write_description(out / "engine", description)

        tags = {"splits_sha256": split.sha256, "corpus_md5": self.build()}
        tags |= {f"{stage}_sha256": sha256 for stage, sha256 in replays.items()}
        version = self.registry.register(
            DOMAIN,
            RunRecord(tags=tags),
            engine=self.lay("engine", {"adapter": adapter.sha256}, engine).path / "engine",
            adapter=adapter.path,
            reports={"accuracy_report": report.path},
        )
        self.lay(
            "certificate",
            {"splits": split.sha256},
            lambda out: write_json(out / "certificate.json", {"verdict": "promote"}),
            {
                "version": version,
                "splits": split.sha256,
                "test_set": test_set,
                "verdict": "promote",
                "created_at": "2026-01-05T03:00:00+00:00",
            },
        )
        return split, version

    def left(self) -> Left:
        """What of the corpus's sounds, words and names lies outside of the user's own folder."""
        audio, texts, speakers = set(), set(), set()
        for place in (self.settings.project / "data", self.settings.project / ".dvc", self.home):
            for path in place.rglob("*"):
                if not path.is_file():
                    continue
                content = path.read_bytes()
                audio.add(hashlib.sha256(content).hexdigest())
                if content[:4] == b"PAR1":
                    rows = pq.read_table(path).to_pylist()
                    texts |= {
                        row[name] for row in rows for name in ("text", "reference") if name in row
                    }
                    speakers |= {row["speaker"] for row in rows if "speaker" in row}
                elif path.suffix in (".json", ".jsonl", ".csv", ".html", ".dvc"):
                    texts |= {text for text in TEXTS if text.encode() in content}
                    speakers |= {name for name in IDS if f'"{name}"'.encode() in content}
        return Left(audio, texts, speakers)

    @property
    def home(self) -> Path:
        return self.settings.home


@dataclass(frozen=True)
class Left:
    audio: set[str]
    texts: set[str]
    speakers: set[str]


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory, project: Path) -> Path:
    """The project with its corpus built and recorded, to be copied."""
    folder = tmp_path_factory.mktemp("calls") / "project"
    (folder / "recordings").mkdir(parents=True)
    random = np.random.default_rng(7)
    lines = []
    for number, speaker in enumerate(SPEAKERS * 2):
        samples = random.normal(0, 0.1, 16_000 + 160 * number)
        soundfile.write(folder / "recordings" / f"{number}.wav", samples, 16_000)
        lines.append((f"{number}.wav", TEXTS[number], speaker))
    write_table(folder, lines)
    shipped = (project / "params.yaml").read_text().split("\ndomains:")[0]
    (folder / "params.yaml").write_text(
        f"{shipped}\ndomains:\n  {DOMAIN}:\n    sources:\n      - kind: folder\n"
        "        path: recordings\n        table: table.csv\n        language: en\n"
    )
    calls = Calls(load_settings({}, folder))
    calls.build()
    return folder


def write_table(folder: Path, lines: Sequence[tuple[str, str, str]]) -> None:
    with (folder / "recordings" / "table.csv").open("w", newline="") as stream:
        csv.writer(stream).writerows([("audio", "text", "speaker"), *lines])


@pytest.fixture
def calls(tmp_path: Path, built: Path, empty_registry: Path) -> Calls:
    folder = tmp_path / "project"
    shutil.copytree(built, folder)
    settings = load_settings({}, folder)
    settings.mlflow_database.parent.mkdir(parents=True)
    shutil.copyfile(empty_registry, settings.mlflow_database)
    settings.mlflow_artifacts.mkdir()
    return Calls(settings)


def rows_of(calls: Calls) -> list[Utterance]:
    return load_corpus(calls.workspace.corpus)


def test_a_forgotten_speaker_is_nowhere(calls: Calls) -> None:
    everybody = rows_of(calls)
    split, _ = calls.train(test=ID)
    theirs = {row.audio_sha256 for row in everybody if row.speaker == ID}
    others = {row.audio_sha256 for row in everybody} - theirs
    before = calls.left()
    assert theirs <= before.audio and ID in before.speakers and set(TEXTS) == before.texts

    done = calls.forget()

    after = calls.left()
    assert not theirs & after.audio and others <= after.audio
    assert after.texts == {row.text for row in everybody if row.speaker != ID}
    assert after.speakers == {name for name in IDS if name != ID}
    assert {row.speaker for row in rows_of(calls)} == set(IDS) - {ID}
    assert done.problems == () and not split.path.exists()
    # Not the user's own files, which are listed.
    assert [path.name for path in done.findings.files] == ["0.wav", "4.wav"]
    assert all(path.is_file() for path in done.findings.files)
    stone = read_forgotten(calls.ledgers).tombstone(ID)
    assert stone is not None and stone.finished_at and (stone.by, stone.why) == ("tests", "asked")


def test_a_kill_between_any_two_steps_is_completed_by_asking_again(
    calls: Calls, tmp_path: Path
) -> None:
    class Killed(BaseException):
        """Nobody catches it, as nobody catches a kill."""

    calls.train(test="recordings:Bo")
    theirs = {row.audio_sha256 for row in rows_of(calls) if row.speaker == ID}
    steps: list[str] = []
    twin = Calls(load_settings({}, shutil.copytree(calls.settings.project, tmp_path / "twin")))
    forget(twin.workspace, ID, by="tests", why="asked", before=steps.append)
    assert list(dict.fromkeys(step.split(":")[0] for step in steps)) == list(STEPS)
    assert len(steps) == len(STEPS) - 1 + 3 * 2  # audio, tables, lists: in cache and remote

    for number in range(len(steps)):
        passed: list[str] = []

        def kill(step: str, passed: list[str] = passed, number: int = number) -> None:
            if len(passed) == number:
                raise Killed(step)
            passed.append(step)

        with pytest.raises(Killed):
            calls.forget(before=kill)
    done = calls.forget()

    assert done.problems == () and done.traces == look_again(calls, done)
    ledgers = [read_forgotten(one.ledgers).tombstone(ID) for one in (calls, twin)]
    assert ledgers[0] and ledgers[1]
    assert replace(ledgers[0], at="", finished_at="") == replace(ledgers[1], at="", finished_at="")
    left, other = calls.left(), twin.left()
    assert not theirs & (left.audio | other.audio)
    assert (left.texts, left.speakers) == (other.texts, other.speakers)
    assert sha256_folder(calls.workspace.corpus) == sha256_folder(twin.workspace.corpus)
    caches = [one.settings.project / ".dvc" / "cache" for one in (calls, twin)]
    assert sha256_folder(caches[0]) == sha256_folder(caches[1])
    remotes = [one.settings.home / "dvc-remote" for one in (calls, twin)]
    assert sha256_folder(remotes[0]) == sha256_folder(remotes[1]) == sha256_folder(caches[0])


def look_again(calls: Calls, done: Forgetting) -> Traces:
    """What the report says."""
    written = json.loads(done.report.read_text())["traces"]
    return Traces(**{key: tuple(v) if isinstance(v, list) else v for key, v in written.items()})


def test_the_next_build_is_the_corpus_that_forgetting_left(calls: Calls) -> None:
    calls.forget()
    left = sha256_folder(calls.workspace.corpus)
    assert make_corpus(calls.workspace).reused
    shutil.rmtree(calls.workspace.corpus)
    built = make_corpus(calls.workspace)
    assert sha256_folder(calls.workspace.corpus) == left
    assert built.summary["quarantine_reasons"] == {"forgotten": 2}
    for row in read_rejects(calls.workspace.corpus / QUARANTINE):
        assert row.reason == "forgotten" and row.where == "" and "recordings-" not in row.id


def test_a_forgotten_voice_under_another_name_stays_out(calls: Calls) -> None:
    calls.forget()
    (calls.recordings / "0.wav").rename(calls.recordings / "renamed.wav")
    write_table(calls.settings.project, [("renamed.wav", "new words", "Dora"), *OTHERS])
    make_corpus(calls.workspace)
    assert {row.speaker for row in rows_of(calls)} == set(IDS) - {ID}
    (gone,) = read_rejects(calls.workspace.corpus / QUARANTINE)
    assert gone.reason == "forgotten"


def test_twins_of_their_recordings_go_with_them(calls: Calls) -> None:
    """The same audio under another name is the same voice."""
    shutil.copyfile(calls.recordings / "4.wav", calls.recordings / "copy.wav")
    lines = [(f"{number}.wav", TEXTS[number], (SPEAKERS * 2)[number]) for number in range(8)]
    write_table(calls.settings.project, [*lines, ("copy.wav", "call number 4", "Dora")])
    calls.build()
    assert "recordings:Dora" in {row.speaker for row in rows_of(calls)}
    calls.forget()
    assert {row.speaker for row in rows_of(calls)} == set(IDS) - {ID}
    assert make_corpus(calls.workspace).reused


BAD = (
    ("gone Anna Berg.wav", "call from Anna Berg", "", "missing"),
    ("4.wav", "Anna Berg lost a \ufffd letter", "", "damaged-text"),
    ("4.wav", "Anna Berg says", "Anna says yes", "bad-consent"),
    ("../Anna Berg.wav", "call from Anna Berg", "", "unsafe-path"),
    ("0.wav", "call from Anna Berg", "", "duplicate-id"),
    ("a" * 300 + ".wav", "call from Anna Berg", "", "missing"),
)
"""Rows of the speaker that are refused before anything is decoded: audio, text, consent, reason."""


def test_rows_of_the_speaker_that_were_refused_unread_leave_no_words_behind(calls: Calls) -> None:
    """They never had an utterance: only their own table says whose they are."""
    table = calls.recordings / "table.csv"
    with table.open(newline="") as stream:
        head, *lines = csv.reader(stream)
    with table.open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow([*head, "consent"])
        writer.writerows([*line, ""] for line in lines)
        writer.writerows([audio, text, GONE, consent] for audio, text, consent, _ in BAD)
        writer.writerow(["gone.wav", "call from Bo", "Bo", ""])
    calls.build()
    quarantine = calls.workspace.corpus / QUARANTINE
    reasons = sorted(row.reason for row in read_rejects(quarantine))
    assert reasons == sorted(["missing", *(reason for *_, reason in BAD)])

    done = calls.forget()

    def check() -> None:
        rows = read_rejects(quarantine)
        assert [row.reason for row in rows if "anna" in str(row).casefold()] == []
        assert [row.reason for row in rows].count("forgotten") == 2 + len(BAD)
        (other,) = (row for row in rows if row.reason != "forgotten")
        assert (other.reason, other.where) == ("missing", "gone.wav")

    check()
    assert [path.name for path in done.findings.files] == ["0.wav", "4.wav"]
    left = sha256_folder(calls.workspace.corpus)
    shutil.rmtree(calls.workspace.corpus)
    calls.build()
    check()
    new = sha256_folder(calls.workspace.corpus)
    assert new == left
    calls.forget()
    check()


def test_copies_of_audio_that_a_dataset_holds_go_and_are_not_made_again(calls: Calls) -> None:
    talk = calls.settings.project / "talk"
    talk.mkdir()
    audio = [
        {"bytes": (calls.recordings / f"{n}.wav").read_bytes(), "path": f"{n}.wav"}
        for n in range(8)
    ]
    texts = [text if n != 4 else "lost \ufffd" for n, text in enumerate(TEXTS)]
    rows = pa.table({"audio": audio, "text": texts, "who": list(SPEAKERS * 2)})
    pq.write_table(rows, talk / "train.parquet")
    params = calls.settings.project / "params.yaml"
    params.write_text(
        params.read_text().split("    sources:")[0] + "    sources:\n"
        "      - {kind: huggingface, path: talk, language: en, columns: {speaker: who}}\n"
    )
    calls.build()
    copies = extracted(calls.settings.cache)
    hashes = {n: hashlib.sha256(one["bytes"]).hexdigest() for n, one in enumerate(audio)}
    theirs = {hashes[0], hashes[4]}  # the second of a row that was refused for its text
    assert {path.stem for path in copies.rglob("*.wav")} == set(hashes.values())

    found = look(calls.workspace, f"talk:{GONE}")
    assert found.files == () and {path.stem for path in found.copies} == theirs
    (copies / hashes[0][:2] / f".{hashes[0]}.wav.7.part").write_bytes(b"left by a kill")
    done = forget(calls.workspace, f"talk:{GONE}", by="tests", why="asked")

    def left() -> set[str]:
        return {path.stem for path in copies.rglob("*") if path.is_file()}

    assert left() == set(hashes.values()) - theirs and not theirs & calls.left().audio
    assert "deleted 2 copies of recordings that tables of sources hold" in done.done
    assert len(look(calls.workspace, f"talk:{GONE}").recordings) == 2 and not theirs & left()
    folder = sha256_folder(calls.workspace.corpus)
    shutil.rmtree(calls.workspace.corpus)
    calls.build()
    assert not theirs & left() and sha256_folder(calls.workspace.corpus) == folder
    # Under another name the audio is known by its sound, and its copy goes again.
    renamed = rows.set_column(2, "who", pa.array(["Bob", *rows["who"].to_pylist()[1:]]))
    pq.write_table(renamed, talk / "train.parquet")
    calls.build()
    assert not theirs & left() and not theirs & calls.left().audio
    assert "talk:Bob" not in {row.speaker for row in rows_of(calls)}


def test_old_versions_are_refused_with_the_reason(
    calls: Calls, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    old = calls.build()
    calls.forget()
    new = calls.build()
    monkeypatch.setenv("VOICEFORGE_PROJECT", str(calls.settings.project))
    with pytest.raises(UsageError, match=r"cannot be restored.*speaker who was forgotten on 20"):
        checkout(f"{DOMAIN}@{old}")
    shutil.rmtree(calls.workspace.corpus)
    checkout(f"{DOMAIN}@{new}")
    assert len(rows_of(calls)) == 6
    assert "until the next `voiceforge run`" in capsys.readouterr().out


def test_a_version_that_a_colleague_still_has_is_refused(
    calls: Calls, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the ledger comes the refusal, also where cache and remote were never cleaned."""
    old = calls.build()
    colleague = Calls(load_settings({}, shutil.copytree(calls.settings.project, tmp_path / "two")))
    calls.forget()
    stone = json.loads((calls.ledgers / "forgotten.jsonl").read_text().splitlines()[0])
    write_text(colleague.ledgers / "forgotten.jsonl", json.dumps(stone) + "\n")
    monkeypatch.setenv("VOICEFORGE_PROJECT", str(colleague.settings.project))
    with pytest.raises(UsageError, match="holds 2 recordings of speakers who were forgotten"):
        checkout(f"{DOMAIN}@{old}")
    make_corpus(colleague.workspace)
    assert {row.speaker for row in rows_of(colleague)} == set(IDS) - {ID}


def test_models_that_learned_from_the_speaker_are_named_and_marked(
    calls: Calls, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _, first = calls.train(test="recordings:Bo", name="first")
    _, second = calls.train(test=ID, name="second")
    calls.registry.set_alias(DOMAIN, CHAMPION, first)
    copies = list(calls.settings.mlflow_artifacts.rglob("report-accuracy_report/**/report.json"))
    assert any(TEXTS[0] in path.read_text() for path in copies)

    done = calls.forget()

    assert done.traces.versions == {first: "yes"} and done.traces.champions == (first,)
    assert sorted(done.traces.certificates.values()) == ["model", "tested"]
    tags = {entry.version: entry.tags for entry in calls.registry.versions(DOMAIN)}
    assert tags[first][TRAINED_TAG] == done.report.stem and TRAINED_TAG not in tags[second]
    written = done.report.read_text()
    assert not any(name in written for name in (ID, GONE, *TEXTS))
    assert not any(TEXTS[0] in path.read_text() for path in copies)
    assert any(TEXTS[1] in path.read_text() for path in copies)
    marked = [
        path.parent
        for path in (calls.workspace.store.root / DOMAIN / "certificate").glob("*/certificate.json")
        if certificate_marks(path.parent)
    ]
    (key,) = (key for key, how in done.traces.certificates.items() if how == "tested")
    assert [folder.name for folder in marked] == [key]

    # The speakers of deleted splits are remembered, as hashes, for whoever comes next.
    again = forget(calls.workspace, "recordings:Bo", by="tests", why="asked")
    assert again.traces.versions == {second: "yes"}
    reports = f"{again.report.stem}"
    assert calls.registry.version(DOMAIN, second).tags[TRAINED_TAG] == reports


def test_a_model_that_only_replayed_the_speaker_is_named(calls: Calls) -> None:
    rows = [replace(row, split="train") for row in rows_of(calls) if row.speaker == ID]
    general = calls.lay("replay", {}, lambda out: write_utterances(out / UTTERANCES, rows))
    calls.train(test=ID, name="first")
    _, second = calls.train(test=ID, name="second", replays={"replay": general.sha256})
    done = calls.forget()
    assert done.traces.adapters == {calls.workspace.current("adapter").key: "yes"}
    assert done.traces.versions == {second: "yes"}
    assert not general.path.exists()


def test_a_frozen_gate_set_gets_a_version_without_them_and_its_certificates_marks(
    calls: Calls, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    held = [row for row in rows_of(calls) if row.speaker in (ID, "recordings:Bo")]
    # Their voice under another name, as a twin is: without it the next run would be blocked.
    twin = replace(next(row for row in held if row.speaker == ID), id="twin", speaker="b:Zoe")
    gate = new_gate(
        [replace(row, split="test") for row in [*held, twin]],
        name=DOMAIN,
        same=text_key,
        previous=None,
        frozen_at="2026-01-05T03:00:00+00:00",
        frozen_by="tests",
        reason="first",
    )
    write_gate(calls.ledgers, gate)
    _, version = calls.train(test="recordings:Cleo", test_set=gate.identity)
    calls.registry.set_alias(DOMAIN, CHAMPION, version)
    certificate = calls.workspace.current("certificate")
    files = sha256_folder(certificate.path)

    done = calls.forget()

    first, second = read_gates(calls.ledgers)
    assert first == gate and {member.id for member in second.members} == {
        row.id for row in held if row.speaker != ID
    }
    (mark,) = certificate_marks(certificate.path)
    assert (mark["gate"], mark["report"]) == ("gate-2", done.report.stem)
    changed = sha256_folder(certificate.path)
    assert {name: changed[name] for name in files} == files  # it is never written in itself
    assert calls.registry.version(DOMAIN, version).tags[TESTED_TAG] == done.report.stem
    monkeypatch.setenv("VOICEFORGE_PROJECT", str(calls.settings.project))
    show_status(as_json=True)
    (row,) = json.loads(capsys.readouterr().out)
    assert len(row["marks"]) == 2 and "gate-2 replaces" in row["marks"][0]
    assert "champion learned from a speaker who was forgotten" in row["marks"][1]
    show_status(as_json=False)
    assert "gate-2 replaces its gate set" in capsys.readouterr().err
    # Asked again, nothing is marked or frozen twice.
    calls.forget()
    assert len(read_gates(calls.ledgers)) == 2 and len(certificate_marks(certificate.path)) == 1


def test_what_the_base_model_heard_and_releases_go_too(calls: Calls) -> None:
    theirs, other = rows_of(calls)[0], rows_of(calls)[1]
    heard = calls.settings.cache / "heard" / "engine-1.jsonl"
    lines = [
        json.dumps({"audio": row.audio_sha256, "window": 3000, "text": row.text})
        for row in (theirs, other)
    ]
    write_text(heard, "".join(f"{line}\n" for line in lines))
    preview = calls.settings.home / "previews" / DOMAIN / "index.html"
    write_text(preview, theirs.text)
    for row in (theirs, other):
        release(
            calls.ledgers,
            id=row.id,
            audio_sha256=row.audio_sha256,
            text=row.text,
            code="clipped",
            why="heard it",
            who="tests",
        )
    calls.forget()
    assert json.loads(heard.read_text())["audio"] == other.audio_sha256
    assert [one.id for one in read_releases(calls.ledgers)] == [other.id]
    assert not preview.exists()


def test_previews_that_were_written_anywhere_go(calls: Calls, tmp_path: Path) -> None:
    """Babble mixes any voice into any clip, so that every preview goes, and whole."""

    def preview(out: Path, workspace: Workspace) -> Path:
        return make_preview(workspace, out, count=1, effects=["a-law"]).parent

    inside = preview(calls.settings.project / "heard", calls.workspace)
    usual = preview(default_preview(calls.workspace), calls.workspace)
    outside = preview(tmp_path / "outside", calls.workspace)
    gone = preview(tmp_path / "disk" / "preview", calls.workspace)
    (outside / "0" / "mine.txt").write_text("years of work")
    for name in ("outside", "taken", "killed"):  # left by a kill
        (tmp_path / f".tmp-{name}-0a1b2c3d" / "0").mkdir(parents=True)
    remember_preview(calls.workspace, tmp_path / "killed")
    params = calls.settings.project / "params.yaml"
    twin = params.read_text().split("domains:\n")[1].replace(f"{DOMAIN}:", "twin:")
    params.write_text(params.read_text() + twin)
    shutil.copytree(calls.workspace.corpus, calls.settings.corpora / "twin")
    taken = preview(tmp_path / "taken", calls.workspace)
    preview(taken, open_workspace("twin", calls.settings))  # over that of the first
    listed = read_json(calls.home / "previews" / f"{DOMAIN}.json")
    assert "heard" in listed and str(outside) in listed
    (tmp_path / "disk").rename(tmp_path / "unplugged")

    found = look(calls.workspace, ID).previews
    assert found.there == tuple(sorted((inside, usual, outside, tmp_path / "killed")))
    assert found.unreachable == (gone,)
    done = calls.forget()

    assert not inside.exists() and not usual.exists() and taken.is_dir()
    left = [path for path in outside.rglob("*") if path.is_file()]
    assert left == [outside / "0" / "mine.txt"]
    assert not list(tmp_path.glob(".tmp-*"))
    assert sum("deleted the preview" in line for line in done.done) == 4
    assert any(str(gone) in line for line in done.kept)
    # Plugged in again, it goes, too.
    (tmp_path / "unplugged").rename(tmp_path / "disk")
    calls.forget()
    assert not gone.exists() and read_json(calls.home / "previews" / f"{DOMAIN}.json") == []


def test_a_preview_that_cannot_be_deleted_is_said_and_goes_later(
    calls: Calls, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "stuck"
    make_preview(calls.workspace, out, count=1, effects=["a-law"])
    unlink = Path.unlink

    def refuse(path: Path, missing_ok: bool = False) -> None:
        if path.is_relative_to(out):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        unlink(path, missing_ok)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", refuse)
        (problem,) = calls.forget().problems
    assert f"The preview {out} could not be deleted" in problem
    stone = read_forgotten(calls.ledgers).tombstone(ID)
    assert stone and not stone.finished_at
    assert {row.speaker for row in rows_of(calls)} == set(IDS) - {ID}
    assert calls.forget().problems == () and not out.exists()
    stone = read_forgotten(calls.ledgers).tombstone(ID)
    assert stone and stone.finished_at


def test_the_command_prints_and_a_dry_run_changes_nothing(
    calls: Calls, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _, version = calls.train(test="recordings:Bo")
    monkeypatch.setenv("VOICEFORGE_PROJECT", str(calls.settings.project))
    monkeypatch.setenv("COLUMNS", "200")
    before = sha256_folder(calls.settings.project / "data")
    forget_speaker(DOMAIN, ID, why=None, by=None, dry_run=True)
    said = capsys.readouterr().out
    assert "Found 2 utterances" in said and "Nothing was changed." in said
    assert f"{version} " in said and "adapter" in said and "0.wav" in said
    assert sha256_folder(calls.settings.project / "data") == before
    forget_speaker(DOMAIN, ID, why="asked", by=None, dry_run=False, yes=True)
    said = capsys.readouterr().out
    assert "removed 2 utterances" in said and "cannot be restored" in said and "4.wav" in said


def test_nothing_is_forgotten_without_a_yes_and_a_reason(
    calls: Calls, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    def ask(why: str | None, *, dry_run: bool = False) -> None:
        forget_speaker(DOMAIN, ID, why=why, by="tests", dry_run=dry_run)

    monkeypatch.setenv("VOICEFORGE_PROJECT", str(calls.settings.project))
    before = sha256_folder(calls.settings.project / "data")
    for why in (None, "", "  "):
        with pytest.raises(UsageError, match="Say why"):
            ask(why)
    with pytest.raises(UsageError, match="Say why"):
        ask(" ", dry_run=True)
    with pytest.raises(UsageError, match="by somebody and for a reason"):
        forget(calls.workspace, ID, by="tests", why=" ")
    monkeypatch.setattr("sys.stdin", io.StringIO("y\n"))
    with pytest.raises(UsageError, match=r"cannot be undone.*Nobody is there to answer.*--yes"):
        ask("asked")
    monkeypatch.setattr("sys.stdin", Terminal("n\n"))
    with pytest.raises(typer.Abort):
        ask("asked")
    assert "Found 2 utterances" in capsys.readouterr().out
    assert sha256_folder(calls.settings.project / "data") == before
    monkeypatch.setattr("sys.stdin", Terminal("y\n"))
    ask("asked")
    assert {row.speaker for row in rows_of(calls)} == set(IDS) - {ID}


def test_a_dry_run_lists_gate_set_versions_pages_and_twins(
    calls: Calls, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Cleo's second recording is Anna Berg's first, byte by byte."""
    old = calls.build()
    shutil.copyfile(calls.recordings / "0.wav", calls.recordings / "6.wav")
    new = calls.build()
    rows = [row for row in rows_of(calls) if row.speaker in (ID, "recordings:Bo")]
    frozen: dict[str, Any] = {"name": DOMAIN, "same": text_key, "previous": None, "reason": "first",
              "frozen_at": "2026-01-05T03:00:00+00:00", "frozen_by": "tests"}  # fmt: skip
    gate = new_gate([replace(row, split="test") for row in rows], **frozen)
    write_gate(calls.ledgers, gate)
    write_text(calls.home / "pages" / f"corpus-{DOMAIN}" / "index.html", "a page")
    preview = make_preview(
        calls.workspace, calls.settings.project / "heard", count=1, effects=["a-law"]
    ).parent
    monkeypatch.setenv("VOICEFORGE_PROJECT", str(calls.settings.project))

    def planned() -> str:
        forget_speaker(DOMAIN, ID, why=None, by=None, dry_run=True)
        return capsys.readouterr().out

    said = planned()
    assert "Found 3 utterances" in said
    assert "of which 1 of other speakers with the same audio" in said
    assert f"gate-2, with 2 recordings instead of {len(rows)}." in said
    versions = said.split("Versions that would be deleted")[1]
    assert str(calls.settings.project / ".dvc" / "cache") in versions
    assert f"{DOMAIN}@{old}" in versions and f"{DOMAIN}@{new}" in versions
    pages = said.split("Previews and pages that would be deleted:")[1].split("Versions")[0]
    assert {line.strip() for line in pages.split("\n") if line.strip()} == {
        str(preview), str(calls.home / "pages" / f"corpus-{DOMAIN}")
    }  # fmt: skip
    alone = new_gate([replace(row, split="test") for row in rows if row.speaker == ID], **frozen)
    shutil.rmtree(calls.ledgers / "gates")
    write_gate(calls.ledgers, alone)
    assert "Nobody else is in the frozen gate set (gate-1)" in planned()
    assert preview.is_dir() and len(read_gates(calls.ledgers)) == 1

    # What was planned is what is done.
    shutil.rmtree(calls.ledgers / "gates")
    write_gate(calls.ledgers, gate)
    done = calls.forget()
    assert "froze gate-2 without them: 2 recordings" in " ".join(done.done)
    assert not preview.exists() and len(rows_of(calls)) == 5
    capsys.readouterr()
    said = planned()
    assert not any(word in said for word in ("gate set", "Versions", "Previews"))


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("recordings:Anna Bergg", "Similar are: recordings:Anna Berg, recordings:Anna Bergman"),
        ("anna berg", "Similar are: recordings:Anna Berg"),
        ("zzz", "None is similar"),
    ],
)
def test_an_unknown_name_gets_similar_ones(calls: Calls, name: str, said: str) -> None:
    before = sha256_folder(calls.settings.project / "data")
    for asked in (look, lambda one, who: forget(one, who, by="t", why="t")):
        with pytest.raises(UsageError, match=f"has no speaker '{name}'.*{said}"):
            asked(calls.workspace, name)
    assert sha256_folder(calls.settings.project / "data") == before


def test_another_corpus_keeps_what_it_needs(calls: Calls) -> None:
    params = calls.settings.project / "params.yaml"
    twin = params.read_text().split("domains:\n")[1].replace(f"{DOMAIN}:", "twin:")
    params.write_text(params.read_text() + twin)
    other = open_workspace("twin", calls.settings)
    make_corpus(other)
    version = corpus_version(other)["md5"]
    done = calls.forget()
    assert done.findings.holdings.shared == 2
    assert any("another corpus" in reason for reason in done.kept)
    shutil.rmtree(other.corpus)
    checkout_version(calls.settings.project, "twin", str(version))
    assert {row.speaker for row in load_corpus(other.corpus)} == set(IDS)
    theirs = {row.audio_sha256 for row in load_corpus(other.corpus) if row.speaker == ID}
    forget(other, ID, by="tests", why="asked")
    assert not theirs & calls.left().audio


def test_the_only_speaker_takes_the_corpus_along(calls: Calls) -> None:
    write_table(calls.settings.project, [("0.wav", TEXTS[0], GONE)])
    calls.build()
    done = calls.forget()
    assert not calls.workspace.corpus.exists()
    assert not calls.workspace.corpus.with_name(f"{DOMAIN}.dvc").exists()
    assert any("nobody else" in line for line in done.done)
    assert ID not in calls.left().speakers


def test_a_remote_on_s3_is_cleaned_and_a_dead_one_is_cleaned_later(
    calls: Calls, s3: S3, monkeypatch: pytest.MonkeyPatch
) -> None:
    theirs = {row.audio_sha256 for row in rows_of(calls) if row.speaker == ID}
    calls = replace(calls, settings=replace(calls.settings, given_remote=s3.url, source_timeout=2))
    old = calls.build()
    assert len(theirs & s3.hashes()) == 2
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    done = calls.forget()
    assert len(done.problems) == 2 and all("endpoint URL" in one for one in done.problems)
    assert not theirs & calls.left().audio and len(theirs & s3.hashes(s3.endpoint)) == 2
    stone = read_forgotten(calls.ledgers).tombstone(ID)
    assert stone and not stone.finished_at
    with pytest.raises(StorageError, match="not forgotten everywhere yet"):
        monkeypatch.setenv("VOICEFORGE_PROJECT", str(calls.settings.project))
        monkeypatch.setenv("VOICEFORGE_REMOTE", s3.url)
        forget_speaker(DOMAIN, ID, why="asked", by=None, dry_run=False, yes=True)

    monkeypatch.setenv("AWS_ENDPOINT_URL", s3.endpoint)
    done = calls.forget()
    assert done.problems == () and not theirs & s3.hashes()
    assert old not in {key.rsplit("/md5/")[-1].replace("/", "") for key in s3.names()}
    new = calls.build()
    shutil.rmtree(calls.settings.project / ".dvc" / "cache")
    shutil.rmtree(calls.workspace.corpus)
    remote = RemoteSettings(s3.url)
    checkout_version(calls.settings.project, DOMAIN, new, remote)
    assert {row.speaker for row in rows_of(calls)} == set(IDS) - {ID}
