"""Gate sets on disk: `gates/gate-N.json` beside the split ledger, for git, never changed.

Each file holds its own hash and that of the version before, so that what is edited or exchanged
afterwards is found.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from data.gate import SCHEMA, Gate, Member
from voiceforge.errors import IntegrityError, StorageError
from voiceforge.files import storage_errors, write_text

FOLDER = "gates"
_FILE = re.compile(r"gate-([1-9][0-9]*)\.json")
_MEMBER = tuple(field.name for field in fields(Member))


def gate_file(ledgers: Path, version: int) -> Path:
    """Where a version lies below `data/ledgers/NAME`."""
    return ledgers / FOLDER / f"gate-{version}.json"


def write_gate(ledgers: Path, gate: Gate) -> Path:
    """Write a version that is not there yet, a line a member; returns its path.

    Raises:
        IntegrityError: that version is there already.
        StorageError: the disk is full or read-only.
    """
    path = gate_file(ledgers, gate.version)
    if path.exists():
        raise IntegrityError(f"{path} exists, and a frozen gate set does not change.")
    content = {**gate.as_dict(), "sha256": gate.sha256}
    members = content.pop("members")
    head = json.dumps(content, indent=2, ensure_ascii=False).removesuffix("\n}")
    lines = ",\n".join(
        "    " + json.dumps([member[name] for name in _MEMBER], ensure_ascii=False)
        for member in members
    )
    columns = json.dumps(_MEMBER)
    text = f'{head},\n  "columns": {columns},\n  "members": [\n{lines}\n  ]\n}}\n'
    write_text(path, text)
    return path


def read_gates(ledgers: Path) -> tuple[Gate, ...]:
    """Every version of a corpus's gate set, oldest first; empty where none is frozen.

    Args:
        ledgers: `data/ledgers/NAME`.

    Raises:
        IntegrityError: a file was changed, exchanged or removed, or is no gate set.
    """
    folder = ledgers / FOLDER
    with storage_errors(folder):
        names = [path.name for path in folder.iterdir()] if folder.is_dir() else []
    versions = sorted(int(found[1]) for name in names if (found := _FILE.fullmatch(name)))
    gates: list[Gate] = []
    for number, version in enumerate(versions, start=1):
        path = gate_file(ledgers, number)
        if version != number:
            raise IntegrityError(
                f"{path} is missing although a later version is there. Restore it from git: "
                "nothing that any version holds may be trained on."
            )
        gate = _read(path)
        before = gates[-1].sha256 if gates else ""
        if (gate.corpus, gate.version, gate.supersedes) != (ledgers.name, number, before):
            raise IntegrityError(
                f"{path} is not version {number} of the gate set of {ledgers.name} that follows "
                "the one before it. Restore it and the versions before it from git."
            )
        gates.append(gate)
    return tuple(gates)


def _read(path: Path) -> Gate:
    try:
        with storage_errors(path):
            content = json.loads(path.read_bytes())
        stated = content.pop("sha256")
        gate = _gate(content)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise IntegrityError(
            f"{path} is not a gate set ({error!r}). Restore it from git."
        ) from error
    except FileNotFoundError as error:
        raise StorageError(f"{path} is missing. Restore it from git.") from error
    if gate.sha256 != stated:
        raise IntegrityError(
            f"{path} was changed after it was frozen: its content has the hash "
            f"{gate.sha256[:12]} and it says {str(stated)[:12]}. Restore it from git. What tests "
            "a model may only change by a new version, with a reason."
        )
    return gate


def _gate(content: Mapping[str, Any]) -> Gate:
    known = {field.name for field in fields(Gate)} | {"schema", "columns"}
    if set(content) != known or content["columns"] != list(_MEMBER):
        raise ValueError(f"its keys are not {', '.join(sorted(known))}")
    if content["schema"] != SCHEMA:
        raise ValueError(f"its layout is {content['schema']}, known is {SCHEMA}")
    given = {key: value for key, value in content.items() if key not in ("schema", "columns")}
    return Gate(**{**given, "members": tuple(Member(*row) for row in given["members"])})
