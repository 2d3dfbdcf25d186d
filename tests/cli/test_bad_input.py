"""Each bad input: one paragraph, the right exit code, no traceback, nothing half-written."""

from __future__ import annotations

import os
import shutil
import socket
import time
from collections.abc import Callable
from pathlib import Path

import pytest

TINY = ("transcribe", "--model", "base:whisper-tiny.en")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["run", "--domain", "telefony-en"], "There is no domain 'telefony-en'"),
        (["stage", "corpus", "--domain", "telefony-en"], "There is no domain 'telefony-en'"),
        (["up", "--domain", "telefony-en"], "There is no domain 'telefony-en'"),
        (["serve"], "no domain has a champion"),
        (["serve", "--domain", "telephony-en"], "telephony-en has no champion yet"),
        (["serve", "--model", "nowhere"], "no folder with an engine.json"),
        (["up", "--mlflow-port", "3000"], "The three ports must differ"),
        (["up", "--mlflow-port", "0"], "--mlflow-port"),
        (["stage", "training", "--domain", "telephony-en"], "There is no stage 'training'"),
        (["transcribe", "params.yaml"], "Name a model with --model: no domain has a champion yet"),
        (["transcribe", "none.wav"], "There is no file none.wav"),
        (["transcribe", "params.yaml", "--model", "base:whisper-tin"], "whisper-tiny.en"),
        (["transcribe", "params.yaml", "--model", "tiny"], "'tiny' is no model"),
        (["transcribe", "params.yaml", "--model", "models:/x"], "names no model version"),
        (["corpus", "checkout", "../x@1.dir"], "is no corpus version"),
        (["gc", "--keep-runs", "0"], "--keep-runs"),
        (["frobnicate"], "frobnicate"),
        (["run", "--dominion", "x"], "--dominion"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_bad_use_ends_with_2(place, arguments: list[str], words: str) -> None:  # type: ignore[no-untyped-def]
    before = place.tree()
    ended = place(*arguments)
    assert ended.code == 2, ended.err
    assert words in ended.paragraph()
    assert ended.out == ""
    assert place.tree() == before


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("steps: 240", "stpes: 240", "unknown key telephony-en.training.stpes (value 240)"),
        ("steps: 240", "steps: many", "telephony-en.training.steps is 'many'"),
        ("defaults:", "default:", "unknown key 'default'"),
        ("defaults:", "defaults: [", "is not valid YAML"),
    ],
)
@pytest.mark.parametrize("command", ["status", "run"])
def test_a_bad_params_file_ends_with_2(  # type: ignore[no-untyped-def]
    place, command: str, old: str, new: str, words: str
) -> None:
    params = place.path / "params.yaml"
    params.write_text(params.read_text().replace(old, new, 1))
    before = place.tree()
    ended = place(command)
    assert ended.code == 2
    assert words in ended.paragraph() if "YAML" not in words else words in ended.err
    assert str(params) in ended.err
    assert place.tree() == before


def test_a_traceback_only_with_debug(place) -> None:  # type: ignore[no-untyped-def]
    ended = place("--debug", "run", "--domain", "telefony-en")
    assert ended.code == 2
    assert "Traceback" in ended.err
    assert "UsageError" in ended.err
    assert "Error: There is no domain 'telefony-en'" in ended.err


