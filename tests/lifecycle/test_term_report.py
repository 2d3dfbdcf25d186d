"""A vocabulary in its reports: counted, shown beside the base model, and in no key of before."""

from __future__ import annotations

from typing import Any

import yaml

from cli.run import closing_table
from lifecycle import predictions, reports
from lifecycle.certificate import PAGE, make_certificate
from lifecycle.model_card import FILE, make_model_card
from lifecycle.model_version import make_model_version

DOMAIN = "telephony-en"


def with_terms(world: Any, *terms: str) -> None:
    path = world.settings.project / "params.yaml"
    content = yaml.safe_load(path.read_text())
    content["domains"][DOMAIN]["vocabulary"] = {"terms": list(terms)}
    path.write_text(yaml.safe_dump(content))


def test_terms_are_counted_and_shown_wherever_a_domain_has_them(world: Any) -> None:
    with_terms(world, "Extension", "pound key", "Zelvora")
    world.train("first", 2)
    workspace = world.workspace
    # Every text holds both terms once; each wrong one lost its "extension".
    test = predictions.test_utterances(workspace)
    wrong = sum(number % 10 < 2 for number in range(len(test)))
    overall, people, machines = workspace.current(reports.ACCURACY).summary["terms"]
    assert overall["recall_occurrences"] == 2 * len(test)
    assert overall["recall"] == 1 - wrong / (2 * len(test))
    assert overall["recall_low"] < overall["recall"] < overall["recall_high"] < 1
    assert overall["precision"] == 1.0 and overall["gain"] > 0
    assert people["recall_occurrences"] + machines["recall_occurrences"] == 2 * len(test)
    report = reports.read_terms(workspace)
    assert report is not None
    assert [(row.term, row.occurrences, row.found) for row in report.terms] == [
        ("Extension", len(test), len(test) - wrong), ("pound key", len(test), len(test)),
        ("Zelvora", 0, 0),
    ]  # fmt: skip
    shown = report.slices[0].recall
    assert shown is not None
    cells = [str(cell) for column in closing_table(workspace).columns for cell in column.cells]
    assert "terms found, overall" in cells
    card = (make_model_card(workspace).path / FILE).read_text()
    assert "## Terms of its vocabulary" in card
    make_model_version(workspace)
    page = (make_certificate(workspace).path / PAGE).read_text()
    assert "<h2>Terms</h2>" in page and shown.percent() in page


def test_a_domain_without_terms_keeps_its_reports_and_their_keys(world: Any) -> None:
    world.train("first", 2)
    made = world.workspace.current(reports.ACCURACY)
    assert "terms" not in made.summary and "terms" not in made.parameters
    assert reports.read_terms(world.workspace) is None
    with_terms(world, "Extension")
    assert not world.workspace.current(reports.ACCURACY).parameters.get("terms")
    assert reports.make_accuracy_report(world.workspace).key != made.key
    assert world.workspace.current(reports.ACCENT).key == (
        reports.make_accent_report(world.workspace).key
    )
