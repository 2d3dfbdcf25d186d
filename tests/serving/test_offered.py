"""Names of engines, and an engine that is loaded when it is needed."""

from __future__ import annotations

from dataclasses import replace
from inspect import signature
from pathlib import Path
from typing import Any

import pytest

from serving.engines import ctranslate2, engine_sha256, load_engine, offered
from serving.engines.contracts import Calibration, DecodingOptions, EngineSpec, Samples
from serving.engines.description import read_description, write_description
from serving.engines.loading import OnDemand
from serving.engines.offered import (
    CALIBRATED,
    DEFAULT,
    OFFERED,
    EngineName,
    check_calibration,
    engine_module,
    engine_name,
    parse_engine,
    probe,
)
from voiceforge.errors import IntegrityError, UsageError
from voiceforge.files import read_json, sha256_json


def test_every_engine_offered_has_a_name_that_is_read_again() -> None:
    for kind, precisions in OFFERED.items():
        for precision in precisions:
            name = parse_engine(f"{kind}:{precision}")
            assert (name.kind, name.precision) == (kind, precision)
            assert parse_engine(str(name)) == name


def test_each_kind_has_a_module_that_knows_its_precisions() -> None:
    assert [engine_module(kind).KIND for kind in OFFERED] == list(OFFERED)
    assert set(ctranslate2.COMPUTE_TYPES) == set(OFFERED["ctranslate2"])


@pytest.mark.parametrize("kind", OFFERED)
def test_what_cannot_be_built_is_refused(kind: str, tmp_path: Path) -> None:
    build = engine_module(kind).build
    for precision, words in (("int4", "'int4' is not known"), ("int8", "no model.safetensors")):
        spec = EngineSpec(kind, precision, 3000, "en")
        with pytest.raises(UsageError, match=words):
            build(tmp_path, tmp_path / "out", spec, source_sha256="0", trailing_silence=0.0)


@pytest.mark.parametrize("kind", OFFERED)
def test_what_is_fitted_to_speech_is_not_built_without_any(kind: str) -> None:
    for precision in OFFERED[kind]:
        name = EngineName(kind, precision)
        check_calibration(name, 1)
        if precision in CALIBRATED:
            with pytest.raises(UsageError, match=rf"{name} .*Give a few dozen"):
                check_calibration(name, 0)
        else:
            check_calibration(name, 0)


def test_every_kind_takes_calibration_clips() -> None:
    for kind in OFFERED:
        assert "calibration" in signature(engine_module(kind).build).parameters


def test_calibration_is_part_of_an_engine_and_its_lack_of_none(
    engine_folder: Path, tmp_path: Path
) -> None:
    fields = read_json(engine_folder / "engine.json")
    assert "calibration" not in fields
    unnamed = ("tool_versions", "wer_before", "wer_after")
    identity = {key: value for key, value in fields.items() if key not in unnamed}
    assert engine_sha256(engine_folder) == sha256_json(identity)
    fitted = Calibration(12, 40.5, "0" * 64, "percentile 99.99")
    description = replace(read_description(engine_folder), calibration=fitted)
    write_description(tmp_path, description)
    assert read_description(tmp_path) == description
    assert engine_sha256(tmp_path) != engine_sha256(engine_folder)


@pytest.mark.parametrize("text", ["", "int8", "ctranslate2", "ctranslate2:int4", "onnx:int8"])
def test_an_unknown_engine_is_refused_with_those_that_there_are(text: str) -> None:
    with pytest.raises(UsageError, match=r"There is: ctranslate2:int8, .*ctranslate2:float32"):
        parse_engine(text)


def test_an_engine_on_demand_is_loaded_by_its_first_clip_and_once(
    engine_folder: Path,
    clips: dict[str, Samples],
    monkeypatch: pytest.MonkeyPatch,
    threads: int,
) -> None:
    clip = clips["all-circuits-busy-now"]
    loads: list[Path] = []

    def counted(path: Path, threads: int) -> Any:
        loads.append(path)
        return load_engine(path, threads=threads)

    monkeypatch.setattr("serving.engines.loading.load_engine", counted)
    engine = OnDemand(engine_folder, threads)
    assert engine_name(engine.description) == DEFAULT
    assert not loads
    ours = engine.transcribe([clip], DecodingOptions())
    assert engine.detect_language(clip) == "en"
    assert loads == [engine_folder]
    assert ours == load_engine(engine_folder, threads).transcribe([clip], DecodingOptions())


def test_an_engine_on_demand_is_verified_when_it_is_loaded(
    engine_folder: Path, tmp_path: Path, clips: dict[str, Samples]
) -> None:
    for file in engine_folder.iterdir():
        (tmp_path / file.name).symlink_to(file)
    (tmp_path / "vocabulary.json").unlink()
    engine = OnDemand(tmp_path, 1)
    assert engine.description == read_description(engine_folder)
    with pytest.raises(IntegrityError, match=r"vocabulary\.json is missing"):
        engine.transcribe([clips["agent-pass"]], DecodingOptions())


def test_a_kind_whose_package_is_missing_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    assert all(not probe(kind).problem and probe(kind).version for kind in OFFERED)
    monkeypatch.setitem(offered._PACKAGES, "onnxruntime", "no_such_package")
    found = probe("onnxruntime")
    assert found.version == "" and "no_such_package cannot be imported" in found.problem
