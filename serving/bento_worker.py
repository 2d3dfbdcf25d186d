"""Run by `serving.bento` as a process: store the engine as a BentoML model, build the Bento."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Any

import bentoml

from voiceforge.files import read_json


def build(job: dict[str, Any]) -> None:
    """Build `job["tag"]`; what a killed build left of its model is replaced."""
    tag = job["tag"]
    if any(str(model.tag) == tag for model in bentoml.models.list()):
        bentoml.models.delete(tag)
    with bentoml.models.create(tag, labels=job["labels"]) as model:
        folder = Path(model.path)
        shutil.copytree(job["engine"], folder / "engine")
        shutil.copytree(job["certificate"], folder, dirs_exist_ok=True)
        if job["calibrator"]:
            shutil.copy(job["calibrator"], folder)
    name, version = tag.split(":")
    bentoml.build(
        "serving.service:VoiceForge",
        name=name,
        version=version,
        labels=job["labels"],
        build_ctx=job["context"],
        include=["**/*.py", "data/*.onnx", "serving/packaged.json"],
        # The versions are those installed here; resolving them again would need a registry.
        python={"packages": job["packages"], "lock_packages": False},
    )


if __name__ == "__main__":
    build(read_json(Path(sys.argv[1])))
