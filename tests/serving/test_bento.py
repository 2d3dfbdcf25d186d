from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from data.speech_activity import silero_model
from serving import client
from serving.bento import REQUIREMENTS, build_bento
from serving.launch import free_port, start_service
from tests.serving.conftest import WHY
from voiceforge.errors import IntegrityError

Certify = Callable[..., Path]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("bentoml")


@pytest.fixture(autouse=True)
def bentoml_home(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BENTOML_HOME", str(home))


def test_a_bento_carries_the_certified_engine_and_serves_it(
    home: Path,
    engine_folder: Path,
    certify: Certify,
    tmp_path: Path,
    project: Path,
    prompts_folder: Path,
) -> None:
    certificate = certify(tmp_path / "certificate", engine_folder, "3")

    def build() -> str:
        return build_bento(
            "telephony-test", "3", engine=engine_folder, certificate=certificate, project=project
        )

    tag = build()
    name, hash_ = tag.split(":")
    made = home / "bentos" / name / hash_ / "bento.yaml"
    before = made.stat().st_mtime_ns
    assert build() == tag
    assert made.stat().st_mtime_ns == before
    pinned = (made.parent / "env/python/requirements.in").read_text()
    assert all(f"{distribution}==" in pinned for distribution in REQUIREMENTS)
    assert (made.parent / "src/data" / silero_model().name).is_file()

    with start_service(free_port(), {}, tmp_path / "log", target=tag) as service:
        answer = client.transcribe(service.url, prompts_folder / "all-circuits-busy-now.g722")
        assert (answer["model"], answer["text"]) == (
            "telephony-test/3",
            "All circuits are busy now.",
        )
        (served,) = httpx.get(f"{service.url}/api/v1/models/list").json()["models"]
        assert served["certified"] is True
        assert served["reason"] == WHY


def test_nothing_uncertified_is_packaged(
    home: Path, engine_folder: Path, certify: Certify, tmp_path: Path, project: Path
) -> None:
    rejected = certify(tmp_path / "certificate", engine_folder, "4", result="fail")
    for certificate in (None, rejected):
        with pytest.raises(IntegrityError):
            build_bento(
                "refused", "4", engine=engine_folder, certificate=certificate, project=project
            )
    assert not (home / "bentos" / "refused").exists()


def test_the_service_imports_nothing_that_a_bento_does_not_carry(
    engine_folder: Path, prompts_folder: Path
) -> None:
    program = f"""
import json, sys
from pathlib import Path
import serving.service
from serving.engines import load_engine
from serving.transcription import transcribe_file
engine = load_engine(Path({str(engine_folder)!r}), 1)
transcribe_file(engine, Path({str(prompts_folder / "demo-instruct.g722")!r}))
print(json.dumps(sorted({{name.partition(".")[0] for name in sys.modules}})))
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    imported = set(json.loads(done.stdout.splitlines()[-1]))
    heavy = {"torch", "transformers", "peft", "mlflow", "dagster", "dvc", "pandas", "scipy"}
    assert not imported & (heavy | {"training", "assets", "pipelines", "lifecycle", "cli"})
