"""What is held out stays held out, whatever comes to the corpus later."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
import yaml

from data.audio import SAMPLE_RATE, decode
from data.fetch import fetch
from data.gate import new_gate
from data.gate_files import write_gate
from data.ledger import Heard, Ledger, audio_id, write_ledger
from data.splits import text_key
from data.tables import read_rejects, read_utterances
from lifecycle.artifacts import Artifact
from lifecycle.corpus import make_corpus
from lifecycle.ledgers import ledger_path
from lifecycle.releases import release_utterance
from lifecycle.validation import QUARANTINE, TABLE, make_validation
from lifecycle.workspace import Workspace, open_workspace
from voiceforge.errors import UsageError
from voiceforge.settings import load_settings

SAID = {
    "agent-alreadyon": "That agent is already logged on. Please enter your agent number.",
    "all-circuits-busy-now": "All circuits are busy now.",
    "agent-pass": "Please enter your password followed by the pound key.",
}


class Project:
    """A domain of a few real recordings, to which a test adds."""

    def __init__(self, folder: Path, params: Path, cache: Path) -> None:
        self.folder = folder
        self.recordings = folder / "recordings"
        self.recordings.mkdir()
        content = yaml.safe_load(params.read_text())
        source = {"kind": "folder", "path": "recordings", "language": "en"}
        content["domains"] = {
            "calls": {
                "sources": [source],
                "validation": {"agreement": {"enabled": False}},
                "quarantine_limit": 0.9,
            }
        }
        (folder / "params.yaml").write_text(yaml.safe_dump(content))
        prompts = fetch("prompts-en", cache=cache, offline=False, timeout=60.0)
        self.rows: list[str] = []
        for name, text in SAID.items():
            samples = decode(next(prompts.rglob(f"{name}.g722")))
            self.add(f"m-{name}", text, samples)

    def add(self, name: str, text: str, samples: np.ndarray) -> None:
        soundfile.write(self.recordings / f"{name}.wav", samples, SAMPLE_RATE)
        self.rows.append(f'{name}.wav,"{text}",{name}')
        table = "\n".join(["audio,text,speaker", *self.rows, ""])
        (self.recordings / "table.csv").write_text(table)

    def samples(self, name: str) -> np.ndarray:
        return decode(self.recordings / f"m-{name}.wav")

    @property
    def workspace(self) -> Workspace:
        return open_workspace("calls", load_settings({}, self.folder))

    def run(self) -> Artifact:
        make_corpus(self.workspace)
        return make_validation(self.workspace)

    def know(self, split: Heard) -> None:
        """Let the split ledger have all recordings that validation let in, in one split."""
        rows = read_utterances(self.workspace.current("validation").path / TABLE)
        audio = {audio_id(row.audio_sha256): split for row in rows}
        write_ledger(ledger_path(self.workspace), Ledger(20, audio=audio))

    def freeze(self) -> None:
        rows = read_utterances(self.workspace.current("validation").path / TABLE)
        gate = new_gate(
            [replace(row, split="test") for row in rows], name="calls", same=text_key,
            previous=None, frozen_at="2026-01-05T03:00:00+00:00", frozen_by="ann", reason="first",
        )  # fmt: skip
        write_gate(self.workspace.ledgers, gate)


@pytest.fixture
def calls(tmp_path: Path, project: Path, cache: Path) -> Project:
    return Project(tmp_path, project / "params.yaml", cache)


def kept(made: Artifact) -> set[str]:
    return {row.speaker.split(":")[-1] for row in read_utterances(made.path / TABLE)}


def test_a_copy_that_comes_before_a_gate_sets_member_goes(calls: Project) -> None:
    first = calls.run()
    members = {f"m-{name}" for name in SAID}
    assert kept(first) == members
    calls.freeze()
    # The gate set is new to validation, and changes nothing of what it lets in.
    assert make_validation(calls.workspace).sha256 == first.sha256
    for at, (name, text) in enumerate(SAID.items()):
        words = text if at else "Quite other words than those."
        calls.add(f"a-{name}", words, calls.samples(name))
    made = calls.run()
    assert kept(made) == members
    assert sorted(one.reason for one in read_rejects(made.path / QUARANTINE)) == [
        "contradicting-texts", "duplicate-audio", "duplicate-audio",
    ]  # fmt: skip


def test_of_near_copies_the_held_out_one_stays_and_a_second_run_finds_all(calls: Project) -> None:
    calls.run()
    calls.know("test")
    louder = calls.samples("agent-pass") * np.float32(1.1)
    calls.add("a-louder", "Please enter your password and the pound key.", louder)
    made = calls.run()
    assert kept(made) == {f"m-{name}" for name in SAID}
    assert [one.reason for one in read_rejects(made.path / QUARANTINE)] == ["near-duplicate-audio"]
    calls.know("test")
    (near,) = read_rejects(made.path / QUARANTINE)
    with pytest.raises(UsageError, match="almost the same audio and is held out"):
        release_utterance(calls.workspace, near.id, near.reason, "not the same", "Ada")
    again = make_validation(calls.workspace)
    assert again.reused and again.key == made.key
    calls.know("train")
    release_utterance(calls.workspace, near.id, near.reason, "not the same", "Ada")