def test_a_bad_variable_and_no_project(place, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    assert (
        place("status", VOICEFORGE_THREADS="x")
        .paragraph()
        .startswith("Error: VOICEFORGE_THREADS is 'x'")
    )
    (place.path / "params.yaml").unlink()
    ended = place("status")
    assert ended.code == 2
    assert "No params.yaml in" in ended.paragraph()


def test_a_project_without_domains_says_so(place) -> None:  # type: ignore[no-untyped-def]
    (place.path / "params.yaml").write_text("domains: {}\n")
    ended = place("run")
    assert ended.code == 2
    assert "has no domains" in ended.paragraph()


def test_files_that_are_no_audio_are_named_and_the_others_heard(  # type: ignore[no-untyped-def]
    place, prompt: Callable[[str, str], Path]
) -> None:
    text, empty = place.path / "notes [1].txt", place.path / "empty.wav"
    text.write_text("this is no recording\n" * 50)
    empty.touch()
    missing = place.path / "none.wav"
    ended = place(*TINY, text, prompt("en", "all-circuits-busy-now"), empty, missing)
    assert ended.code == 1
    assert ended.out.strip().endswith("All circuits are busy now.")
    assert len(ended.out.splitlines()) == 1
    assert "3 of 4 files could not be transcribed" in ended.err
    errors = [line for line in ended.err.splitlines() if line.startswith("Error: ")]
    assert str(text) in errors[0]
    assert str(empty) in errors[1]
    assert f"There is no file {missing}" in errors[2]
    assert "Traceback" not in ended.err


def test_corrupt_weights_are_named(place, prompt) -> None:  # type: ignore[no-untyped-def]
    """A copy of the cache in which one byte of the model is another."""
    shared, own = place.cache, place.path / "var" / "cache"
    own.unlink()
    for folder in ("sources", "base-models"):
        name = f"{folder}/whisper-tiny.en"
        shutil.copytree(shared / name, own / name, copy_function=os.link)
    (weights,) = (own / "base-models").rglob("model.safetensors")
    content = bytearray(weights.read_bytes())
    content[len(content) // 2] ^= 1
    weights.unlink()
    weights.write_bytes(content)
    before = sorted(own.rglob("*"))
    ended = place(*TINY, prompt("en", "agent-pass"), VOICEFORGE_OFFLINE="1")
    assert ended.code == 1, ended.err
    assert str(weights.parent) in ended.paragraph()
    assert "sha256" in ended.paragraph()
    assert [path for path in sorted(own.rglob("*")) if path.suffix != ".lock"] == [
        path for path in before if path.suffix != ".lock"
    ]


def test_offline_without_a_cache_says_so(place, prompt) -> None:  # type: ignore[no-untyped-def]
    (place.path / "var" / "cache").unlink()
    before = place.tree()
    ended = place(*TINY, prompt("en", "agent-pass"), VOICEFORGE_OFFLINE="1")
    assert ended.code == 1
    assert "whisper-tiny.en is not in the cache" in ended.paragraph()
    assert {path for path in place.tree() if path.endswith((".bin", ".safetensors"))} == set()
    assert dict.fromkeys(before).keys() <= place.tree().keys()


def test_no_source_reachable_costs_seconds_and_names_each(place, prompt) -> None:  # type: ignore[no-untyped-def]
    (place.path / "var" / "cache").unlink()
    proxies = dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"), "http://127.0.0.1:9")
    proxies |= {name.lower(): value for name, value in proxies.items()}
    began = time.monotonic()
    ended = place(
        *TINY,
        prompt("en", "agent-pass"),
        **proxies,
        NO_PROXY="",
        no_proxy="",
        VOICEFORGE_SOURCE_TIMEOUT="1",
    )
    assert time.monotonic() - began < 60
    assert ended.code == 1
    assert "whisper-tiny.en could not be fetched" in ended.paragraph()
    assert "(1) Hugging Face Hub" in ended.paragraph()
    assert "(2) Python packages" in ended.paragraph()
    assert [path for path in place.tree() if ".tmp-" in path or path.endswith(".bin")] == []


@pytest.mark.parametrize(
    ("arguments", "option"),
    [
        (["up", "--dagster-port"], "--dagster-port"),
        (["up", "--service-port"], "--service-port"),
        (["serve", "--model", "engine", "--port"], "--port"),
    ],
)
def test_a_port_in_use_is_named(place, arguments: list[str], option: str) -> None:  # type: ignore[no-untyped-def]
    (place.path / "engine").mkdir()
    (place.path / "engine" / "engine.json").write_text("{}")
    before = place.tree()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        ended = place(*arguments, port)
    assert ended.code == 2
    assert f"The port {port} cannot be used" in ended.paragraph()
    assert f"another one with {option}." in ended.paragraph()
    assert place.tree() == before


MOUNT = 'mount -t tmpfs -o "$1" none "$2" && shift 2 && exec "$@"'


def on_a_disk(options: str, at: Path) -> list[str]:
    """Starts a program to which `at` is a disk of its own (a tmpfs in a mount namespace)."""
    at.mkdir(parents=True, exist_ok=True)
    return ["unshare", "--mount", "--map-root-user", "sh", "-c", MOUNT, "sh", options, str(at)]


@pytest.mark.parametrize(
    ("options", "words"),
    [("size=64k", "The disk is full"), ("ro", "cannot be written"), ("size=2m", "disk is full")],
)
def test_a_full_or_read_only_disk_is_said(place, options: str, words: str) -> None:  # type: ignore[no-untyped-def]
    """The home of run-time state is on it: 64 KiB hold no Dagster, 2 MiB hold no corpus."""
    home = place.path / "home"
    before = place.tree() | {"home": None}
    ended = place.through(
        on_a_disk(options, home), "run", "-d", "telephony-en", VOICEFORGE_HOME=str(home)
    )
    assert ended.code == 1, ended.err
    assert words in ended.paragraph()
    after = place.tree()
    assert {name: content for name, content in after.items() if name in before} == before
    assert [name for name in after if name not in before and after[name] is not None] == []


def test_a_full_disk_under_the_project_is_said(place) -> None:  # type: ignore[no-untyped-def]
    """The corpus does not fit."""
    corpora = place.path / "data" / "corpora"
    ended = place.through(on_a_disk("size=1m", corpora), "stage", "corpus", "-d", "telephony-it")
    assert ended.code == 1, ended.err
    assert "disk is full" in ended.paragraph()
    artifacts = place.path / "var" / "artifacts"
    assert [path for path in artifacts.rglob("*") if path.name == "corpus.json"] == []
