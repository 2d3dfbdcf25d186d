"""engine.json: what an engine folder holds, and whether it still holds it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from serving.engines.contracts import EngineDescription
from voiceforge.errors import IntegrityError, UsageError
from voiceforge.files import sha256_folder, sha256_json, write_json

FILE = "engine.json"

# What was measured about an engine, and what built it, do not change what it says.
_NOT_IDENTITY = ("tool_versions", "wer_before", "wer_after")


def write_description(folder: Path, description: EngineDescription) -> None:
    """Write `engine.json` into an engine folder.

    Raises:
        StorageError: the disk is full or read-only.
    """
    write_json(folder / FILE, description.as_dict())


def read_description(folder: Path) -> EngineDescription:
    """Read `engine.json` without looking at the files that it lists.

    Raises:
        UsageError: there is no such folder, or it holds no engine.
        IntegrityError: it is not JSON, or its fields are not those of an engine.
    """
    if not (folder / FILE).is_file():
        what = (
            "is a file" if folder.is_file()
            else f"holds no {FILE}, so it is no engine" if folder.is_dir()
            else "does not exist"
        )  # fmt: skip
        raise UsageError(
            f"{folder} {what}. Name the folder of an engine; `voiceforge engine build` makes one."
        )
    try:
        fields: Any = json.loads((folder / FILE).read_text())
        return EngineDescription.from_dict(fields)
    except (TypeError, KeyError, ValueError) as error:
        raise IntegrityError(
            f"{folder / FILE} does not describe an engine ({error}). It was written by another "
            "version of VoiceForge or edited by hand; build the engine again."
        ) from error


def verify_files(folder: Path, description: EngineDescription) -> None:
    """Check that the folder holds exactly the files that were built, byte for byte.

    Raises:
        IntegrityError: a file is missing, changed or not listed; names the first.
    """
    found = {name: sha for name, sha in sha256_folder(folder).items() if name != FILE}
    for name in sorted(found.keys() | description.files.keys()):
        if found.get(name) != description.files.get(name):
            what = (
                "is missing" if name not in found
                else "is not listed in engine.json" if name not in description.files
                else "is not what was built (its sha256 differs)"
            )  # fmt: skip
            raise IntegrityError(
                f"The engine in {folder} cannot be trusted: {name} {what}. Nothing was loaded. "
                "Restore the folder or build the engine again."
            )


def engine_sha256(folder: Path) -> str:
    """Identity of an engine: what a certificate names and the registry compares.

    Covers its files' hashes, what it was built from and how it decodes; not the word error rates
    that were measured with it, nor the versions of the tools that built it.
    """
    fields = read_description(folder).as_dict()
    return sha256_json({key: value for key, value in fields.items() if key not in _NOT_IDENTITY})
