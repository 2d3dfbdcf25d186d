"""The command of a model card, run in a fresh checkout of its revision on another home: the same
adapter, the same weights. The base model is a Whisper of one narrow layer: its steps take no time.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from data.fetch import fetch
from lifecycle import adapter, corpus
from lifecycle.adapter import make_adapter
from lifecycle.code import code_version
from lifecycle.merged_model import make_merged_model
from lifecycle.reproduction import hash_of, reproduce
from lifecycle.splits import make_splits
from lifecycle.validation import make_validation
from lifecycle.workspace import Workspace, open_workspace
from tests.narrow_whisper import narrow_whisper
from training.base_models import resolve
from voiceforge.errors import StageError, UsageError
from voiceforge.settings import load_settings

pytestmark = pytest.mark.system
DOMAIN = "calls"
RECORDINGS = 40


def git(folder: Path, *arguments: str) -> str:
    command = ["git", "-c", "user.name=a", "-c", "user.email=a@b.example", *arguments]
    done = subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def opened(folder: Path, cache: Path, remote: Path, registry: Path) -> Workspace:
    if not (folder / "var" / "cache").exists():
        (folder / "var" / "mlflow").mkdir(parents=True)
        (folder / "var" / "cache").symlink_to(cache)
        shutil.copyfile(registry, folder / "var" / "mlflow" / "mlflow.db")
    environ = {"VOICEFORGE_THREADS": "1", "VOICEFORGE_REMOTE": str(remote)}
    return open_workspace(DOMAIN, load_settings(environ, folder))


@pytest.fixture
def made(tmp_path: Path, project: Path, cache: Path, empty_registry: Path) -> Workspace:
    """A committed project with a trained, merged model."""
    folder = tmp_path / "first"
    folder.mkdir()
    narrow_whisper(
        resolve("whisper-tiny.en", cache=cache, offline=False, timeout=60.0).path, folder / "narrow"
    )
    content = yaml.safe_load((project / "params.yaml").read_text())
    content["domains"] = {
        DOMAIN: {
            "base_model": "narrow",
            "sources": [{"kind": "folder", "path": "recordings", "language": "en"}],
            "training": {"steps": 6, "batch_size": 2, "evaluate_every": 3, "checkpoint_every": 3},
            "validation": {"agreement": {"enabled": False}},
            "splits": {"train": 0.5, "dev": 0.2, "test": 0.3},
        }
    }
    (folder / "params.yaml").write_text(yaml.safe_dump(content))
    prompts = fetch("prompts-en", cache=cache, offline=False, timeout=60.0)
    chosen = sorted((prompts / "usr/share/asterisk/sounds").rglob("*.g722"))
    chosen = [path for path in chosen if 30_000 < path.stat().st_size < 90_000][:RECORDINGS]
    (folder / "recordings").mkdir()
    rows = ["audio,text"]
    for path in chosen:
        shutil.copy(path, folder / "recordings" / path.name)
        rows.append(f"{path.name},{path.stem.replace('-', ' ')}")
    (folder / "recordings" / "table.csv").write_text("\n".join(rows) + "\n")
    (folder / ".gitignore").write_text("/var\n")
    git(folder, "init", "--quiet", "--initial-branch=main")
    workspace = opened(folder, cache, tmp_path / "remote", empty_registry)
    corpus.make_corpus(workspace)
    corpus.corpus_version(workspace)
    make_validation(workspace)
    make_splits(workspace)
    git(folder, "add", "-A")
    git(folder, "commit", "--quiet", "-m", "a project")
    make_adapter(workspace)
    make_merged_model(workspace)
    return workspace


def test_a_fresh_checkout_makes_the_same_weights_or_says_what_is_another(
    made: Workspace, tmp_path: Path, cache: Path, empty_registry: Path
) -> None:
    trained = made.current(adapter.STAGE)
    md5 = str(corpus.corpus_version(made)["md5"])
    asked = (md5, trained.key, hash_of(trained.parameters))
    revision = code_version(made).split()[1]
    git(tmp_path, "clone", "--quiet", str(made.settings.project), "second")
    git(tmp_path / "second", "checkout", "--quiet", revision.removesuffix("+changes"))
    # The corpus comes from DVC's remote: the recordings are not needed for it.
    shutil.rmtree(tmp_path / "second" / "recordings")
    fresh = opened(tmp_path / "second", cache, tmp_path / "remote", empty_registry)
    merged = reproduce(fresh, *asked)
    assert fresh.current(adapter.STAGE).key == trained.key
    assert fresh.current(adapter.STAGE).parameters == trained.parameters
    assert (
        merged.summary["tensors_sha256"] == (made.current("merged_model").summary["tensors_sha256"])
    )

    with pytest.raises(StageError, match=r"its splits or base model were others"):
        reproduce(fresh, md5, "0" * 16, asked[2])
    path = fresh.settings.project / "params.yaml"
    path.write_text(path.read_text().replace("steps: 6", "steps: 7"))
    with pytest.raises(UsageError, match=f"the model was made with {asked[2]}"):
        reproduce(open_workspace(DOMAIN, fresh.settings), *asked)
