"""`voiceforge engine`: build, check and explain with a real model."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from cli.engine import REJECTED
from data.audio import decode, write_flac
from serving.engines import engine_sha256
from serving.engines.description import read_description, write_description
from tests.cli.conftest import Place
from tests.narrow_whisper import narrow_whisper
from training.base_models import resolve


@pytest.fixture
def tiny(cache: Path) -> Path:
    return resolve("whisper-tiny.en", cache=cache, offline=True, timeout=1.0).path


def test_the_list_says_what_this_machine_can_run(place: Place) -> None:
    said = place("engine", "list")
    assert said.code == 0, said.err
    assert "int8 (default)" in said.out and "yes, " in said.out
    assert "onnxruntime" in said.out


@pytest.mark.system
def test_an_engine_is_built_checked_and_heard(
    place: Place, tmp_path: Path, tiny: Path, prompt: Callable[[str, str], Path]
) -> None:
    out = tmp_path / "engine"
    built = place("engine", "build", str(tiny), "--engine", "ctranslate2:int8_float32",
                  "--out", out)  # fmt: skip
    assert built.code == 0, built.err
    assert engine_sha256(out) in built.out
    assert "ctranslate2:int8_float32" in built.out

    speech = tmp_path / "calls"
    speech.mkdir()
    write_flac(speech / "a.flac", decode(prompt("en", "vm-goodbye")))
    (speech / "calls.csv").write_text("audio,text\na.flac,Goodbye.\n")
    checked = place("engine", "check", out, "--source", str(tiny), "--speech", speech)
    assert checked.code == 0, checked.err
    assert "files as they were built" in checked.out
    assert "clips padded to 30 s, in en" in checked.out
    assert "Loss:      +0.00 [" in checked.out and "Verdict:   " in checked.out

    again = place("engine", "build", str(tiny), "--out", out)
    assert again.code == 2 and "exists already" in again.paragraph()
    (out / "model.bin").write_bytes((out / "model.bin").read_bytes()[:-1])
    broken = place("engine", "check", out)
    assert broken.code == 1 and "model.bin is not what was built" in broken.paragraph()


@pytest.mark.system
def test_an_engine_that_says_something_else_than_its_source_is_rejected(
    place: Place, tmp_path: Path, tiny: Path, prompt: Callable[[str, str], Path]
) -> None:
    """Random weights under the source's name stand for a quantization that broke the model."""
    narrow_whisper(tiny, tmp_path / "narrow")
    out, speech = tmp_path / "engine", tmp_path / "calls"
    built = place("engine", "build", str(tmp_path / "narrow"), "--out", out)
    assert built.code == 0, built.err
    speech.mkdir()
    rows = ["audio,text"]
    names = ["vm-goodbye", "vm-password", "conf-onlyperson", "all-circuits-busy-now"]
    for n, name in enumerate(names * 6):
        write_flac(speech / f"{n}.flac", decode(prompt("en", name)))
        rows.append(f"{n}.flac,{name} {n} is what somebody said here once more")
    (speech / "calls.csv").write_text("\n".join(rows))
    asked = ("engine", "check", out, "--source", str(tiny), "--speech", speech)
    other = place(*asked)
    assert other.code == 2 and "was not built of" in other.paragraph()
    description = read_description(out)
    source = resolve("whisper-tiny.en", cache=place.cache, offline=True, timeout=1.0).sha256
    write_description(out, replace(description, source_sha256=source))
    found = place(*asked, "--out", tmp_path / "report")
    assert (tmp_path / "report" / "report.html").is_file(), found.err
    assert "Verdict:   rejected: it surely loses more than 0.5 points" in found.out
    assert found.code == REJECTED


@pytest.mark.system
def test_tensorrt_plans_are_built_ahead_of_time_and_kept(
    place: Place, tmp_path: Path, tiny: Path
) -> None:
    narrow_whisper(tiny, tmp_path / "narrow")
    engine, plans = tmp_path / "engine", tmp_path / "plans"
    built = place("engine", "build", str(tmp_path / "narrow"), "--engine", "onnxruntime:float16",
                  "--out", engine)  # fmt: skip
    assert built.code == 0, built.err
    asked = ("engine", "plan", engine, "--out", plans, "--compute-capability", "8.9")
    planned = place(*asked)
    assert planned.code == 0, planned.err
    assert "Flavour:   tensorrt_rtx " in planned.out
    assert "compute capability 8.9; up to 8 clips at once" in planned.out
    assert planned.out.count(".plan (") == 2 and "Built, not executed" in planned.out
    again = place(*asked)
    assert again.out.count("built before") == 2
    broken = next(plans.glob("*/decoder.plan"))
    broken.write_bytes(broken.read_bytes()[:-1])
    refused = place(*asked)
    assert refused.code == 1 and f"{broken} is not what was built" in refused.paragraph()
    hopper = place("engine", "plan", engine, "--out", plans, "--compute-capability", "9.0")
    assert hopper.code == 2 and "does not build for compute capability 9.0" in hopper.paragraph()
    (tmp_path / "without").mkdir()
    for name in ("tensorrt_rtx", "tensorrt_rtx_bindings"):
        (tmp_path / "without" / f"{name}.py").write_text("raise ImportError('it is not here')")
    path = os.pathsep.join([str(tmp_path / "without"), os.environ.get("PYTHONPATH", "")])
    without = place(*asked, PYTHONPATH=path)
    assert without.code == 2
    assert "pip install 'voiceforge[tensorrt-rtx]'" in without.paragraph()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["build", "base:whisper-tiny.en", "--engine", "onnx:int8", "--out", "x"], "no engine"),
        (["build", "models:/telephony-en@champion", "--out", "x"], "has no weights to build from"),
        (["build", "base:whisper-base", "--out", "x"], "say --language"),
        (["build", "base:whisper-tiny.en", "--language", "it", "--out", "x"], "English alone"),
        (["check", "x", "--speech", "calls.csv"], "--speech needs --source"),
        (["check", "x", "--speech", "general:it,es", "--source", "x"], "one at a time"),
        (["check", "x"], "x does not exist. Name the folder of an engine"),
        (["check", "params.yaml"], "params.yaml is a file. Name the folder of an engine"),
        (["check", "var"], "var holds no engine.json"),
        (
            ["build", "base:whisper-tiny.en", "--calibration", ".", "--out", "x"],
            "ctranslate2:int8 is fitted to no speech",
        ),
        (["plan", "x", "--out", "y"], "x does not exist. Name the folder of an engine"),
        (["plan", "x", "--out", "params.yaml"], "which is no folder"),
        (["explain", "telephony-xx"], "telephony-xx"),
        (["explain", "telephony-en"], "telephony-en"),
    ],
)
def test_mistakes_are_a_paragraph(place: Place, arguments: list[str], words: str) -> None:
    refused = place("engine", *arguments)
    assert refused.code in (1, 2)
    assert words in refused.paragraph()
    assert not (place.path / "x").exists()
