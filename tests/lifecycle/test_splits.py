"""The splits stage with its ledger and gate sets, on tables as the corpus stage leaves them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

import evaluation.text
from data.gate import held_out_sha256
from data.gate_files import gate_file, read_gates
from data.tables import write_utterances
from data.utterance import Utterance
from lifecycle import certificate, checks, corpus, splits, validation
from lifecycle.artifacts import Artifact
from lifecycle.corpus_view import view_corpus
from lifecycle.gate import drop_from_gate, freeze
from lifecycle.releases import release_utterance
from lifecycle.splits import make_splits, read_splits
from lifecycle.stages import GROUPS
from lifecycle.workspace import Workspace, open_workspace
from voiceforge.errors import IntegrityError, StageError, UsageError
from voiceforge.settings import load_settings

PEOPLE = [f"folder:person {n}" for n in range(3)]


def utterance(number: int, **changes: Any) -> Utterance:
    fields: dict[str, Any] = {
        "id": f"clip-{number:03d}", "audio": f"audio/{number}.flac", "duration": 1.0,
        "text": f"please say sentence {number}", "language": "en", "accent": "en",
        "speaker": PEOPLE[number % 3], "domain": "calls", "source": "folder:a",
        "licence": "unknown", "consent": "unknown", "split": "", "is_synthetic": False,
        "audio_sha256": f"{number:064x}",
    }  # fmt: skip
    return Utterance(**{**fields, **changes})


class Project:
    """A domain whose corpus is what a test lays down."""

    def __init__(self, folder: Path, params: Path) -> None:
        self.folder = folder
        content = yaml.safe_load(params.read_text())
        content["domains"] = {"calls": {"sources": [{"kind": "folder", "path": "r"}]}}
        content["domains"]["calls"]["sources"][0]["language"] = "en"
        self.params = folder / "params.yaml"
        self.params.write_text(yaml.safe_dump(content))

    @property
    def workspace(self) -> Workspace:
        return open_workspace("calls", load_settings({}, self.folder))

    @property
    def ledger(self) -> Path:
        return self.folder / "data" / "ledgers" / "calls" / "splits.csv"

    def set(self, **keys: Any) -> None:
        content = yaml.safe_load(self.params.read_text())
        content["domains"]["calls"].setdefault("splits", {}).update(keys)
        self.params.write_text(yaml.safe_dump(content))

    def run(self, rows: list[Utterance], lost: int = 0) -> Artifact:
        """The stages corpus and validation, laid down, and splits."""
        workspace = self.workspace
        key = held_out_sha256([replace(row, split="test") for row in rows])

        def build(out: Path, _: Path) -> dict[str, Any]:
            write_utterances(out / validation.TABLE, rows)
            reasons = {"clipped": lost} if lost else {}
            return {"utterances": len(rows), "quarantined": lost, "quarantine_reasons": reasons}

        made = workspace.make(corpus.STAGE, 0, {"rows": key}, {}, lambda *_: {})
        inputs = {corpus.STAGE: made.sha256, "rows": key, "lost": str(lost)}
        workspace.make(validation.STAGE, 0, inputs, {}, build)
        return make_splits(workspace)

    def splits(self) -> dict[str, str]:
        return {row.id: row.split for row in read_splits(self.workspace)}


@pytest.fixture
def calls(tmp_path: Path, project: Path) -> Project:
    return Project(tmp_path, project / "params.yaml")


ROWS = [utterance(n) for n in range(60)]


def test_a_second_run_finds_everything_and_splits_nothing(
    calls: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = calls.run(ROWS)
    content = calls.ledger.read_bytes()
    assert first.summary["ledger"]["recordings"] == 60
    assert first.summary["ledger"]["texts"] == 60

    def unneeded(_: Workspace) -> None:
        raise AssertionError("an unchanged corpus was split again")

    monkeypatch.setattr(splits, "assign_corpus", unneeded)
    again = calls.run(ROWS)
    assert again.reused and again.key == first.key
    assert calls.ledger.read_bytes() == content


def test_a_corpus_that_grows_adds_lines_and_moves_nothing(calls: Project) -> None:
    first = calls.run(ROWS[:30])
    lines, before = calls.ledger.read_text().splitlines(), calls.splits()
    calls.run(ROWS)
    assert set(lines) < set(calls.ledger.read_text().splitlines())
    assert before.items() <= calls.splits().items()
    calls.run(ROWS[:30])
    assert calls.splits() == before
    # Another ledger, the same splits: what trained on them has nothing to train again.
    assert calls.workspace.current("splits").sha256 == first.sha256


def test_a_run_killed_between_ledger_and_table_ends_the_same(calls: Project) -> None:
    first = calls.run(ROWS)
    for file in first.path.iterdir():
        file.unlink()
    assert calls.run(ROWS).sha256 == first.sha256


def test_a_lost_ledger_is_an_error_unless_the_splits_are_drawn_anew(calls: Project) -> None:
    calls.run(ROWS)
    before = calls.splits()
    calls.set(seed=21)
    with pytest.raises(UsageError, match=r"splits.seed is 21.*begun with 20"):
        calls.run(ROWS)
    calls.set(seed=20)
    calls.ledger.unlink()
    with pytest.raises(StageError, match=r"splits.csv is missing.*Restore it from git"):
        calls.run(ROWS)
    calls.set(seed=21)
    calls.run(ROWS)
    assert calls.splits() != before


def test_other_rules_of_the_normaliser_are_another_question(
    calls: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = calls.run(ROWS)
    monkeypatch.setattr(
        evaluation.text, "normaliser_identity", lambda name: {"name": name, "sha256": "newer rules"}
    )
    again = calls.run(ROWS)
    assert again.key != first.key and again.inputs["normaliser"] == "newer rules"


def test_shares_that_change_move_nothing(calls: Project) -> None:
    calls.run(ROWS)
    before = calls.splits()
    calls.set(train=0.0, dev=0.0, test=1.0)
    calls.run([*ROWS, utterance(99)])
    assert calls.splits() == {**before, "clip-099": "test"}


def test_a_damaged_ledger_is_an_error_with_the_line(calls: Project) -> None:
    calls.run(ROWS)
    calls.ledger.write_text(calls.ledger.read_text() + "oops\n")
    number = len(calls.ledger.read_text().splitlines())
    with pytest.raises(IntegrityError, match=f"line {number} is 'oops'"):
        calls.run(ROWS)


def test_a_gate_set_is_frozen_once(calls: Project) -> None:
    calls.run(ROWS)
    before = calls.splits()
    gate = freeze(calls.workspace, by="ann", reason="first release")
    assert {member.id for member in gate.members} == {n for n, s in before.items() if s == "test"}
    with pytest.raises(UsageError, match=r"is frozen: gate-1, by ann at .* new\s+version"):
        freeze(calls.workspace, by="bo", reason="again")
    with pytest.raises(UsageError, match="is exactly gate-1"):
        freeze(calls.workspace, by="bo", reason="again", new_version=True)
    made = calls.run(ROWS)
    assert calls.splits() == before
    assert made.summary["gate"]["identity"] == gate.identity
    assert checks.gate_is_sealed(calls.workspace).passed


def test_a_blocked_corpus_gets_into_no_ledger_and_no_gate_set(calls: Project) -> None:
    with pytest.raises(StageError, match=r"40 of 100 recordings .*clipped 40.* Mend or release"):
        calls.run(ROWS, lost=40)
    with pytest.raises(StageError, match="quarantine_limit allows"):
        freeze(calls.workspace, by="ann", reason="first release")
    assert not calls.ledger.exists() and read_gates(calls.workspace.ledgers) == ()


def test_a_validation_of_another_version_of_the_corpus_is_not_split(calls: Project) -> None:
    calls.run(ROWS)
    workspace = calls.workspace

    def another(out: Path, _: Path) -> dict[str, Any]:
        (out / "utterances.parquet").write_bytes(b"older")
        return {}

    workspace.make(corpus.STAGE, 0, {"rows": "older"}, {}, another, at=workspace.corpus)
    for use in (make_splits, view_corpus):
        with pytest.raises(StageError, match=r"another version.* run `voiceforge corpus validate"):
            use(workspace)
    with pytest.raises(StageError, match="another version of the corpus"):
        release_utterance(workspace, "clip-001", "clipped", "it is fine", "Ada")


def test_later_test_recordings_wait_for_the_next_version(calls: Project) -> None:
    calls.run(ROWS)
    first = freeze(calls.workspace, by="ann", reason="first release")
    later = [utterance(n) for n in range(60, 100)]
    made = calls.run([*ROWS, *later])
    waiting = made.summary["gate"]["waiting"]
    assert waiting > 5
    assert sum(calls.splits()[row.id] == "left-out" for row in later) == waiting
    check = checks.gate_is_sealed(calls.workspace)
    assert check.passed and f"{waiting} wait for the next version" in check.sentence
    second = freeze(calls.workspace, by="ann", reason="more speech", new_version=True)
    assert len(second.members) == len(first.members) + waiting
    assert calls.run([*ROWS, *later]).summary["gate"]["waiting"] == 0
    assert read_gates(calls.workspace.ledgers) == (first, second)
    assert checks.gate_is_sealed(calls.workspace).passed


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (None, "{id} is missing from the corpus"),
        ({"audio_sha256": "f" * 64}, "{id} is of other audio than was frozen"),
        ({"text": "quite another text"}, "{id} is of another text than was frozen"),
    ],
)
def test_a_member_that_is_gone_or_changed_blocks(
    change: dict[str, Any] | None, said: str, calls: Project
) -> None:
    calls.run(ROWS)
    name = freeze(calls.workspace, by="ann", reason="first release").members[0].id
    rows = [
        replace(row, **change or {}) if row.id == name else row
        for row in ROWS
        if change is not None or row.id != name
    ]
    calls.run(rows)
    check = checks.gate_is_sealed(calls.workspace)
    assert not check.passed and said.format(id=name) in check.sentence
    (blocking,) = (
        step for step in GROUPS["adapter"] if step.__qualname__.startswith("required")
        and checks.gate_is_sealed in (cell.cell_contents for cell in step.__closure__ or ())
    )  # fmt: skip
    with pytest.raises(StageError, match=f"{name} is .*freeze a new version"):
        blocking(calls.workspace)
    freeze(calls.workspace, by="ann", reason="it was wrong", new_version=True)
    calls.run(rows)
    assert checks.gate_is_sealed(calls.workspace).passed


def test_corrections_and_copies_of_gate_recordings_never_train(calls: Project) -> None:
    calls.run(ROWS)
    gate = freeze(calls.workspace, by="ann", reason="first release")
    members = [row for row in ROWS if row.id in {member.id for member in gate.members}]
    planted = []
    for row in members:
        planted += [
            replace(row, id=f"copy {row.id}", text=f"other words {row.id}"),
            replace(row, id=f"fix {row.id}", text=f"corrected {row.id}", source="corrections"),
            replace(row, id=f"renamed {row.id}", speaker=f"new {row.id}", source="folder:b"),
            replace(row, id=f"again {row.id}", audio_sha256=f"again {row.id}"),
        ]
    calls.run([*ROWS, *planted])
    found = calls.splits()
    assert {found[row.id] for row in planted} == {"left-out"}
    assert checks.gate_is_sealed(calls.workspace).passed


def test_a_gate_recording_that_an_edited_ledger_lets_train_is_found(calls: Project) -> None:
    calls.run(ROWS)
    freeze(calls.workspace, by="ann", reason="first release")
    calls.ledger.write_text(calls.ledger.read_text().replace(",test", ",train"))
    calls.run(ROWS)
    check = checks.gate_is_sealed(calls.workspace)
    assert not check.passed
    assert "in train have the audio of gate-1" in check.sentence
    assert "has its text or speaker elsewhere" in check.sentence


def test_a_lost_gate_set_is_an_error(calls: Project) -> None:
    calls.run(ROWS)
    freeze(calls.workspace, by="ann", reason="first release")
    calls.run(ROWS)
    gate_file(calls.workspace.ledgers, 1).unlink()
    with pytest.raises(StageError, match=r"has lost gate-1.json"):
        calls.run(ROWS)


def test_speakers_can_be_taken_out_by_a_new_version(calls: Project) -> None:
    assert drop_from_gate(calls.workspace, PEOPLE[:1], by="ann", reason="forget") is None
    calls.run(ROWS)
    first = freeze(calls.workspace, by="ann", reason="first release")
    assert drop_from_gate(calls.workspace, ["nobody"], by="ann", reason="forget") is None
    second = drop_from_gate(calls.workspace, PEOPLE[:1], by="ann", reason="forget")
    assert second is not None and second.version == 2
    assert 0 < len(second.members) < len(first.members)
    calls.run([row for row in ROWS if row.speaker != PEOPLE[0]])
    assert checks.gate_is_sealed(calls.workspace).passed


def test_freezing_does_not_make_a_used_test_set_a_fresh_one(calls: Project) -> None:
    calls.run(ROWS)
    workspace = calls.workspace

    def use(number: int) -> int:
        test_set = certificate._test_set(workspace)
        uses = certificate._uses(workspace, test_set)
        summary = {"test_set": test_set}
        workspace.make(certificate.STAGE, 0, {"n": str(number)}, {}, lambda *_: summary)
        return uses

    assert [use(1), use(2)] == [1, 2]
    gate = freeze(workspace, by="ann", reason="first release")
    calls.run(ROWS)
    assert certificate._test_set(workspace) == gate.identity
    assert [use(3), use(4)] == [3, 4]
    freeze_rows = [*ROWS, *(utterance(n) for n in range(60, 100))]
    calls.run(freeze_rows)
    freeze(workspace, by="ann", reason="more speech", new_version=True)
    calls.run(freeze_rows)
    assert use(5) == 1
