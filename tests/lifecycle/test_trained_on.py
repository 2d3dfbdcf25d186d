"""A model that is evaluated on recordings that its domain learns from is said to be."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from data.ledger import FILE, Ledger, audio_id, write_ledger
from lifecycle.evaluated import read
from lifecycle.evaluation_report import PAGE, write_report
from lifecycle.trained_on import domain_of, learnt_from
from tests.lifecycle.evaluations import lay_down, said, spoken
from voiceforge.errors import IntegrityError
from voiceforge.files import read_json, write_json
from voiceforge.settings import Settings

MODEL = "models:/telephony-en/3"
ROWS = spoken(10)
LEARNT = {"domain": "telephony-en", "utterances": 10, "splits": {"train": 3, "dev": 1}}


def ledger(settings: Settings) -> Path:
    """Three recordings train, one tunes, one tests; the rest the domain never saw."""
    splits = ["train", "train", "train", "dev", "test"]
    audio = {audio_id(row.audio_sha256): split for row, split in zip(ROWS, splits, strict=False)}
    path = settings.ledgers / "telephony-en" / FILE
    path.parent.mkdir(parents=True)
    write_ledger(path, Ledger(20, audio=audio))  # type: ignore[arg-type]
    return path


def test_recordings_that_a_domain_learns_from_are_counted(settings: Settings) -> None:
    ledger(settings)
    domain = domain_of(MODEL)
    assert learnt_from(settings, domain, ROWS) == LEARNT
    assert learnt_from(settings, domain, ROWS[4:]) == {}
    assert learnt_from(settings, domain, [replace(row, audio_sha256="") for row in ROWS]) == {}
    for other in ("base:whisper-tiny.en", "models:/sales-it/1", "var/engines/telephony-en"):
        assert learnt_from(settings, domain_of(other), ROWS) == {}


def test_a_damaged_ledger_is_not_taken_for_an_empty_one(settings: Settings) -> None:
    path = ledger(settings)
    path.write_text(path.read_text().replace(",train", ",trian"))
    with pytest.raises(IntegrityError, match=r"splits\.csv"):
        learnt_from(settings, domain_of(MODEL), ROWS)


def test_the_report_says_it_above_its_figures(tmp_path: Path) -> None:
    folder = lay_down(tmp_path / "out", ROWS, {"candidate": said(ROWS)})
    assert not write_report(read(folder), folder, resamples=200).warnings
    described = read_json(folder / "evaluation.json")
    described["models"]["candidate"] |= {"name": MODEL, "learnt_from": LEARNT}
    write_json(folder / "evaluation.json", described)
    sentence = (
        "4 of the 10 utterances are recordings that telephony-en learns from (3 in train and 1 in "
        f"dev): {MODEL} may look better on them than it is."
    )
    assert write_report(read(folder), folder, resamples=200).warnings == [sentence]
    page = (folder / PAGE).read_text()
    assert page.index(sentence) < page.index("<h2>Word error rate</h2>")
