"""Certificate and promotion on the real registry: the alias follows certificates, nothing else."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from data.gate import new_gate
from data.gate_files import write_gate
from data.splits import text_key
from lifecycle.certificate import STAGE as CERTIFICATE
from lifecycle.certificate import make_certificate
from lifecycle.model_version import make_model_version
from lifecycle.promotion import make_promotion
from lifecycle.splits import read_splits
from serving.registry import CHALLENGER, CHAMPION
from voiceforge.errors import IntegrityError, StageError
from voiceforge.files import read_json, write_json

DOMAIN = "telephony-en"


def decide(world: Any, name: str, wrong: int) -> Any:
    world.train(name, wrong)
    make_model_version(world.workspace)
    return make_certificate(world.workspace)


def champion(world: Any) -> str | None:
    found: str | None = world.registry.get_alias(DOMAIN, CHAMPION)
    return found


def test_the_first_model_is_compared_with_the_base_and_promoted_once(world: Any) -> None:
    decided = decide(world, "first", 1)
    assert (decided.summary["verdict"], decided.summary["reference"]) == ("promote", "")
    assert {gate["against"] for gate in decided.summary["gates"]} == {"base model", ""}
    assert champion(world) is None
    promoted = make_promotion(world.workspace)
    assert promoted.summary["promoted"]
    assert (promoted.summary["before"], promoted.summary["champion"]) == ("", "1")
    assert champion(world) == "1" == world.registry.get_alias(DOMAIN, CHALLENGER)
    # Nothing changed: the same certificate is kept, and nothing is made again.
    kept = decide(world, "first", 1)
    assert (kept.sha256, kept.reused) == (decided.sha256, True)
    assert make_promotion(world.workspace).reused
    assert [item.key for item in world.workspace.store.history(DOMAIN, CERTIFICATE)] == [
        decided.key
    ]


def test_a_worse_model_is_rejected_and_the_champion_stays(world: Any) -> None:
    decide(world, "first", 1)
    make_promotion(world.workspace)
    decided = decide(world, "worse", 6)
    assert (decided.summary["verdict"], decided.summary["reference"]) == ("reject", "1")
    assert {gate["against"] for gate in decided.summary["gates"]} == {"champion", "base model", ""}
    promoted = make_promotion(world.workspace)
    assert (promoted.summary["promoted"], promoted.summary["champion"]) == (False, "1")
    assert champion(world) == "1"
    assert world.registry.get_alias(DOMAIN, CHALLENGER) == "2"
    # The first model again: it is the challenger again, and its own certificate counts again.
    decided = decide(world, "first", 1)
    assert (decided.summary["version"], decided.summary["verdict"]) == ("1", "promote")
    assert world.registry.get_alias(DOMAIN, CHALLENGER) == "1"


def test_a_better_model_is_promoted_and_uses_of_the_test_set_are_counted(world: Any) -> None:
    first = decide(world, "first", 5)
    make_promotion(world.workspace)
    second = decide(world, "better", 1)
    make_promotion(world.workspace)
    assert second.summary["verdict"] == "promote"
    assert champion(world) == "2"
    uses = [item.summary["uses_of_test_set"] for item in (first, second)]
    assert uses == [1, 2]


def test_an_alias_moved_by_hand_is_what_the_next_certificate_compares_with(world: Any) -> None:
    decide(world, "first", 1)
    make_promotion(world.workspace)
    decide(world, "worse", 6)
    make_promotion(world.workspace)
    world.registry.set_alias(DOMAIN, CHAMPION, "2")
    decided = decide(world, "first", 1)
    assert (decided.summary["reference"], decided.summary["verdict"]) == ("2", "promote")
    assert make_promotion(world.workspace).summary["before"] == "2"
    assert champion(world) == "1"
    # Moved once more, the same question has its answer already, and the alias still follows.
    world.registry.set_alias(DOMAIN, CHAMPION, "2")
    assert decide(world, "first", 1).reused
    make_promotion(world.workspace)
    assert champion(world) == "1"


def test_the_latest_certificate_of_a_champion_is_one_that_promotes(world: Any) -> None:
    """An alias moved away and back must not leave the champion with a rejection attached."""
    decide(world, "first", 1)
    make_promotion(world.workspace)
    decide(world, "same", 1)
    make_promotion(world.workspace)
    world.registry.set_alias(DOMAIN, CHAMPION, "2")
    assert decide(world, "first", 1).summary["verdict"] != "promote"
    world.registry.set_alias(DOMAIN, CHAMPION, "1")
    decided = decide(world, "first", 1)
    latest = world.registry.latest_certificate(DOMAIN, "1")
    assert latest is not None
    assert read_json(latest / "certificate.json")["verdict"] == "promote"
    assert decided.summary["reference"] == ""


def test_a_certificate_against_an_older_champion_promotes_nothing(world: Any) -> None:
    decide(world, "first", 5)
    make_promotion(world.workspace)
    decide(world, "other", 6)
    better = decide(world, "better", 1)
    assert better.summary["reference"] == "1"
    world.registry.set_alias(DOMAIN, CHAMPION, "2")
    with pytest.raises(StageError, match=r"compares with version 1, but the champion .* version 2"):
        make_promotion(world.workspace)
    assert champion(world) == "2"


def test_a_certificate_that_was_edited_promotes_nothing(world: Any) -> None:
    decided = decide(world, "worse", 9)
    fields = read_json(decided.path / "certificate.json")
    fields["verdict"] = "promote"
    write_json(decided.path / "certificate.json", fields)
    manifest = read_json(decided.path / "manifest.json")
    manifest["summary"]["verdict"] = "promote"
    write_json(decided.path / "manifest.json", manifest)
    with pytest.raises(IntegrityError, match="its own gates do not"):
        make_promotion(world.workspace)
    assert champion(world) is None


def test_a_version_that_the_registry_lost_is_said(world: Any, empty_registry: Path) -> None:
    decide(world, "first", 1)
    world.settings.mlflow_database.write_bytes(empty_registry.read_bytes())
    with pytest.raises(StageError, match=r"which the registry .* does not have"):
        make_model_version(world.workspace)


def test_losses_that_add_up_are_measured_against_the_first_champion(world: Any) -> None:
    """Better than a champion that had got worse, and than the base, yet worse than the first."""
    decide(world, "first", 1)
    make_promotion(world.workspace)
    decide(world, "worse", 6)
    world.registry.set_alias(DOMAIN, CHAMPION, "2")
    decided = decide(world, "middle", 4)
    gates = decided.summary["gates"]
    assert {gate["against"] for gate in gates} == {"champion", "base model", "first champion", ""}
    failed = {gate["against"] for gate in gates if gate["result"] == "fail"}
    assert (decided.summary["verdict"], failed) == ("reject", {"first champion"})


def test_other_statistics_are_another_question(world: Any) -> None:
    decided = decide(world, "worse", 6)
    params = world.settings.project / "params.yaml"
    params.write_text(params.read_text().replace("confidence: 0.95", "confidence: 0.99"))
    again = decide(world, "worse", 6)
    assert not again.reused and again.key != decided.key
    overall = json.loads((again.path / "certificate.json").read_text())["gates"][0]
    assert overall["estimate"]["confidence"] == 0.99


def test_other_decoding_is_another_question(world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A champion's certificate is of what it said under another decoder."""
    decided = decide(world, "first", 1)
    make_promotion(world.workspace)
    monkeypatch.setattr("serving.engines.contracts.DECODING_VERSION", 1000)
    again = decide(world, "first", 1)
    assert again.key != decided.key and again.summary["reference"] == ""


def test_a_gate_set_that_was_frozen_since_is_another_question(world: Any) -> None:
    before = decide(world, "first", 1)
    gate = new_gate(
        read_splits(world.workspace), name=DOMAIN, same=text_key, previous=None,
        frozen_at="2026-01-05T03:00:00+00:00", frozen_by="ann", reason="first release",
    )  # fmt: skip
    write_gate(world.workspace.ledgers, gate)
    after = make_certificate(world.workspace)
    assert after.key != before.key and after.inputs["gate"] == gate.sha256


def test_predictions_that_were_edited_decide_nothing(world: Any) -> None:
    world.train("first", 6)
    path = world.workspace.current("predictions").path / "predictions.parquet"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(IntegrityError, match=r"predictions\.parquet has other content"):
        world.train("first", 6)


def test_parameters_that_changed_after_training_are_not_claimed(world: Any) -> None:
    world.train("first", 1)
    params = world.settings.project / "params.yaml"
    params.write_text(params.read_text().replace("steps: 240", "steps: 241"))
    with pytest.raises(StageError, match="trained with another steps"):
        make_model_version(world.workspace)
