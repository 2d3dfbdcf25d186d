"""The command as a user meets it: quick to answer, and right."""

from __future__ import annotations

import json
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from lifecycle.base_model import base_model
from lifecycle.workspace import open_workspace
from training.base_models import resolve
from voiceforge.settings import load_settings

SLOW = ("torch", "transformers", "dagster", "mlflow", "bentoml", "dvc", "pandas", "ctranslate2",
        "numpy", "peft", "great_expectations", "httpx")  # fmt: skip

Prompt = Callable[[str, str], Path]


def test_help_comes_at_once_and_names_every_command(place: Any) -> None:
    """Under a second of the processor's time: the clock also counts what others do meanwhile."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    ended = place("--help")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert ended.code == 0
    commands = ["run", "up", "serve", "transcribe", "status", "init", "gc", "stage", "corpus"]
    assert [name for name in commands if name not in ended.out] == []
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 1.0
    bare = place()
    assert "Usage: voiceforge" in bare.out + bare.err


@pytest.mark.parametrize("arguments", [["--help"], ["run", "--help"], ["--version"]])
def test_nothing_slow_is_imported_for_help(arguments: list[str]) -> None:
    program = (
        "import sys; from cli.main import main; sys.argv = ['voiceforge', *sys.argv[1:]]\n"
        "try: main()\nexcept SystemExit: pass\n"
        "print('|', *sys.modules, file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments], capture_output=True, text=True, check=True
    )
    imported = {name.split(".")[0] for name in done.stderr.rpartition("|")[2].split()}
    assert "typer" in imported
    assert imported.isdisjoint(SLOW)


def test_a_base_model_hears_the_language(place: Any, prompt: Prompt) -> None:
    """whisper-base is multilingual: what was said is written in the language it was said in."""
    files = [prompt("it", "agent-pass"), prompt("en", "agent-pass")]
    model = ("--model", "base:whisper-base", "--json")
    ended = place("transcribe", *files, *model)
    assert ended.code == 0, ended.err
    italian, english = (json.loads(line) for line in ended.out.splitlines())
    assert (italian["language"], english["language"]) == ("it", "en")
    assert "password seguita" in italian["text"]
    assert "your password" in english["text"]
    ended = place("transcribe", files[0], *model, "--language", "en")
    assert json.loads(ended.out)["language"] == "en"
    ended = place("transcribe", files[0], *model, "--language", "xx")
    assert ended.code == 2
    assert "knows no language 'xx'" in ended.paragraph()


def test_json_has_words_times_confidence_model_and_seconds(place: Any, prompt: Prompt) -> None:
    ended = place(
        "transcribe", prompt("en", "agent-pass"), "--model", "base:whisper-tiny.en", "--json"
    )
    fields = json.loads(ended.out)
    assert fields.keys() == {
        "file", "model", "text", "words", "confidence", "language", "duration", "seconds",
        "calibrated",
    }  # fmt: skip
    assert fields["calibrated"] == []  # a base model has no calibrator
    assert fields["model"] == "base:whisper-tiny.en"
    assert fields["text"].split() == [word["text"] for word in fields["words"]]
    times = [moment for word in fields["words"] for moment in (word["start"], word["end"])]
    assert times == sorted(times)
    assert times[0] >= 0 and times[-1] <= fields["duration"] + 0.01
    assert 0.5 < fields["confidence"] <= 1
    assert fields["seconds"] > 0
    refused = place(
        "transcribe", fields["file"], "--model", "base:whisper-tiny.en", "--language", "it"
    )
    assert refused.code == 2
    assert "knows English only" in refused.paragraph()


def test_an_engine_folder_is_a_model(place: Any, prompt: Prompt) -> None:
    file = prompt("en", "all-circuits-busy-now")
    by_name = place("transcribe", file, "--model", "base:whisper-tiny.en")
    folder, *_ = sorted(
        path for path in (place.cache / "base-engines").glob("whisper-tiny.en-*")
        if path.name.count("-") == 2  # not one of another kind or precision
    )  # fmt: skip
    by_path = place("transcribe", file, "--model", folder)
    assert by_path.out == by_name.out == "All circuits are busy now.\n"


def test_status_before_any_run(place: Any) -> None:
    ended = place("status")
    assert ended.code == 0
    assert ended.out.count("has not run") == 2
    rows = json.loads(place("status", "--json").out)
    assert [row["domain"] for row in rows] == ["telephony-en", "telephony-it"]
    assert {row["champion"] for row in rows} == {None}
    assert not (place.path / "var" / "mlflow").exists()


def test_gc_says_what_it_would_remove_and_then_removes_it(place: Any) -> None:
    # A home of its own: the shared cache of decoded audio is not this test's to prune.
    home = {"VOICEFORGE_HOME": str(place.path / "home")}
    stage = place.path / "home" / "artifacts" / "telephony-en" / "adapter"
    left = stage / ".tmp-0123456789abcdef-00000000"
    left.mkdir(parents=True)
    (left / "half").write_bytes(b"x" * 200_000)
    ended = place("gc", "--dry-run", **home)
    assert ended.code == 0
    assert f"would remove {left} (0.2 MB)" in ended.out
    assert "0.2 MB could be freed" in ended.out
    assert (left / "half").is_file()
    assert f"removed {left}" in place("gc", **home).out
    assert not left.exists()
    assert "0.0 MB were freed" in place("gc", **home).out


@pytest.fixture
def calls(place: Any, prompt: Prompt) -> Path:
    """A user's recordings: two files and their table."""
    folder: Path = place.path / "calls"
    folder.mkdir()
    for name in ("agent-pass", "all-circuits-busy-now"):
        shutil.copy(prompt("en", name), folder / f"{name}.g722")
    table = "audio,text\nagent-pass.g722,please enter\nall-circuits-busy-now.g722,busy\n"
    (folder / "table.csv").write_text(table)
    return folder


