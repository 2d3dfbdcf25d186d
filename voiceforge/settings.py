"""What differs from machine to machine: the `VOICEFORGE_*` environment variables.

Domains are described in params.yaml (`voiceforge.params`); this module is only about the machine.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from voiceforge.errors import UsageError

PARAMS_FILE = "params.yaml"
_S3_ADDRESS = r"s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/[^\s?#]*)?"


@dataclass(frozen=True)
class Settings:
    """Where things lie on this machine and how much of it may be used.

    Attributes:
        project: folder that holds params.yaml, dvc.yaml and data/corpora.
        home: run-time state (Dagster, MLflow, caches, artifacts); `var` in the project by default.
        threads: CPU threads for training and inference.
        offline: never open a network connection; only the local cache is a source.
        source_timeout: seconds after which a source that does not answer counts as unreachable.
        device: what trains: "cpu", "cuda", or "auto" for CUDA where there is some.
        processes: that train together, each on its own device or its share of the threads.
        given_remote: where corpus versions are pushed, as `VOICEFORGE_REMOTE` says; empty: `remote`
            is a folder below `home`.
    """

    project: Path
    home: Path
    threads: int
    offline: bool
    source_timeout: float
    given_remote: str = ""
    device: str = "auto"
    processes: int = 1

    @property
    def cache(self) -> Path:
        """Downloads and base models; safe to delete, costs a download."""
        return self.home / "cache"

    @property
    def artifacts(self) -> Path:
        return self.home / "artifacts"

    @property
    def remote(self) -> str:
        """DVC's remote where the project's `.dvc/config` names none: a folder or an S3 address."""
        return self.given_remote or str(self.home / "dvc-remote")

    @property
    def corpora(self) -> Path:
        return self.project / "data" / "corpora"

    @property
    def ledgers(self) -> Path:
        """What a team must not lose and git should keep: splits, gate sets, releases, forgotten.

        One folder a corpus, small text files.
        """
        return self.project / "data" / "ledgers"

    @property
    def dagster_home(self) -> Path:
        return self.home / "dagster"

    @property
    def mlflow_database(self) -> Path:
        return self.home / "mlflow" / "mlflow.db"

    @property
    def mlflow_uri(self) -> str:
        return f"sqlite:///{self.mlflow_database}"

    @property
    def mlflow_artifacts(self) -> Path:
        return self.home / "mlflow" / "artifacts"

    @property
    def bentoml_home(self) -> Path:
        return self.home / "bentoml"

    @property
    def locks(self) -> Path:
        return self.home / "locks"


_KNOWN = {
    "VOICEFORGE_PROJECT": "folder with params.yaml (default: the nearest from here upwards)",
    "VOICEFORGE_HOME": "folder for run-time state (default: var in the project)",
    "VOICEFORGE_THREADS": "CPU threads, a whole number from 1 (default: this process's CPUs)",
    "VOICEFORGE_DEVICE": "what trains: cpu, cuda, or auto for CUDA where there is some (default: "
    "auto)",
    "VOICEFORGE_PROCESSES": "processes that share each training batch, a whole number from 1; with "
    "CUDA one a device (default: 1)",
    "VOICEFORGE_OFFLINE": "1 to open no network connection, 0 otherwise (default: 0)",
    "VOICEFORGE_SOURCE_TIMEOUT": "seconds to wait for a silent source, above 0 (default: 10)",
    "VOICEFORGE_REMOTE": "folder or s3://BUCKET/PREFIX that corpus versions are pushed to, unless "
    "the project's .dvc/config names a remote (default: dvc-remote in VOICEFORGE_HOME)",
    # Read by the service itself (serving.service), since a Bento runs without a project.
    "VOICEFORGE_MODEL": "engine folder or model to serve (default: the champion of the domain)",
    "VOICEFORGE_DOMAIN": "domain that the service serves (default: the only one with a champion)",
}


def load_settings(environ: Mapping[str, str] | None = None, start: Path | None = None) -> Settings:
    """Read the `VOICEFORGE_*` variables.

    Raises:
        UsageError: an unknown variable, a bad value, or no params.yaml to be found.
    """
    environ = os.environ if environ is None else environ
    for key in environ:
        if key.startswith("VOICEFORGE_") and key not in _KNOWN:
            known = "\n".join(f"  {name}: {what}" for name, what in _KNOWN.items())
            raise UsageError(f"The environment variable {key} is not known. Known are:\n{known}")
    project = _project(environ, (start or Path.cwd()).resolve())
    home = Path(environ.get("VOICEFORGE_HOME") or project / "var").expanduser().resolve()
    cpus = len(os.sched_getaffinity(0))
    return Settings(
        project=project,
        home=home,
        threads=int(_number(environ, "VOICEFORGE_THREADS", cpus, 1, whole=True)),
        offline=_flag(environ, "VOICEFORGE_OFFLINE"),
        source_timeout=_number(environ, "VOICEFORGE_SOURCE_TIMEOUT", 10.0, 0.001),
        given_remote=_remote(environ, project),
        device=_choice(environ, "VOICEFORGE_DEVICE", ("auto", "cpu", "cuda")),
        processes=int(_number(environ, "VOICEFORGE_PROCESSES", 1, 1, whole=True)),
    )


def from_project(project: Path, path: str) -> Path:
    """A path as people write it: a relative one starts at the project, "~" at the user's home."""
    return project / Path(path).expanduser()


