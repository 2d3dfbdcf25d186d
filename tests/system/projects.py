"""Small real projects in folders of their own, driven through the `voiceforge` command."""

from __future__ import annotations

import contextlib
import copy
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import yaml

CHECKOUT = Path(__file__).resolve().parents[2]
DOMAIN = "telephony-en"
COMMAND = Path(sys.executable).with_name("voiceforge")
PATIENCE = 1500.0
_LINKED = ("artifacts", "dvc-remote")
"""Folders of `var` whose files are never written in place, so that copies may be hard links."""


@dataclass(frozen=True)
class Ended:
    """A command that ran to its end."""

    code: int
    out: str
    err: str
    seconds: float

    def states(self) -> dict[str, str]:
        """Stage -> "made" or "unchanged", as the command printed them."""
        found = {}
        for line in self.err.splitlines():
            if "✓" in line:
                words = line.split("✓")[1].split()
                unchanged = words[-1] == "unchanged"
                name = words[:-1] if unchanged else words[:-2]
                found["_".join(name)] = "unchanged" if unchanged else "made"
        return found


class Running:
    """A command at work; its output goes to files."""

    def __init__(self, process: subprocess.Popen[bytes], out: Path, err: Path) -> None:
        self.process = process
        self._out, self._err = out, err
        self._began = time.monotonic()

    @property
    def out(self) -> str:
        return self._out.read_text()

    @property
    def err(self) -> str:
        return self._err.read_text()

    def family(self) -> list[psutil.Process]:
        """The process and all its descendants."""
        with contextlib.suppress(psutil.NoSuchProcess):
            top = psutil.Process(self.process.pid)
            return [top, *top.children(recursive=True)]
        return []

    def kill(self) -> None:
        """SIGKILL for the process and everything it started."""
        for process in self.family():
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        self.process.wait()

    def interrupt(self, number: int = signal.SIGINT) -> None:
        self.process.send_signal(number)

    def wait_for(self, condition: Callable[[], bool], what: str, seconds: float = PATIENCE) -> None:
        """Wait until `condition()`; fail when the process ends before it or time runs out."""
        deadline = time.monotonic() + seconds
        while not condition():
            if self.process.poll() is not None:
                raise AssertionError(f"It ended before {what}:\n{self.out}\n{self.err}")
            if time.monotonic() > deadline:
                raise AssertionError(f"No {what} in {seconds:.0f} s:\n{self.out}\n{self.err}")
            time.sleep(0.002)

    def end(self, seconds: float = PATIENCE) -> Ended:
        code = self.process.wait(seconds)
        return Ended(code, self.out, self.err, time.monotonic() - self._began)


@dataclass(frozen=True)
class Project:
    """A folder with params.yaml, dvc.yaml, git and `var`."""

    path: Path

    @property
    def home(self) -> Path:
        return self.path / "var"

    @property
    def artifacts(self) -> Path:
        return self.home / "artifacts"

    @property
    def mlflow_uri(self) -> str:
        return f"sqlite:///{self.home / 'mlflow' / 'mlflow.db'}"

    def environ(self, **more: str) -> dict[str, str]:
        """The environment of a user's shell with the virtual environment in PATH."""
        ours = ("VOICEFORGE_", "DAGSTER_", "MLFLOW_", "BENTOML_")
        kept = {key: value for key, value in os.environ.items() if not key.startswith(ours)}
        folder = f"{COMMAND.parent}{os.pathsep}{kept['PATH']}"
        return kept | {"PATH": folder, "DVC_NO_ANALYTICS": "1"} | more

    @contextlib.contextmanager
    def start(self, *arguments: str, **environ: str) -> Iterator[Running]:
        """`voiceforge ARGUMENTS`, killed with its family where the block leaves it running."""
        logs = self.path / ".logs"
        logs.mkdir(exist_ok=True)
        stem = f"{len(list(logs.iterdir())):03d}-{arguments[0]}"
        out, err = logs / f"{stem}.out", logs / f"{stem}.err"
        with out.open("wb") as first, err.open("wb") as second:
            process = subprocess.Popen(
                [str(COMMAND), *arguments],
                cwd=self.path,
                env=self.environ(**environ),
                stdin=subprocess.DEVNULL,
                stdout=first,
                stderr=second,
            )
        running = Running(process, out, err)
        try:
            yield running
        finally:
            if process.poll() is None:
                running.kill()

    def voiceforge(self, *arguments: str, code: int = 0, **environ: str) -> Ended:
        """Run a command to its end; it must end with `code`."""
        with self.start(*arguments, **environ) as running:
            ended = running.end()
        said = f"{' '.join(arguments)}: {ended.code}\n{ended.out}\n{ended.err}"
        assert ended.code == code, said
        assert "Traceback" not in ended.out + ended.err, said
        return ended

    def lifecycle(self, domain: str = DOMAIN) -> Ended:
        return self.voiceforge("run", "--domain", domain)

    def tool(self, *command: str, code: int = 0) -> str:
        """Another program's output, run in the project."""
        done = subprocess.run(
            command, cwd=self.path, env=self.environ(), capture_output=True, text=True, check=False
        )
        said = f"{' '.join(command)}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        assert done.returncode == code, said
        return done.stdout

    def commit(self, message: str) -> None:
        self.tool("git", "add", "-A")
        self.tool("git", "commit", "--quiet", "-m", message)

    def params(self) -> dict[str, Any]:
        content: dict[str, Any] = yaml.safe_load((self.path / "params.yaml").read_text())
        return content

    def set_params(self, change: Callable[[dict[str, Any]], None]) -> None:
        """Rewrite params.yaml after `change` of its content."""
        content = self.params()
        change(content)
        (self.path / "params.yaml").write_text(yaml.safe_dump(content, sort_keys=False))

    def current(self, stage: str, domain: str = DOMAIN) -> Path:
        """The folder of a stage's current artifact."""
        pointer = yaml.safe_load(
            (self.artifacts / domain / "current" / f"{stage}.json").read_text()
        )
        return Path(os.path.normpath(self.home / pointer["path"]))

    def manifest(self, stage: str, domain: str = DOMAIN) -> dict[str, Any]:
        content: dict[str, Any] = yaml.safe_load(
            (self.current(stage, domain) / "manifest.json").read_text()
        )
        return content

    def stages(self, domain: str = DOMAIN) -> list[str]:
        return sorted(path.stem for path in (self.artifacts / domain / "current").glob("*.json"))

    def times(self, domain: str = DOMAIN) -> dict[str, int]:
        """File -> time of change in ns, for every file of every current artifact."""
        return {
            str(file): file.stat().st_mtime_ns
            for stage in self.stages(domain)
            for file in self.current(stage, domain).rglob("*")
            if file.is_file()
        }

    def copy(self, path: Path) -> Project:
        """The project at another path; its registry knows that its files are there."""
        shutil.copytree(self.path, path, symlinks=True, copy_function=_copy)
        database = path / "var" / "mlflow" / "mlflow.db"
        if database.is_file():
            _move_registry(database, str(self.path), str(path))
        return Project(path)


