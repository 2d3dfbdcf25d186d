"""What a report shows of conditions that were heard in part, or by one of two models."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from data.conditions import Condition
from data.utterance import Utterance
from evaluation.prediction import Prediction
from evaluation.runners import write_predictions
from lifecycle.evaluated import pair, read
from lifecycle.evaluated_conditions import CONDITIONS, condition_file, read_conditions
from lifecycle.evaluation_report import write_report
from tests.lifecycle.evaluations import lay_down, said, spoken
from voiceforge.files import read_json

NOISE, CLIPPED = Condition("pink noise", 10.0), Condition("clipping", -6.0)


def hear(folder: Path, role: str, rows: Sequence[Prediction], *conditions: Condition) -> None:
    for condition in conditions:
        write_predictions(condition_file(folder / "conditions" / role, condition), rows)


def evaluated(folder: Path, rows: Sequence[Utterance], wrong: int = 1) -> Path:
    return lay_down(folder, rows, {"candidate": said(rows, wrong)})


def test_every_condition_has_a_file_of_its_own_with_the_sign_of_its_level(tmp_path: Path) -> None:
    levels = [*CONDITIONS, Condition("clipping", 6.0)]
    assert len({condition_file(tmp_path, one) for one in levels}) == len(levels)
    hear(tmp_path, "candidate", said(spoken(3)), *CONDITIONS)
    found, quiet = read_conditions(tmp_path / "conditions" / "candidate")
    assert set(found) == set(CONDITIONS) and not quiet


def test_a_model_that_was_killed_on_the_way_leaves_empty_cells(tmp_path: Path) -> None:
    rows = spoken(20)
    folder = lay_down(
        tmp_path / "both", rows, {"candidate": said(rows, 1), "baseline": said(rows, 3)}
    )
    hear(folder, "candidate", said(rows[:10], 2), NOISE, CLIPPED)
    hear(folder, "baseline", said(rows[:10], 4), CLIPPED)
    write_report(read(folder), folder, resamples=200)
    page = (folder / "report.html").read_text()
    assert page.count("not heard") == 1
    assert NOISE.title in page and CLIPPED.title in page


def test_compared_by_force_each_shows_what_it_heard_of_the_shared(tmp_path: Path) -> None:
    rows = spoken(30)
    one, other = evaluated(tmp_path / "one", rows[:20]), evaluated(tmp_path / "two", rows[10:], 5)
    hear(one, "candidate", said(rows[:20], 2), NOISE)
    hear(other, "candidate", said(rows[10:], 6), NOISE)
    out = tmp_path / "out"
    write_report(pair(read(one), read(other), force=True), out, resamples=200)
    heard = [
        model["curve"][0]["utterances"] for model in read_json(out / "report.json")["robustness"]
    ]
    assert sorted(heard) == [10, 20]


def test_the_coverage_of_the_intervals_is_a_field_of_its_own(tmp_path: Path) -> None:
    folder = evaluated(tmp_path / "one", spoken(20))
    report = write_report(read(folder), folder, confidence=0.9, resamples=200).report
    fields = read_json(folder / "report.json")
    assert fields["confidence"] == 0.9
    assert (fields["calibration"] is None) == (report.calibration is None)
