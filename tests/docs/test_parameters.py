"""docs/parameters.md is what docs/parameters.py writes, and says something of every key."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest
import yaml
from pydantic import TypeAdapter

from voiceforge.params import Source


@pytest.fixture(scope="module")
def parameters(project: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("parameters", project / "docs/parameters.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_is_up_to_date(parameters: ModuleType) -> None:
    assert parameters.PAGE.read_text() == parameters.page(), (
        "docs/parameters.md is out of date. Run `python docs/parameters.py`."
    )


def test_ranges_are_those_that_the_code_checks(parameters: ModuleType) -> None:
    rows = {
        cells[1].strip(" `"): cells[3].strip()
        for line in parameters.page().splitlines()
        if len(cells := line.split("|")) == 6
    }
    assert rows["training.learning_rate"] == "number above 0, to 1"
    assert rows["evaluation.confidence"] == "number above 0.5, below 1"
    assert rows["gates.human.kind"] == "`superiority`, `non-inferiority`, `off`"
    assert rows["training.steps"] == "whole number from 1"


def test_examples_of_sources_are_allowed(project: Path) -> None:
    page = (project / "docs/data-sources.md").read_text()
    entries = [
        TypeAdapter(Source).validate_python(entry)
        for block in re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
        for entry in yaml.safe_load(block)["sources"]
    ]
    kinds = {"folder", "common-voice", "librispeech", "nemo-manifest", "huggingface", "corrections"}
    assert {entry.kind for entry in entries} == {*kinds, "piper", "readings"}