def small_params(**training: Any) -> dict[str, Any]:
    """params.yaml of the checkout with one domain of few clips and few steps.

    The margins are as wide as so few words are: with them a real improvement is promoted.
    """
    content: dict[str, Any] = yaml.safe_load((CHECKOUT / "params.yaml").read_text())
    defaults = content["defaults"]
    defaults["training"] |= {
        "steps": 40, "evaluate_every": 20, "checkpoint_every": 5, "dev_utterances": 16,
        "adapter_weight": 1.0,  # so few steps learn little enough
    } | training  # fmt: skip
    defaults["evaluation"] |= {
        "resamples": 400, "latency_clips": 8, "base_words_per_accent": 450, "base_human_words": 120,
    }  # fmt: skip
    gates = defaults["gates"]
    gates["minimum_words"] = 100
    gates["human"]["margin"], gates["synthetic"]["margin"] = 30.0, 5.0
    gates["each_accent"]["margin"] = 10.0
    domain = copy.deepcopy(content["domains"][DOMAIN])
    domain.pop("training", None)  # what it has besides the defaults takes long
    speech = next(source for source in domain["sources"] if source["kind"] == "espeak")
    speech["accents"] = ["en-us", "en-gb-scotland"]
    speech["clips_per_accent"] = {"train": 30, "dev": 6}
    speech["words_per_accent"] = 400
    content["domains"] = {DOMAIN: domain}
    return content


def new_project(path: Path, cache: Path, params: Mapping[str, Any]) -> Project:
    """A project as a clone of the repository has it, with the downloads of other projects."""
    (path / "var").mkdir(parents=True)
    (path / "var" / "cache").symlink_to(cache)
    for name in ("dvc.yaml", ".dvcignore", ".gitignore"):
        shutil.copy(CHECKOUT / name, path)
    (path / "docs").mkdir()
    shutil.copy(CHECKOUT / "docs" / "common_voice_example.py", path / "docs")
    (path / ".gitignore").open("a").write("/var\n/.logs/\n")
    (path / ".dvc").mkdir()
    for name in ("config", ".gitignore"):
        shutil.copy(CHECKOUT / ".dvc" / name, path / ".dvc")
    (path / "params.yaml").write_text(yaml.safe_dump(dict(params), sort_keys=False))
    project = Project(path)
    project.tool("git", "init", "--quiet")
    project.tool("git", "config", "user.name", "A user")
    project.tool("git", "config", "user.email", "user@example.org")
    project.commit("A project")
    return project


def left_running(path: Path) -> list[str]:
    """Command lines of processes that work for a project: its folder is theirs or in them."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            line = " ".join(process.cmdline())
            homes = process.environ().get("VOICEFORGE_PROJECT", "")
            if process.pid != os.getpid() and (
                str(path) in (homes, process.cwd()) or str(path) in line
            ):
                found.append(f"{process.pid} {line}")
    return found


def _copy(source: str, target: str) -> str:
    folders = Path(source).parts
    if "mlflow" not in folders and any(name in folders for name in _LINKED):
        os.link(source, target)
        return target
    return shutil.copy2(source, target)


def _move_registry(database: Path, before: str, after: str) -> None:
    with contextlib.closing(sqlite3.connect(database)) as connection, connection:
        tables = [row[0] for row in connection.execute(
            "SELECT name FROM sqlite_master WHERE type = 'table'"
        )]  # fmt: skip
        for table in tables:
            for _, column, kind, *_ in connection.execute(
                f'PRAGMA table_info("{table}")'
            ).fetchall():
                if "CHAR" in kind.upper() or "TEXT" in kind.upper():
                    connection.execute(
                        f'UPDATE "{table}" SET "{column}" = replace("{column}", ?, ?) '  # noqa: S608
                        f'WHERE "{column}" LIKE ?',
                        (before, after, f"%{before}%"),
                    )
