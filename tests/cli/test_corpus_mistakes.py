"""What a new user of `voiceforge corpus` gets wrong, in a corpus of a few real recordings."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from cli.corpus_build import add_to_corpus, freeze_gate, validate_corpus
from data.fetch import fetch
from data.gate_files import read_gates
from data.sources.base import FileAudio, Reach
from data.sources.prompts import Prompts
from voiceforge.errors import StageError, VoiceForgeError

NAME = "calls"
CLIPS = 24


@pytest.fixture(scope="session")
def prompts(cache: Path) -> list[tuple[Path, str]]:
    """Recordings and what is said in them."""
    fetch("prompts-en", cache=cache, offline=False, timeout=60.0)
    plan = Prompts("en").plan(Reach(cache, False, 60.0))
    texts: dict[str, Path] = {}
    for one in plan.recordings:
        if isinstance(one.audio, FileAudio) and len(one.text.split()) > 3:
            texts.setdefault(one.text, one.audio.path)
    return [(path, text) for text, path in sorted(texts.items())[:CLIPS]]


class Calls:
    """A project with a folder of recordings, each by another speaker, and no domain of its own."""

    def __init__(self, folder: Path, params: Path, prompts: list[tuple[Path, str]]) -> None:
        self.folder, self.params = folder, folder / "params.yaml"
        content = yaml.safe_load(params.read_text())
        content["defaults"]["validation"]["agreement"]["enabled"] = False
        self.params.write_text(yaml.safe_dump(content))
        self.recordings = folder / "mine"
        self.recordings.mkdir()
        self.rows = []
        for number, (path, text) in enumerate(prompts):
            shutil.copy(path, self.recordings / f"{number}{path.suffix}")
            self.rows.append((f"{number}{path.suffix}", text, f"p{number}"))
        self.write(self.rows)

    def write(self, rows: list[tuple[str, str, str]], table: str = "table.csv") -> None:
        with (self.recordings / table).open("w", newline="") as file:
            csv.writer(file).writerows([("audio", "text", "speaker"), *rows])

    def add(self, kind: str = "folder", *options: str, build: bool = False, **more: Any) -> None:
        fields = {"path": more.pop("path", self.recordings), **more.pop("fields", {})}
        more = {"language": "en", "base_model": None, **more}
        fields = {key: value for key, value in fields.items() if value is not None}
        add_to_corpus(NAME, kind, fields, options, build=build, **more)

    def refused(self, error: type[VoiceForgeError], *args: Any, **more: Any) -> str:
        """What adding says where it must not, and params.yaml stays as it is."""
        before = self.params.read_bytes()
        with pytest.raises(error) as raised:
            self.add(*args, **more)
        assert self.params.read_bytes() == before
        return str(raised.value)

    @property
    def ledgers(self) -> Path:
        return self.folder / "data" / "ledgers" / NAME


@pytest.fixture
def calls(
    tmp_path: Path, project: Path, cache: Path, prompts: list[tuple[Path, str]],
    monkeypatch: pytest.MonkeyPatch,
) -> Calls:  # fmt: skip
    (tmp_path / "var" / "cache").mkdir(parents=True)
    for kept in ("sources", "base-models"):
        (tmp_path / "var" / "cache" / kept).symlink_to(cache / kept)
    monkeypatch.chdir(tmp_path)
    return Calls(tmp_path, project / "params.yaml", prompts)


def test_a_gate_sets_member_that_left_its_table_stops_validation(calls: Calls) -> None:
    calls.add(build=True)
    freeze_gate(NAME, new_version=False, why="first", by="Eva")
    validate_corpus(NAME)
    member = read_gates(calls.ledgers)[-1].members[0].id
    calls.write([row for row in calls.rows if f"mine-{Path(row[0]).stem}" != member])
    with pytest.raises(StageError, match=f"Gate set gate-1 of {NAME}: {member} is missing from"):
        validate_corpus(NAME)
    calls.write(calls.rows)
    validate_corpus(NAME)
