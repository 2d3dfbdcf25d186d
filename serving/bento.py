"""The Bento: the certified engine and the service in one package, for deployment elsewhere."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from importlib.metadata import version as installed
from pathlib import Path

from data.speech_activity import silero_model
from experiments.certificate import verify_certificate
from serving.confidence import recorded_as
from serving.engines import engine_sha256
from serving.engines.description import read_description
from serving.registry import CERTIFICATE
from voiceforge.errors import IntegrityError, StageError
from voiceforge.files import read_json, sha256_json, storage_errors, write_json
from voiceforge.settings import load_settings

PACKAGES = ("voiceforge", "data", "evaluation", "experiments", "serving")
"""The packages that the service imports; a Bento carries their source."""

REQUIREMENTS = (
    "av", "bentoml", "ctranslate2", "numpy", "onnxruntime", "pydantic", "python-multipart",
    "pyyaml", "soundfile", "soxr", "tokenizers",
)  # fmt: skip
"""The distributions that the service imports; a Bento names the installed versions."""

_MORE = {"onnxruntime": ("scipy",)}
"""What the engines of a kind import besides: word times by an alignment of our own."""

PACKAGED = "packaged.json"
"""Lies beside serving/service.py in a Bento and names the model that it carries."""

_TAIL = 2000


def requirements(engine: Path) -> tuple[str, ...]:
    """The distributions that a service with that engine folder imports."""
    return (*REQUIREMENTS, *_MORE.get(read_description(engine).kind, ()))


def build_bento(
    domain: str,
    version: str,
    *,
    engine: Path,
    certificate: Path | None,
    project: Path,
    calibrator: Path | None = None,
) -> str:
    """Package a certified engine; returns the Bento's tag, `DOMAIN:HASH`.

    The hash covers engine, certificate, calibrator and version, and a Bento that is there already
    is not built again. Bentos lie under BENTOML_HOME (by default the project's).

    Args:
        engine: engine folder.
        certificate: folder with the certificate of exactly this engine.
        project: folder with params.yaml.
        calibrator: file of this engine's calibrator, None where it has none.

    Raises:
        IntegrityError: there is no certificate, or it does not let this engine reach users.
        StageError: BentoML could not build it; with the end of its output.
        StorageError: the disk is full or read-only.
    """
    if certificate is None:
        raise IntegrityError(
            f"{domain} version {version} has no certificate, so it is not packaged. "
            "`voiceforge run` certifies it."
        )
    fields, sha = read_json(certificate / CERTIFICATE), engine_sha256(engine)
    verify_certificate(fields, sha)
    home = Path(os.environ.get("BENTOML_HOME") or load_settings(start=project).bentoml_home)
    carried = [read_json(calibrator)] if calibrator else []
    tag = f"{domain}:{sha256_json([sha, fields, version, *carried])[:16]}"
    name, hash_ = tag.split(":")
    if (home / "bentos" / name / hash_ / "bento.yaml").is_file():
        return tag
    with storage_errors(home), tempfile.TemporaryDirectory(prefix="voiceforge-bento-") as folder:
        home.mkdir(parents=True, exist_ok=True)
        context = Path(folder, "context")
        _write_context(context, tag)
        job = {
            "tag": tag,
            "labels": {
                "domain": domain,
                "version": version,
                "engine": sha[:16],
                **({"calibrator": recorded_as(calibrator)} if calibrator else {}),
            },
            "engine": str(engine.resolve()),
            "certificate": str(certificate.resolve()),
            "calibrator": str(calibrator.resolve()) if calibrator else "",
            "context": str(context),
            "packages": [f"{name}=={installed(name)}" for name in requirements(engine)],
        }
        write_json(Path(folder, "job.json"), job)
        _run_worker(Path(folder, "job.json"), home)
    return tag


def _write_context(context: Path, tag: str) -> None:
    """What goes into the Bento: the packages as they are installed here, and Silero VAD."""
    root = Path(__file__).resolve().parent.parent
    for package in PACKAGES:
        for source in sorted((root / package).rglob("*.py")):
            relative = source.relative_to(root)
            if "corpora" not in relative.parts:
                (context / relative).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(source, context / relative)
    # The package of the model needs PyTorch, which the service does not.
    shutil.copyfile(model := silero_model(), context / "data" / model.name)
    write_json(context / "serving" / PACKAGED, {"tag": tag})


def _run_worker(job: Path, home: Path) -> None:
    """BentoML takes its home from the environment when it is imported: a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "serving.bento_worker", str(job)],
        cwd=Path(json.loads(job.read_text())["context"]),
        env={**os.environ, "BENTOML_HOME": str(home), "BENTOML_DO_NOT_TRACK": "True"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise StageError(
            "BentoML could not build the Bento. The end of its output:\n"
            f"{(done.stdout + done.stderr)[-_TAIL:]}"
        )
