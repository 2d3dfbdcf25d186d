"""The BentoML service: one process that holds the model and serves HTTP and WebSocket.

`VoiceForge` serves the model that its Bento carries. Outside of a Bento it serves what the
environment says: VOICEFORGE_MODEL (an engine folder or models:/DOMAIN@ALIAS), else the champion of
VOICEFORGE_DOMAIN.
"""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path
from typing import Any

import bentoml
from starlette.exceptions import HTTPException

from serving.api import Api
from serving.confidence import CALIBRATOR, StoredCalibrator
from serving.live_model import FolderSource, LiveModel, RegistrySource, Source
from serving.registry import Registry, parse_address
from voiceforge.errors import UsageError
from voiceforge.files import read_json
from voiceforge.settings import load_settings

_MOST_REQUESTS = 32
_TIMEOUT = 600


def make_service(tag: str | None) -> Any:
    """The service for the model of that tag in BentoML's store, or for the environment's."""
    model = bentoml.models.BentoModel(tag) if tag else None
    live = LiveModel(partial(_packaged, model) if model else _from_environment, _threads())
    api = Api(live)

    @bentoml.service(
        name="voiceforge",
        workers=1,
        traffic={"timeout": _TIMEOUT, "max_concurrency": _MOST_REQUESTS},
    )
    @bentoml.asgi_app(api.app)
    class VoiceForge:
        """Transcribes files over HTTP and streams over WebSocket."""

        # BentoML packages the models that it finds among the attributes of the class.
        packaged = model

        def __init__(self) -> None:
            live.start()

        async def __is_ready__(self) -> bool:
            if live.current is None:
                raise HTTPException(503, live.problem)
            return True

        @bentoml.on_shutdown  # type: ignore[untyped-decorator]
        def shutdown(self) -> None:
            live.stop()
            api.close()

    return VoiceForge


def _threads() -> int:
    return int(os.environ.get("VOICEFORGE_THREADS") or len(os.sched_getaffinity(0)))


def _packaged(model: bentoml.models.BentoModel) -> Source:
    """The model of a Bento: an engine folder with the certificate it was packaged with."""
    stored = model.resolve()
    folder = Path(stored.path)
    labels = stored.info.labels
    calibrator = folder / CALIBRATOR
    return FolderSource(
        folder / "engine",
        name=labels["domain"],
        version=labels["version"],
        certificate=folder,
        needs_certificate=True,
        calibrator=StoredCalibrator(
            calibrator if calibrator.is_file() else None,
            labels.get("calibrator", ""),  # a Bento that was built before has no such label
        ),
    )


def _from_environment() -> Source:
    """What VOICEFORGE_MODEL or VOICEFORGE_DOMAIN names.

    Raises:
        UsageError: VOICEFORGE_MODEL names neither a folder nor a model version.
    """
    named = os.environ.get("VOICEFORGE_MODEL", "")
    if named and not named.startswith("models:/"):
        folder = Path(named).expanduser()
        if not (folder / "engine.json").is_file():
            raise UsageError(
                f"VOICEFORGE_MODEL is {named!r}, which is no engine folder (it has no "
                "engine.json). Name one, or models:/DOMAIN@ALIAS."
            )
        return FolderSource(folder.resolve())
    settings = load_settings()
    registry = Registry(settings.mlflow_uri, settings.mlflow_artifacts)
    if named:
        return RegistrySource(registry, *parse_address(named))
    return RegistrySource(registry, os.environ.get("VOICEFORGE_DOMAIN") or None)


def _carried() -> str | None:
    """Tag of the model in whose Bento this file lies."""
    beside = Path(__file__).with_name("packaged.json")
    return str(read_json(beside)["tag"]) if beside.is_file() else None


VoiceForge = make_service(_carried())
