"""Piper: a real voice, fetched by its name, speaks the same text the same way every time."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from data import catalogue
from data.audio import SAMPLE_RATE, Samples
from data.fetch import fetch
from data.sources import open_source, render
from data.sources.base import Reach, Speech
from data.sources.espeak_library import speak as speak_espeak
from data.sources.piper import Piper
from data.sources.piper_voice import speak
from voiceforge.errors import UsageError
from voiceforge.params import PiperSource, load_params

TEXT = "Please enter your password. Then press pound."
NAME = "piper-joe-en-us"


@pytest.fixture(scope="module")
def model(cache: Path) -> Path:
    folder = fetch(NAME, cache=cache, offline=False, timeout=10)
    return folder / "en_US-joe-medium.onnx"


@pytest.fixture
def reach(cache: Path) -> Reach:
    return Reach(cache, offline=False, timeout=10)


def piper(project: Path = Path("/nowhere"), **changes: Any) -> Piper:
    fields = {"kind": "piper", "texts": "prompts", "language": "en", "voice": NAME, "clips": 40}
    return Piper(PiperSource.model_validate({**fields, **changes}), project)


def digest(samples: Samples) -> str:
    return hashlib.sha256(samples.tobytes()).hexdigest()


def test_equal_texts_give_equal_speech_whatever_was_said_before(model: Path) -> None:
    first = speak(TEXT, str(model))
    assert 2.0 < first.size / SAMPLE_RATE < 8.0 and 0.1 < np.abs(first).max() <= 1.0
    other = speak("Something else.", str(model))
    espeak = speak_espeak(TEXT, "en-us+m1")  # eSpeak NG is in Piper, too
    assert digest(speak(TEXT, str(model))) == digest(first) != digest(other)
    assert digest(speak_espeak(TEXT, "en-us+m1")) == digest(espeak)
    program = (
        "import hashlib, sys; from data.sources.piper_voice import speak; "
        "print(hashlib.sha256(speak(*sys.argv[1:]).tobytes()).hexdigest())"
    )
    alone = subprocess.run(
        [sys.executable, "-c", program, TEXT, str(model)],
        capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2],
    )  # fmt: skip
    assert alone.stdout.strip() == digest(first)


def test_the_catalogues_voice_speaks_the_prompts(reach: Reach, model: Path) -> None:
    plan = piper().plan(reach)
    assert len(plan.recordings) == 40 and plan.rejects == ()
    assert {r.speaker for r in plan.recordings} == {"piper:en_US-joe-medium"}
    assert {(r.language, r.accent) for r in plan.recordings} == {("en", "en-us")}
    assert {r.licence for r in plan.recordings} == {catalogue.entry(NAME).licence} == {"CC0-1.0"}
    assert all(r.is_synthetic and r.consent == "granted" for r in plan.recordings)
    assert len({r.id for r in plan.recordings}) == len({r.text for r in plan.recordings}) == 40
    assert {r.audio for r in plan.recordings} == {Speech("piper", str(model))}
    # More texts keep those that were there.
    more = piper(clips=10_000).plan(reach).recordings
    assert more[:40] == plan.recordings and 400 < len(more) < 600
    spoken = plan.recordings[0]
    assert digest(render(spoken, 30.0).samples) == digest(speak(spoken.text, str(model)))


def test_a_voice_of_ones_own_is_a_file_and_its_configuration(
    tmp_path: Path, reach: Reach, model: Path
) -> None:
    config = json.loads(model.with_name(f"{model.name}.json").read_text())
    (tmp_path / "alone.onnx").write_bytes(b"a voice without its configuration")
    with pytest.raises(UsageError, match=r"alone\.onnx\.json does not exist.*piper-joe-en-us"):
        piper(tmp_path, voice="alone.onnx").plan(reach)
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        shutil.copy(model, tmp_path / name / "mine.onnx")
        (tmp_path / name / "mine.onnx.json").write_text(json.dumps(config))
    source = piper(tmp_path, voice="one/mine.onnx", clips=1, licence="MIT")
    (recording,) = source.plan(reach).recordings
    assert (recording.speaker, recording.licence) == ("piper:mine", "MIT")
    other = piper(tmp_path, voice="two/mine.onnx", clips=1)
    assert [r.licence for r in other.plan(reach).recordings] == ["unknown"]
    seen = [json.dumps(source.fingerprint()), json.dumps(other.fingerprint())]
    (tmp_path / "one" / "mine.onnx").write_bytes(b"no voice")
    seen.append(json.dumps(source.fingerprint()))
    assert len(set(seen)) == 3
    (broken,) = source.plan(reach).recordings
    with pytest.raises(UsageError, match="cannot be loaded"):
        render(replace(broken, text=TEXT), 30.0)
    (tmp_path / "one" / "mine.onnx.json").write_text("{}")
    with pytest.raises(UsageError, match="no configuration of a Piper voice"):
        source.plan(reach)
    italian = {**config, "language": {"code": "it_IT"}}
    (tmp_path / "two" / "mine.onnx.json").write_text(json.dumps(italian))
    with pytest.raises(UsageError, match=r"speaks 'it-it'.*says 'en'"):
        piper(tmp_path, voice="two/mine.onnx").plan(reach)


def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch, reach: Reach) -> None:
    def missing(name: str) -> str:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr("data.sources.piper_voice.version", missing)
    for ask in (lambda: piper().plan(reach), piper().fingerprint, lambda: speak("x", "y")):
        with pytest.raises(UsageError, match=r"needs the extra `piper`.*voiceforge\[piper\]"):
            ask()


def test_params_open_a_piper_source(project: Path) -> None:
    splits = load_params(project / "params.yaml")["telephony-en"].splits
    source = open_source(piper().params, splits, project)
    assert isinstance(source, Piper)
    assert source.fingerprint()["voice"] == catalogue.entry(NAME).identity
