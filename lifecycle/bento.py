"""Stage Bento: the champion's certified engine, packaged for deployment elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lifecycle import certificate, promotion
from lifecycle.artifacts import Artifact
from lifecycle.model_registry import open_registry
from lifecycle.workspace import Workspace
from voiceforge.files import sha256_file, write_json

STAGE = "bento"
VERSION = 1


def make_bento(workspace: Workspace) -> Artifact:
    """Build the champion's Bento; where there is no champion, record that there is none."""
    promoted = workspace.current(promotion.STAGE)
    version = str(promoted.summary["champion"])

    def build(folder: Path, _: Path) -> Mapping[str, Any]:
        record = {"version": version, "tag": ""}
        if version:
            record["tag"] = _build(workspace, version)
        write_json(folder / "bento.json", record)
        return record

    return workspace.make(
        STAGE, VERSION, {}, {"champion": version, **_identity(workspace, version)}, build
    )


def _identity(workspace: Workspace, version: str) -> dict[str, str]:
    """Engine, certificate that made it champion, and calibrator: what goes into the Bento."""
    decided = certificate.deciding_certificate(workspace, version)
    if decided is None:
        return {}
    calibrator = _calibrator(workspace, version)
    return {
        "engine_sha256": str(decided.summary["engine_sha256"]),
        "certificate": decided.sha256,
        **({"calibrator": sha256_file(calibrator)} if calibrator else {}),
    }


def _calibrator(workspace: Workspace, version: str) -> Path | None:
    """The file that was attached to the version, None where none was.

    Raises:
        IntegrityError: it is gone or another.
    """
    registry = open_registry(workspace.settings)
    return registry.calibrator(workspace.domain.name, version).verified()


def _build(workspace: Workspace, version: str) -> str:
    from serving.bento import build_bento

    registry, name = open_registry(workspace.settings), workspace.domain.name
    folder = registry.latest_certificate(name, version)
    return build_bento(
        name,
        version,
        engine=registry.model_folder(name, version),
        certificate=folder,
        calibrator=_calibrator(workspace, version),
        project=workspace.settings.project,
    )