def _project(environ: Mapping[str, str], start: Path) -> Path:
    if given := environ.get("VOICEFORGE_PROJECT"):
        project = Path(given).expanduser().resolve()
        if not (project / PARAMS_FILE).is_file():
            raise UsageError(f"VOICEFORGE_PROJECT is {project}, which has no {PARAMS_FILE}.")
        return project
    for folder in (start, *start.parents):
        if (folder / PARAMS_FILE).is_file():
            return folder
    raise UsageError(
        f"No {PARAMS_FILE} in {start} or any folder above it. Run the command inside a VoiceForge "
        "project, or set VOICEFORGE_PROJECT to one."
    )


def _remote(environ: Mapping[str, str], project: Path) -> str:
    """An S3 address as it is, a folder as an absolute path that starts at the project."""
    text = environ.get("VOICEFORGE_REMOTE", "")
    if not text or re.fullmatch(_S3_ADDRESS, text):
        return text.rstrip("/")
    if "://" in text:
        raise UsageError(
            f"VOICEFORGE_REMOTE is {text!r}. It must be: {_KNOWN['VOICEFORGE_REMOTE']}. Remotes of "
            "other kinds are named in .dvc/config (`dvc remote add --default NAME URL`)."
        )
    folder = from_project(project, text).resolve()
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"VOICEFORGE_REMOTE is {text!r}, which is not a folder.")
    return str(folder)


def _number(
    environ: Mapping[str, str], key: str, default: float, low: float, *, whole: bool = False
) -> float:
    text = environ.get(key, "")
    if not text:
        return default
    try:
        value: float = int(text) if whole else float(text)
    except ValueError:
        value = float("nan")
    if not value >= low:
        raise UsageError(f"{key} is {text!r}. It must be: {_KNOWN[key]}.")
    return value


def _choice(environ: Mapping[str, str], key: str, allowed: tuple[str, ...]) -> str:
    """One of those allowed, the first by default."""
    text = environ.get(key) or allowed[0]
    if text not in allowed:
        raise UsageError(f"{key} is {text!r}. It must be: {_KNOWN[key]}.")
    return text


def _flag(environ: Mapping[str, str], key: str) -> bool:
    text = environ.get(key, "0")
    if text not in ("0", "1", ""):
        raise UsageError(f"{key} is {text!r}. It must be: {_KNOWN[key]}.")
    return text == "1"
