"""What the command shows of a domain after a run."""

from __future__ import annotations

import json
from typing import Any

import pytest

from cli.run import closing_table
from cli.status import show_status
from lifecycle.certificate import make_certificate
from lifecycle.model_version import make_model_version
from lifecycle.promotion import make_promotion


def test_status_shows_champion_verdict_rates_and_age(
    world: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    world.train("first", 1)
    make_model_version(world.workspace)
    decided = make_certificate(world.workspace)
    make_promotion(world.workspace)
    monkeypatch.setenv("VOICEFORGE_PROJECT", str(world.settings.project))
    monkeypatch.setenv("COLUMNS", "200")
    show_status(as_json=True)
    english, italian = json.loads(capsys.readouterr().out)
    assert (english["champion"], english["verdict"]) == ("1", "promote")
    assert english["decided_at"] == decided.summary["created_at"]
    assert (italian["champion"], italian["verdict"], italian["base"]) == (None, None, None)
    for rate in (english["base"], english["fine_tuned"]):
        assert 0 <= rate["low"] <= rate["value"] <= rate["high"] <= 1
        assert rate["words"] > 200
    assert english["fine_tuned"]["high"] < english["base"]["low"]
    assert [row["level"] for row in english["calibration"]] == ["utterance", "word"]
    assert english["evaluation_report"].endswith("report.html")
    assert (italian["calibration"], italian["evaluation_report"]) == (None, None)
    show_status(as_json=False)
    lines = capsys.readouterr().out.splitlines()
    (row,) = (line for line in lines if "telephony-en" in line)
    assert "version 1" in row
    assert "promote" in row
    assert f"{english['fine_tuned']['words']:,} words" in row
    assert "0 min" in row


def test_the_closing_table_names_the_confidence_of_its_intervals(world: Any) -> None:
    params = world.settings.project / "params.yaml"
    params.write_text(params.read_text().replace("confidence: 0.95", "confidence: 0.9"))
    world.train("first", 1)
    caption = str(closing_table(world.workspace).caption)
    assert caption.startswith("Word error rates with 90% intervals.")
