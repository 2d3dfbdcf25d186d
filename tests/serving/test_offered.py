"""Names of engines, and an engine that is loaded when it is needed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from serving.engines import ctranslate2, load_engine, offered
from serving.engines.contracts import DecodingOptions, EngineSpec, Samples
from serving.engines.description import read_description
from serving.engines.loading import OnDemand
from serving.engines.offered import (
    DEFAULT,
    OFFERED,
    engine_module,
    engine_name,
    parse_engine,
    probe,
)
from voiceforge.errors import IntegrityError, UsageError


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
