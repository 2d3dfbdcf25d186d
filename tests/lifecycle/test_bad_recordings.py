"""Everything that users send by accident, in one corpus: each is named, the good rest is kept."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr
import yaml

from data.audio import SAMPLE_RATE, Samples, decode
from data.fetch import fetch
from data.tables import read_rejects, read_utterances
from lifecycle.corpus import make_corpus
from lifecycle.validation import QUARANTINE, TABLE, make_validation
from lifecycle.workspace import Workspace, open_workspace
from tests.data.recordings import encode, encrypted_matroska, long_wav
from voiceforge.errors import UsageError
from voiceforge.settings import load_settings

TEXT = "All circuits are busy now."


@pytest.fixture(scope="module")
def speech(cache: Path) -> Samples:
    prompts = fetch("prompts-en", cache=cache, offline=False, timeout=60.0)
    return decode(next(prompts.rglob("all-circuits-busy-now.g722")))


def variant(speech: Samples, number: int) -> Samples:
    """Other audio of the same words: neither the same nor nearly the same to any rule."""
    slower = soxr.resample(speech, SAMPLE_RATE, SAMPLE_RATE + 900 * number)
    return np.asarray(slower, np.float32)


@pytest.fixture
def project_folder(tmp_path: Path, project: Path, cache: Path) -> Path:
    (tmp_path / "var" / "cache").mkdir(parents=True)
    content = yaml.safe_load((project / "params.yaml").read_text())
    content["domains"] = {
        "calls": {
            "sources": [
                {"kind": "folder", "path": "folder", "language": "en"},
                {"kind": "nemo-manifest", "path": "nemo/all.jsonl", "language": "en"},
            ],
            "validation": {"agreement": {"enabled": False}},
            "quarantine_limit": 1.0,
        }
    }
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(content))
    (tmp_path / "folder").mkdir()
    (tmp_path / "nemo").mkdir()
    return tmp_path


def lay_down(folder: Path, speech: Samples) -> tuple[dict[str, str], set[str]]:
    """Write both sources; gives the reason that each bad recording must get, and the good ones."""
    sound = [encode(variant(speech, number), "wav", "pcm_s16le", 16_000) for number in range(6)]
    files: dict[str, bytes] = {
        "good.wav": sound[0],
        "my call \N{PARTY POPPER}.wav": sound[1],
        "really a wav.mp3": sound[2],
        "cut.wav": sound[3][:-4000],
        "zero.wav": b"",
        "notes.wav": b"remember the milk\n",
        "secret.webm": encrypted_matroska(),
        "russian.wav": sound[4],
        "bracket.wav": sound[5],
    }
    for name, content in files.items():
        (folder / "folder" / name).write_bytes(content)
    soundfile.write(folder / "folder" / "tiny.wav", speech[:160], SAMPLE_RATE)
    fast = soxr.resample(variant(speech, 7), SAMPLE_RATE, 192_000)
    soundfile.write(folder / "folder" / "eight.wav", np.stack([fast] * 8, axis=1), 192_000)
    long_wav(folder / "folder" / "day.wav", 3 * 3600, speech, at=9000)
    (folder / "folder" / "loop.wav").symlink_to("pool.wav")
    (folder / "folder" / "pool.wav").symlink_to("loop.wav")
    texts = {"russian.wav": "Все линии сейчас заняты.", "bracket.wav": "[noise]"}
    rows = ["id,audio,text"]
    for number, name in enumerate([*files, "tiny.wav", "eight.wav", "day.wav", "loop.wav",
                                   "gone.wav", "../params.yaml", "/etc/hostname"]):  # fmt: skip
        rows.append(f"r{number},{name},{texts.get(name, TEXT)}")
    rows += ["r0,good.wav,All circuits are busy now.", "r99,good.wav"]
    (folder / "folder" / "table.csv").write_bytes("\n".join(rows).encode("utf-8-sig"))

    soundfile.write(folder / "nemo" / "call.wav", variant(speech, 9), SAMPLE_RATE)
    seconds = variant(speech, 9).size / SAMPLE_RATE
    lines = [
        {"audio_filepath": "call.wav", "text": "All circuits are busy.", "duration": seconds},
        {"audio_filepath": "call.wav", "text": TEXT, "duration": float("nan"), "offset": 0.0},
        {"audio_filepath": "call.wav", "text": TEXT, "duration": 1.0, "offset": 60.0},
        {"text": TEXT, "duration": 1.0},
    ]
    manifest = "\n".join(map(json.dumps, lines)) + '\n{"audio_filepath": "call.w'
    (folder / "nemo" / "all.jsonl").write_text(manifest)
    return {
        "cut.wav": "truncated",
        "zero.wav": "empty",
        "notes.wav": "not-audio",
        "secret.webm": "encrypted",
        "tiny.wav": "too-short",
        "day.wav": "too-long",
        "loop.wav": "unsafe-path",
        "gone.wav": "missing",
        "../params.yaml": "unsafe-path",
        "/etc/hostname": "unsafe-path",
    }, {"good.wav", "my call \N{PARTY POPPER}.wav", "really a wav.mp3", "eight.wav"}


def built(folder: Path) -> Workspace:
    workspace = open_workspace("calls", load_settings({}, folder))
    make_corpus(workspace)
    make_validation(workspace)
    return workspace


def test_each_bad_recording_is_named_and_the_good_rest_is_kept(
    project_folder: Path, speech: Samples
) -> None:
    bad, good = lay_down(project_folder, speech)
    workspace = built(project_folder)
    made = workspace.current("validation")
    rejects = read_rejects(made.path / QUARANTINE)
    kept = read_utterances(made.path / TABLE)
    by_place = {one.where: one.reason for one in rejects}
    assert {name: by_place.get(name) for name in bad} == bad
    codes = sorted(one.reason for one in rejects if one.where not in bad)
    assert codes.count("duplicate-id") == 1
    assert codes.count("wrong-script") == 1
    assert codes.count("bracketed-text") == 1
    assert codes.count("outside") == 1  # the segment at 60 s of a shorter file
    assert codes.count("bad-duration") == 1
    assert codes.count("bad-row") == 3  # two cells of three, no audio_filepath, half a line
    assert len(codes) == 8
    assert len(kept) == len(good) + 1
    assert {row.text for row in kept} == {TEXT, "All circuits are busy."}
    for one in rejects:
        if one.reason in ("bad-row", "bad-duration", "duplicate-id", "unsafe-path", "missing"):
            assert "line" in one.detail or "this id already" in one.detail, one
    assert all((workspace.corpus / row.audio).is_file() for row in kept)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("audio,text\ngood.wav,déjà vu\n".encode("latin-1"), "table.csv"),
        (b"audio,words\ngood.wav,hello\n", "text"),
        (b"", "table.csv"),
    ],
)
def test_a_table_that_cannot_be_meant_is_refused_and_the_corpus_stays(
    project_folder: Path, speech: Samples, content: bytes, words: str
) -> None:
    lay_down(project_folder, speech)
    workspace = built(project_folder)
    before = {path: path.read_bytes() for path in workspace.corpus.glob("*.parquet")}
    (project_folder / "folder" / "table.csv").write_bytes(content)
    with pytest.raises(UsageError, match=words):
        built(project_folder)
    assert {path: path.read_bytes() for path in workspace.corpus.glob("*.parquet")} == before
