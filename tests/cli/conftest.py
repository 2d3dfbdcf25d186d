"""The real command in a project of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from data.fetch import fetch

COMMAND = Path(sys.executable).with_name("voiceforge")


@dataclass(frozen=True)
class Ended:
    code: int
    out: str
    err: str

    def paragraph(self) -> str:
        """What an error must be: one paragraph on stderr, and nothing like a traceback."""
        lines = self.err.strip().splitlines()
        at = next(i for i, line in enumerate(lines) if line.startswith("Error: "))
        assert "Traceback" not in self.err
        assert "" not in lines[at:]
        return "\n".join(lines[at:])


@dataclass(frozen=True)
class Place:
    """A project folder and the command in it."""

    path: Path
    cache: Path
    start: str = "."

    def __call__(self, *arguments: str | Path, **environ: str) -> Ended:
        return self.through([], *arguments, **environ)

    def through(self, prefix: Sequence[str], *arguments: str | Path, **environ: str) -> Ended:
        """The same, started by another program."""
        kept = {key: value for key, value in os.environ.items() if not key.startswith("VOICEFORGE")}
        command = [*prefix, str(COMMAND), *(str(argument) for argument in arguments)]
        done = subprocess.run(
            command,
            cwd=self.path / self.start,
            env={**kept, "COLUMNS": "120", **environ},
            capture_output=True,
            text=True,
            timeout=240,
        )
        return Ended(done.returncode, done.stdout, done.stderr)

    def below(self, folder: str) -> Place:
        """The command in a folder of the project."""
        return replace(self, start=folder)

    def tree(self) -> dict[str, bytes | None]:
        """Every file below the project with its content, and every folder."""
        found = sorted(path for path in self.path.rglob("*") if path != self.path / "var/cache")
        return {
            path.relative_to(self.path).as_posix(): path.read_bytes() if path.is_file() else None
            for path in found
        }


@pytest.fixture
def place(tmp_path: Path, project: Path, cache: Path) -> Place:
    """The shipped params.yaml in a folder of its own, with the shared cache."""
    folder = tmp_path / "project"
    (folder / "var").mkdir(parents=True)
    (folder / "params.yaml").write_bytes((project / "params.yaml").read_bytes())
    (folder / "var" / "cache").symlink_to(cache)
    return Place(folder, cache)


@pytest.fixture(scope="session")
def prompt(cache: Path) -> Callable[[str, str], Path]:
    """A telephone prompt by language and name."""

    def find(language: str, name: str) -> Path:
        folder = fetch(f"prompts-{language}", cache=cache, offline=False, timeout=60.0)
        return next(folder.rglob(f"{name}.g722"))

    return find
