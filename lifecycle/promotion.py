"""Stage promotion: the alias `champion` follows the certificate, and nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lifecycle import certificate
from lifecycle.artifacts import Artifact
from lifecycle.model_registry import open_registry
from lifecycle.workspace import Workspace
from voiceforge.errors import StageError
from voiceforge.files import read_json, write_json

STAGE = "promotion"
VERSION = 1


def make_promotion(workspace: Workspace) -> Artifact:
    """Move the alias when the certificate says promote; otherwise record that it did not."""
    decided = workspace.current(certificate.STAGE)
    champion = certificate.current_champion(workspace)
    version, present = str(decided.summary["version"]), champion.version if champion else ""
    promoted = decided.summary["verdict"] == "promote"
    # The alias is no artifact: somebody may have moved it since the same promotion was recorded.
    if promoted and present != version:
        _promote(workspace, decided, present)

    def build(folder: Path, _: Path) -> Mapping[str, Any]:
        record = {
            "promoted": promoted,
            "champion": version if promoted else present,
            "before": decided.summary["reference"] if promoted else present,
            "certificate": decided.sha256,
            "at": decided.summary["created_at"],
        }
        write_json(folder / "promotion.json", record)
        return record

    return workspace.make(
        STAGE,
        VERSION,
        {certificate.STAGE: decided.sha256},
        {"champion": version if promoted else present},
        build,
    )


def _promote(workspace: Workspace, decided: Artifact, champion: str) -> None:
    from experiments.certificate import verify_certificate
    from serving.engines import engine_sha256
    from serving.registry import CHAMPION

    if champion != decided.summary["reference"]:
        raise StageError(
            f"The certificate compares with {decided.summary['reference_name']}, but the champion "
            f"of {workspace.domain.name} is now version {champion or 'none'}. Run the domain again "
            "for a certificate against the present champion."
        )
    registry, name = open_registry(workspace.settings), workspace.domain.name
    version = str(decided.summary["version"])
    fields = read_json(decided.path / certificate.FILE)
    verify_certificate(fields, engine_sha256(registry.model_folder(name, version)))
    registry.set_alias(name, CHAMPION, version)
