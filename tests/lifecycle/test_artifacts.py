"""Artifacts are made once, found by what they were made from, and never found damaged."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifecycle.artifacts import Artifact, ArtifactStore, Question
from voiceforge.errors import IntegrityError, StageError, StorageError

DOMAIN = "calls"


class Counted:
    """A build that counts its calls and writes what it was told to."""

    def __init__(self, content: str = "content") -> None:
        self.calls = 0
        self.content = content

    def __call__(self, folder: Path, workspace: Path) -> Mapping[str, Any]:
        self.calls += 1
        assert list(folder.iterdir()) == []
        assert workspace.is_dir()
        (folder / "sub").mkdir()
        (folder / "sub" / "file").write_text(self.content)
        return {"figure": self.calls}


def question(**changes: Any) -> Question:
    fields = {"domain": DOMAIN, "stage": "s", "version": 1, "inputs": {"a": "1"}, "parameters": {}}
    return Question(**{**fields, **changes})


@pytest.fixture
def store(tmp_path: Path) -> ArtifactStore:
    return ArtifactStore(tmp_path / "artifacts")


def test_an_artifact_is_made_once(store: ArtifactStore) -> None:
    build = Counted()
    made, found = store.make(question(), build), store.make(question(), build)
    assert build.calls == 1
    assert (made.reused, found.reused) == (False, True)
    assert found == made
    assert (found.summary, found.inputs, found.seconds) == ({"figure": 1}, {"a": "1"}, made.seconds)
    assert store.current(DOMAIN, "s") == made
    assert not store.workspace(question()).exists()


@pytest.mark.parametrize(
    "changes",
    [{"inputs": {"a": "2"}}, {"inputs": {"b": "1"}}, {"parameters": {"x": 1}}, {"version": 2}],
)
def test_a_changed_question_is_answered_anew(store: ArtifactStore, changes: dict[str, Any]) -> None:
    build = Counted()
    first, second = store.make(question(), build), store.make(question(**changes), build)
    assert build.calls == 2
    assert first.path != second.path
    assert store.current(DOMAIN, "s").key == second.key
    # The old question still has its answer, and asking it makes that the current one.
    assert store.make(question(), build).reused
    assert store.current(DOMAIN, "s").key == first.key


values = st.dictionaries(st.sampled_from("abc"), st.text(max_size=2), max_size=3)


@given(values, values, values, values)
def test_keys_are_equal_just_when_questions_are(
    inputs: dict[str, str], params: dict[str, str], others: dict[str, str], more: dict[str, str]
) -> None:
    one, two = (
        question(inputs=inputs, parameters=params),
        question(inputs=others, parameters=more),
    )
    assert (one.key == two.key) == ((inputs, params) == (others, more))
    assert question(inputs=dict(reversed(inputs.items())), parameters=params).key == one.key


def test_equal_content_has_equal_hashes_wherever_it_was_made(tmp_path: Path) -> None:
    one, two = (ArtifactStore(tmp_path / name).make(question(), Counted()) for name in ("a", "b"))
    assert one.sha256 == two.sha256
    assert (one.path / "manifest.json").read_bytes() == (two.path / "manifest.json").read_bytes()
    assert ArtifactStore(tmp_path / "c").make(question(), Counted("more")).sha256 != one.sha256


def test_each_run_of_a_stage_can_have_its_own_pointer(store: ArtifactStore) -> None:
    ours = store.make(question(), Counted())
    theirs = store.make(question(inputs={"a": "2"}), Counted("b"), pointer="theirs")
    assert store.current(DOMAIN, "s") == ours
    assert store.current(DOMAIN, "theirs") == theirs
    assert not store.has_current(DOMAIN, "s2")
    with pytest.raises(StageError, match="'s2' of calls has left no artifact yet"):
        store.current(DOMAIN, "s2")


def test_the_home_can_be_moved(store: ArtifactStore, tmp_path: Path) -> None:
    made = store.make(question(), Counted())
    store.root.rename(tmp_path / "elsewhere")
    moved = ArtifactStore(tmp_path / "elsewhere")
    moved.root.rename(store.root)
    assert store.current(DOMAIN, "s") == made


def test_an_artifact_elsewhere_is_found_there(store: ArtifactStore, tmp_path: Path) -> None:
    build = Counted()
    place = tmp_path / "corpora" / DOMAIN
    assert store.make(question(), build, at=place).path == place
    assert store.make(question(), build, at=place).reused
    assert store.make(question(version=2), build, at=place).path == place
    assert build.calls == 2
    assert store.current(DOMAIN, "s").path == place


def test_a_failed_build_leaves_no_artifact(store: ArtifactStore) -> None:
    def fail(folder: Path, workspace: Path) -> Mapping[str, Any]:
        (folder / "half").write_text("x")
        (workspace / "checkpoint").write_text("10")
        raise StageError("no")

    with pytest.raises(StageError):
        store.make(question(), fail)
    assert not store.has_current(DOMAIN, "s")
    kept = sorted(path.name for path in store.folder(DOMAIN, "s").rglob("*"))
    assert kept == [f".work-{question().key}", "checkpoint"]


KILLED = """
import os, sys
from pathlib import Path
from lifecycle.artifacts import ArtifactStore, Question
def build(folder, workspace):
    (folder / "half").write_text("x")
    (workspace / "checkpoint").write_text("10")
    os.kill(os.getpid(), 9)
ArtifactStore(Path(sys.argv[1])).make(Question("calls", "s", 1, {"a": "1"}, {}), build)
"""


def test_a_killed_build_leaves_its_checkpoints_only(store: ArtifactStore) -> None:
    done = subprocess.run([sys.executable, "-c", KILLED, str(store.root)])
    assert done.returncode == -9
    assert not store.has_current(DOMAIN, "s")
    assert store.history(DOMAIN, "s") == []
    seen = []

    def resume(folder: Path, workspace: Path) -> Mapping[str, Any]:
        seen.append((workspace / "checkpoint").read_text())
        (folder / "whole").write_text("y")
        return {}

    made = store.make(question(), resume)
    assert seen == ["10"]
    assert sorted(path.name for path in made.path.iterdir()) == ["manifest.json", "whole"]
    assert not store.workspace(question()).exists()


def test_a_damaged_artifact_is_named(store: ArtifactStore) -> None:
    made = store.make(question(), Counted())
    file = made.path / "sub" / "file"
    file.write_text("cut")
    with pytest.raises(IntegrityError, match=f"{file} is missing or has another size than"):
        store.make(question(), Counted())
    file.unlink()
    with pytest.raises(IntegrityError, match=f"Delete the folder {made.path}"):
        store.make(question(), Counted())
    (made.path / "manifest.json").write_text("{")
    with pytest.raises(StorageError, match=r"manifest\.json is not valid JSON"):
        store.make(question(), Counted())


def test_history_is_in_the_order_of_making(store: ArtifactStore) -> None:
    made: list[Artifact] = []
    for number in (3, 1, 2):
        made.append(store.make(question(inputs={"a": str(number)}), Counted()))
        moment = 1_000_000_000 * len(made)
        os.utime(made[-1].path / "manifest.json", ns=(moment, moment))
    (store.folder(DOMAIN, "s") / ".tmp-x-00000000").mkdir()
    assert [item.key for item in store.history(DOMAIN, "s")] == [item.key for item in made]
    assert store.history(DOMAIN, "other") == []