def test_init_adds_a_domain_and_leaves_every_other_byte(place: Any, calls: Path) -> None:
    params = place.path / "params.yaml"
    before = params.read_bytes()
    ended = place("init", "support-en", "--language", "en", "--source", "calls")
    assert ended.code == 0, ended.err
    assert "2 recordings" in ended.out
    assert params.read_bytes().startswith(before)
    added = yaml.safe_load(params.read_text())["domains"]["support-en"]
    assert added["sources"] == [{"kind": "folder", "path": "calls", "language": "en"}]
    assert added["base_model"] == "whisper-tiny.en"
    assert "support-en" in place("status").out
    again = place("init", "support-en", "--language", "en", "--source", "calls")
    assert again.code == 2
    assert "already has a domain 'support-en'" in again.paragraph()
    other = place("init", "support-fr", "--language", "fr", "--source", calls)
    assert other.code == 0
    added = yaml.safe_load(params.read_text())["domains"]["support-fr"]
    assert (added["base_model"], added["evaluation"]["normaliser"]) == (
        "whisper-base",
        "whisper-basic",
    )


def test_init_takes_a_model_folder_from_where_the_user_stands(place: Any, calls: Path) -> None:
    """params.yaml names it from the project, and stages find it from anywhere."""
    model = resolve("whisper-tiny.en", cache=place.cache, offline=False, timeout=60.0)
    shutil.copytree(model.path, place.path / "models" / "mine")
    added = ("--language", "en", "--source", calls, "--base-model", "../models/mine")
    ended = place.below("calls")("init", "own-en", *added)
    assert ended.code == 0, ended.err
    params = yaml.safe_load((place.path / "params.yaml").read_text())
    assert params["domains"]["own-en"]["base_model"] == "models/mine"
    for folder in (".", "calls"):
        settings = load_settings({}, place.path / folder)
        found = base_model(open_workspace("own-en", settings))
        assert (found.name, found.sha256) == ("mine", model.sha256)
    refused = place.below("calls")("init", "own-it", "--language", "it", *added[2:])
    assert refused.code == 2
    assert "knows English only" in refused.paragraph()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["Support", "--language", "en", "--source", "calls"], "no name for a domain"),
        (["new", "--language", "english", "--source", "calls"], "no ISO 639-1 language code"),
        (["new", "--language", "en", "--source", "nowhere"], "does not exist"),
        (["new", "--language", "en", "--source", "empty"], "holds no table. It must hold"),
        (["new", "--language", "en", "--source", "columns"], "text"),
        (["new", "--language", "en", "--source", "absent"], "names no recording that is there"),
        (["new", "--language", "en", "--source", "calls", "--base-model", "x"], "folder 'x'"),
        (
            ["new", "--language", "it", "--source", "calls", "--base-model", "whisper-tiny.en"],
            "knows English only",
        ),
        (
            ["new", "--language", "en", "--source", "calls", "--base-model", "prompts-en"],
            "Known base models: whisper-tiny.en, whisper-base",
        ),
        (
            ["new", "--language", "en", "--source", "calls", "--base-model", "canary-1b-flash"],
            "is a NeMo model. Whisper base models are: whisper-tiny.en",
        ),
        (
            ["new", "--language", "en", "--source", "calls", "--base-model", "calls"],
            "holds no .safetensors file",
        ),
        (["new", "--language", "en"], "--source"),
    ],
)
def test_init_refuses_what_cannot_be_meant(
    place: Any, calls: Path, arguments: list[str], words: str
) -> None:
    for name, table in (
        ("empty", None),
        ("columns", "audio\na.wav\n"),
        ("absent", "audio,text\na,b\n"),
    ):
        (place.path / name).mkdir()
        if table:
            (place.path / name / "table.csv").write_text(table)
    before = place.tree()
    ended = place("init", *arguments)
    assert ended.code == 2, ended.err
    assert words in ended.paragraph()
    assert place.tree() == before
