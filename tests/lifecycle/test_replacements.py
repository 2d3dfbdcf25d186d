"""`evaluation.replacements`: in every figure and key of a domain that has them, else in none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from evaluation.text import normaliser_identity
from lifecycle import engine, predictions, reports
from lifecycle.adapter import make_adapter
from lifecycle.certificate import make_certificate
from lifecycle.model_version import make_model_version
from lifecycle.replacements import normaliser_of, replacements_of
from lifecycle.results import results_folder, write_results
from tests.lifecycle.test_term_report import DOMAIN, with_terms
from voiceforge.errors import UsageError
from voiceforge.files import read_json, sha256_json


def asks(world: Any, path: str | None) -> None:
    params = world.settings.project / "params.yaml"
    content = yaml.safe_load(params.read_text())
    content["domains"][DOMAIN]["evaluation"] = {"replacements": path}
    params.write_text(yaml.safe_dump(content))


def test_null_is_as_if_the_key_were_not_there(world: Any) -> None:
    domain = world.workspace.domain
    fields = domain.model_dump(mode="json")
    assert "replacements" not in fields["evaluation"]
    params = world.settings.project / "params.yaml"
    content = yaml.safe_load(params.read_text())
    del content["defaults"]["evaluation"]["replacements"]
    params.write_text(yaml.safe_dump(content))
    assert world.workspace.domain.model_dump(mode="json") == fields
    assert replacements_of(world.workspace) is None
    assert normaliser_of(world.workspace) == normaliser_identity("whisper-english")
    assert "replacements" not in engine.statistics(world.workspace)
    world.train("first", 2)
    made = world.workspace.current(reports.ACCURACY)
    assert made.inputs["normaliser"] == normaliser_identity("whisper-english")["sha256"]


def test_replacements_are_in_reports_and_certificate(world: Any) -> None:
    world.train("first", 2)
    before = world.workspace.current(reports.ACCURACY)
    said = reports.read_accuracy(world.workspace).overall.word_error_rate
    # What every wrong utterance says in place of what was to be heard.
    (world.settings.project / "ours.tsv").write_text("tension\textension\n")
    asks(world, "ours.tsv")
    workspace = world.workspace
    reports.make_accent_report(workspace)
    made = reports.make_accuracy_report(workspace)
    found = reports.read_accuracy(workspace)
    assert made.key != before.key
    assert made.inputs["normaliser"] == normaliser_of(workspace)["sha256"]
    assert found.normaliser == "whisper-english + replacements"
    assert found.overall.word_error_rate.value == 0.0 < said.value
    assert engine.statistics(workspace)["replacements"] == made.inputs["normaliser"]
    heard = workspace.current(predictions.STAGE)
    make_model_version(workspace)
    certificate = read_json(make_certificate(workspace).path / "certificate.json")
    assert certificate["hashes"]["normaliser"] == made.inputs["normaliser"]
    assert certificate["hashes"]["parameters"] == sha256_json(
        workspace.domain.model_dump(mode="json")
    )
    assert workspace.current(predictions.STAGE) == heard  # nothing is heard again
    (world.settings.project / "ours.tsv").write_text("tension\textension\nok\tokay\n")
    assert reports.make_accuracy_report(world.workspace).key != made.key


def test_a_file_that_is_not_there_or_does_nothing_is_named(world: Any) -> None:
    asks(world, "ours.tsv")
    with pytest.raises(UsageError, match=r"ours\.tsv cannot be read"):
        replacements_of(world.workspace)
    (world.settings.project / "ours.tsv").write_text("Tension\textension\n")
    with pytest.raises(UsageError, match="line 1: 'Tension' never stands in a text"):
        replacements_of(world.workspace)


def test_what_cannot_be_counted_with_is_refused_before_the_training(world: Any) -> None:
    world.train("first", 0)
    asks(world, "ours.tsv")
    with pytest.raises(UsageError, match=r"ours\.tsv cannot be read"):
        make_adapter(world.workspace)
    (world.settings.project / "ours.tsv").write_text("so laura\tzelvora\n")
    with_terms(world, "Zelvora", "so laura")
    same = (
        "telephony-en: the terms 'Zelvora' and 'so laura' are the same after the normaliser "
        r"whisper-english and the replacements of ours\.tsv \('zelvora'\)"
    )
    for make in (make_adapter, reports.make_accuracy_report):
        with pytest.raises(UsageError, match=same):
            make(world.workspace)
    (world.settings.project / "ours.tsv").write_text("so laura\t\n")
    with pytest.raises(UsageError, match="leave nothing of the term 'so laura'"):
        make_adapter(world.workspace)


def test_dvc_sees_what_the_files_say(world: Any, project: Path) -> None:
    world.train("first", 0)
    path = results_folder(world.workspace) / "adapter.json"

    def written() -> dict[str, Any]:
        write_results(world.workspace, "adapter")
        found: dict[str, Any] = read_json(path)
        return found

    plain = written()
    assert plain["normaliser_sha256"] == normaliser_identity("whisper-english")["sha256"]
    assert "terms_sha256" not in plain
    (world.settings.project / "ours.tsv").write_text("tension\textension\n")
    asks(world, "ours.tsv")
    first = written()
    (world.settings.project / "ours.tsv").write_text("tension\textensions\n")
    second = written()
    with_terms(world, "Zelvora")
    third = written()
    assert len({one["normaliser_sha256"] for one in (plain, first, second)}) == 3
    assert third["normaliser_sha256"] == second["normaliser_sha256"] and third["terms_sha256"]
    stages = yaml.safe_load((project / "dvc.yaml").read_text())["stages"]
    for name in ("engine", "evaluation", "promotion"):
        assert "results/${key}/adapter.json" in stages[name]["do"]["deps"]
    assert stages["adapter"]["do"]["always_changed"]
