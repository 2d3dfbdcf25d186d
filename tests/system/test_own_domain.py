"""A user's own recordings: `voiceforge init`, then a run with an honest verdict."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import pytest
import soundfile

from data.sources.espeak_library import speak
from tests.system.projects import new_project, small_params

Note = Callable[[str, float], None]
_ITEMS = ["invoice", "order", "password", "router", "refund", "delivery", "contract", "meter"]
_ACTS = ["check", "cancel", "change", "explain", "send me", "look up", "renew", "confirm"]
_VOICES = ("en-us+m1", "en-gb+f2", "en-us+f4", "en-gb+m3")


@pytest.fixture
def recordings(tmp_path: Path) -> Path:
    """Sixty-four spoken requests, one damaged file, one that is not there."""
    folder = tmp_path / "calls"
    folder.mkdir()
    rows = []
    for place, (act, item) in enumerate((act, item) for act in _ACTS for item in _ITEMS):
        text = f"Please {act} my {item} for account {100 + place}."
        voice = _VOICES[place % len(_VOICES)]
        soundfile.write(folder / f"{place}.wav", speak(text, voice), 16000)
        rows.append((f"{place}.wav", text, voice))
    (folder / "broken.wav").write_bytes(b"RIFF\x00\x00\x00\x00WAVEfmt nothing that can be heard")
    rows.append(("broken.wav", "This one is damaged.", _VOICES[0]))
    with (folder / "calls.csv").open("w", newline="") as table:
        csv.writer(table).writerows([("audio", "text", "speaker"), *rows])
    return folder


def test_own_recordings_become_a_domain(
    recordings: Path, cache: Path, tmp_path: Path, measured: Note
) -> None:
    import pandas

    params = small_params(steps=6, evaluate_every=3, checkpoint_every=3)
    project = new_project(tmp_path / "project", cache, params)
    said = project.voiceforge("init", "support-en", "--language", "en", "--source", str(recordings))
    assert "65 recordings" in said.out
    run = project.lifecycle("support-en")
    measured("lifecycle of 64 own recordings, six steps", run.seconds)

    corpus = project.path / "data" / "corpora" / "support-en"
    quarantine = pandas.read_parquet(corpus / "quarantine.parquet")
    assert len(quarantine) == 1
    (row,) = quarantine.to_dict("records")
    assert "broken" in str(row["id"])
    assert row["reason"] and row["detail"]
    table = pandas.read_parquet(corpus / "utterances.parquet")
    assert len(table) == 64 and not table["is_synthetic"].any()

    decided = project.manifest("certificate", "support-en")["summary"]
    assert decided["verdict"] in ("insufficient data", "reject")
    assert f"Verdict: {decided['verdict']}" in run.out
    assert "There is no champion yet" in run.out
    status = project.voiceforge("status").out
    assert "support-en" in status and decided["verdict"] in status
    refused = project.voiceforge("serve", "--domain", "support-en", code=2)
    assert "has no champion yet" in refused.err
