"""Stage base engine: the base model in the serving precision, padded to the window it knows."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from data.features import WINDOW_FRAMES
from lifecycle.artifacts import Artifact
from lifecycle.base_model import base_model
from lifecycle.nemo import refuse_nemo
from lifecycle.workspace import Workspace

if TYPE_CHECKING:
    from serving.engines.contracts import EngineSpec
    from serving.engines.offered import EngineName

STAGE = "base_engine"
VERSION = 1
_FOLDER = "engine"


def make_base_engine(workspace: Workspace) -> Artifact:
    """Build the base model as the domain's first engine, padded to the 30 s that it knows."""
    from serving.engines.offered import engine_module

    refuse_nemo(workspace, "The engine of the base model")
    base = base_model(workspace)
    spec = engine_spec(workspace, WINDOW_FRAMES)

    def build(folder: Path, _: Path) -> Mapping[str, Any]:
        engine_folder_in(folder).mkdir()
        engine_module(spec.kind).build(
            base.path, engine_folder_in(folder), spec, source_sha256=base.sha256,
            trailing_silence=0.0,
        )  # fmt: skip
        return {"kind": spec.kind, "precision": spec.precision}

    return workspace.make(
        STAGE, VERSION, {"base_model": base.sha256}, dataclasses.asdict(spec), build
    )


def engine_folder(artifact: Artifact) -> Path:
    """The engine of an engine artifact: what `serving.engines.load_engine` loads."""
    return engine_folder_in(artifact.path)


def engine_folder_in(folder: Path) -> Path:
    """The engine's place in the folder of an engine artifact."""
    return folder / _FOLDER


def engine_spec(
    workspace: Workspace, minimum_mel_frames: int, name: EngineName | None = None
) -> EngineSpec:
    """An engine of the domain, by default the first that params.yaml names; see `EngineSpec`."""
    from serving.engines.contracts import EngineSpec
    from serving.engines.offered import parse_engine

    name = name or parse_engine(workspace.domain.engine.names[0])
    return EngineSpec(
        kind=name.kind,
        precision=name.precision,
        minimum_mel_frames=minimum_mel_frames,
        language=workspace.domain.language,
    )
