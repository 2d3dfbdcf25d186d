"""The local modules, loaded and computed by the real library `evaluate`, offline."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import jiwer
import numpy as np
import pytest

from benchmarks.pairs import pairs
from evaluation.huggingface.figures import figures
from evaluation.significance import bootstrap_rate
from evaluation.text import normaliser_identity

MODULES = ("wer", "mer", "wil")

_COMPUTE = """
import json, sys
import evaluate
folder, texts = sys.argv[1], json.load(sys.stdin)
found = {}
for name in ("wer", "mer", "wil"):
    metric = evaluate.load(f"{folder}/evaluation/huggingface/{name}")
    assert metric.description and metric.citation and "normaliser" in metric.inputs_description
    found[name] = metric.compute(**texts, language="en", normaliser="raw")
    metric.add_batch(**texts)
    assert metric.compute(language="en", normaliser="raw") == found[name]
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def texts(cache: Path) -> dict[str, list[str]]:
    """400 prompts with errors; the first ones are said twice, with other errors."""
    references, hypotheses = pairs(cache, rate=0.2, seed=8)
    _, again = pairs(cache, rate=0.2, seed=9)
    return {
        "references": references[:300] + references[:100],
        "predictions": hypotheses[:300] + again[:100],
    }


@pytest.fixture(scope="module")
def computed(
    texts: dict[str, list[str]], project: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, dict[str, Any]]:
    """What a process computes that knows the library, a path, and no network."""
    home = tmp_path_factory.mktemp("huggingface")
    offline = {"HF_HOME": str(home), "HF_HUB_OFFLINE": "1", "HF_EVALUATE_OFFLINE": "1"}
    done = subprocess.run(
        [sys.executable, "-c", _COMPUTE, str(project)],
        cwd=home,
        env={**os.environ, **offline, "PYTHONPATH": os.pathsep.join([str(project), *sys.path])},
        input=json.dumps(texts),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, dict[str, Any]] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("name", MODULES)
def test_a_loaded_module_has_jiwers_rate_and_counts(
    name: str, computed: dict[str, dict[str, Any]], texts: dict[str, list[str]]
) -> None:
    theirs = jiwer.process_words(texts["references"], texts["predictions"])
    found = computed[name]
    assert found[name] == pytest.approx(getattr(theirs, name), rel=1e-12)
    for counted in ("substitutions", "deletions", "insertions", "hits"):
        assert found[counted] == getattr(theirs, counted)
    assert found["words"] == sum(len(text.split()) for text in texts["references"])
    assert found["utterances"] == 400
    assert normaliser_identity("raw")["sha256"][:12] in found["normaliser"]


def test_the_interval_is_that_of_the_platform_over_texts(
    computed: dict[str, dict[str, Any]], texts: dict[str, list[str]]
) -> None:
    one = [jiwer.process_words(*pair) for pair in zip(*texts.values(), strict=True)]
    errors = np.array([each.substitutions + each.deletions + each.insertions for each in one])
    words = np.array([len(text.split()) for text in texts["references"]])
    labels = [texts["references"].index(text) for text in texts["references"]]
    theirs = bootstrap_rate(
        errors, words, np.array(labels), confidence=0.95, resamples=10_000, seed=20
    )
    found = computed["wer"]
    assert found["low"] == pytest.approx(theirs.low, abs=0.005)
    assert found["high"] == pytest.approx(theirs.high, abs=0.005)
    assert found["low"] < found["wer"] < found["high"]
    assert found["method"] == f"BCa bootstrap, 10000 resamples of {len(set(labels))} texts"
    assert computed["mer"]["low"] < computed["mer"]["mer"] < computed["mer"]["high"]
    assert "low" not in computed["wil"]


def test_a_single_text_has_no_interval_and_says_so() -> None:
    found = figures("wer", ["thank her"], ["thank you"])
    assert found["low"] == found["high"] == found["wer"] == 0.5
    assert found["method"] == "no interval: a single text"


def test_what_cannot_be_counted_is_refused() -> None:
    with pytest.raises(ValueError, match="1 references have no words after whisper-english"):
        figures("wer", ["thank you"], ["(noise)"])
    with pytest.raises(ValueError, match="There is no normaliser 'none'"):
        figures("mer", ["a"], ["a"], normaliser="none")
    with pytest.raises(ValueError, match="2 references and 1 hypotheses"):
        figures("wil", ["a"], ["a", "b"])
