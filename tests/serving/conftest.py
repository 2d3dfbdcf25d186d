"""Real engines of real weights, and real speech, for every test of serving."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from data.audio import decode
from data.fetch import fetch
from evaluation.estimate import Estimate
from experiments.certificate import ENGINE
from experiments.contracts import Certificate, Gate, GateResult, ModelReference
from experiments.gates import check_gate
from serving.engines import engine_sha256, load_engine, onnx
from serving.engines.contracts import Engine, EngineSpec, Samples
from serving.engines.ctranslate2 import build
from serving.registry import Registry
from training.base_models import BaseModel, resolve
from voiceforge.files import write_json

TIMEOUT = 60.0
TEXTS = {
    "agent-alreadyon": "that agent is already logged on please enter your agent number followed by "
    "the pound key",
    "all-circuits-busy-now": "all circuits are busy now",
    "agent-newlocation": "please enter a new extension followed by pound",
    "agent-pass": "please enter your password followed by the pound key",
}


@pytest.fixture(scope="session")
def tiny_en(cache: Path) -> BaseModel:
    return resolve("whisper-tiny.en", cache=cache, offline=False, timeout=TIMEOUT)


@pytest.fixture(scope="session")
def prompts_folder(cache: Path) -> Path:
    folder = fetch("prompts-en", cache=cache, offline=False, timeout=TIMEOUT)
    return next((folder / "usr/share/asterisk/sounds").iterdir())


@pytest.fixture(scope="session")
def texts() -> dict[str, str]:
    return TEXTS


@pytest.fixture(scope="session")
def clips(prompts_folder: Path) -> dict[str, Samples]:
    """Telephone prompts by name, 1 to 6 s each; `texts` has what is said."""
    return {name: decode(prompts_folder / f"{name}.g722") for name in TEXTS}


@pytest.fixture(scope="session")
def speech(clips: dict[str, Samples]) -> Samples:
    """Four prompts with a second of near-silence after each, 20 s."""
    hiss = np.random.default_rng(0)
    parts: list[Samples] = []
    for clip in clips.values():
        parts += [clip, np.zeros(16_000, np.float32)]
    samples = np.concatenate(parts)
    return samples + hiss.normal(0.0, 5e-4, len(samples)).astype(np.float32)


@pytest.fixture(scope="session")
def engine_folder(tiny_en: BaseModel, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """tiny.en as it comes: int8, padded to 30 s."""
    return _build(tiny_en, "int8", "en", tmp_path_factory.mktemp("engine") / "tiny-en-int8")


@pytest.fixture(scope="session")
def exact_folder(tiny_en: BaseModel, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _build(tiny_en, "float32", "en", tmp_path_factory.mktemp("engine") / "tiny-en-float32")


@pytest.fixture(scope="session")
def onnx_folder(tiny_en: BaseModel, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """tiny.en on ONNX Runtime in float32; its graphs take a minute to export."""
    folder = tmp_path_factory.mktemp("onnx") / "float32"
    folder.mkdir()
    spec = EngineSpec("onnxruntime", "float32", 3000, "en")
    onnx.build(tiny_en.path, folder, spec, tiny_en.sha256, trailing_silence=0.5)
    return folder


@pytest.fixture(scope="session")
def engine(engine_folder: Path, threads: int) -> Iterator[Engine]:
    yield load_engine(engine_folder, threads)


def _build(base: BaseModel, precision: str, language: str, folder: Path) -> Path:
    folder.mkdir()
    spec = EngineSpec("ctranslate2", precision, 3000, language)
    build(base.path, folder, spec, base.sha256, trailing_silence=0.5)
    return folder


@pytest.fixture(scope="session")
def new_registry(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Path], Registry]:
    """Makes an empty registry in a folder: a copy of one, as MLflow takes long to make one."""
    empty = tmp_path_factory.mktemp("empty") / "mlflow.db"
    assert Registry(f"sqlite:///{empty}", empty.parent).domains() == []

    def make(folder: Path) -> Registry:
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(empty, folder / "mlflow.db")
        return Registry(f"sqlite:///{folder / 'mlflow.db'}", folder / "artifacts")

    return make


Certify = Callable[..., Path]


WHY = "int8 costs +0.16 points against float32. ctranslate2:int8 was chosen: 42 ms a clip."
"""Reason of the gate `engine`, which the service repeats."""


@pytest.fixture(scope="session")
def certify() -> Certify:
    """Writes a certificate for an engine: it says promote, or with another result reject."""

    def write(folder: Path, engine: Path, version: str, *, result: GateResult = "pass") -> Path:
        estimate = Estimate(-0.05, -0.06, -0.04, 0.95, 4000, 600, 3, "bootstrap")
        gate = Gate("overall", "superiority", "base model", estimate, 0.0, result, True, "")
        why = check_gate(ENGINE, ok=True, reason=WHY)
        sha = engine_sha256(engine)
        certificate = Certificate(
            domain="telephony-test",
            challenger=ModelReference("telephony-test", version, sha, "ctranslate2"),
            reference=ModelReference("whisper-tiny.en", "", "0" * 64, "ctranslate2"),
            gates=(gate, why),
            verdict="promote" if result == "pass" else "reject",
            hashes={},
            uses_of_test_set=1,
            created_at="2026-01-05T03:00:00Z",
        )
        write_json(folder / "certificate.json", certificate.as_dict())
        return folder

    return write
