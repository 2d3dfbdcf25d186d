"""The stage calibration: dev fits, test judges, and the model version carries the result."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from evaluation.model_calibrator import ModelCalibrator, audio_key
from evaluation.runners import read_predictions, write_predictions
from lifecycle import calibration, predictions, splits
from lifecycle.calibration import make_calibration
from lifecycle.engine import STAGE as ENGINE
from lifecycle.engine import engine_folder
from lifecycle.evaluated import CANDIDATE, read
from lifecycle.evaluated_confidence import WORDS, read_words, write_words
from lifecycle.evaluation_report import write_report
from lifecycle.model_card import FILE as CARD
from lifecycle.model_version import make_model_version
from lifecycle.named_models import engine_of, model_calibrator
from lifecycle.results import write_results
from serving.confidence import CALIBRATOR, calibrator_beside, read_calibrator
from tests.lifecycle.evaluations import lay_down
from voiceforge.errors import IntegrityError
from voiceforge.files import read_json, sha256_file

DOMAIN = "telephony-en"


@pytest.fixture
def world(world: Any) -> Any:
    """With a dev split that suffices to fit on."""
    return replace(world, more_dev=60)


def test_it_is_fitted_on_dev_alone_and_judged_on_test(world: Any) -> None:
    world.train("first", 4)
    made = world.workspace.current(calibration.STAGE)
    rows = {row["level"]: row for row in made.summary["levels"]}
    dev = predictions.read(world.workspace.current(predictions.DEV))
    sides = {row.id: row.split for row in splits.read_splits(world.workspace)}
    assert {sides[row.utterance_id] for row in dev} == {"dev"}
    test = predictions.read(world.workspace.current(predictions.STAGE))
    assert (rows["utterance"]["fitted_on"], rows["utterance"]["units"]) == (len(dev), len(test))
    found = ModelCalibrator.from_dict(read_json(made.path / CALIBRATOR))
    assert found.fitted_on.audio == tuple(
        sorted(audio_key(row.audio_sha256) for row in world.rows() if row.split == "dev")
    )
    assert found.fitted_on.sha256 == world.workspace.current(predictions.DEV).sha256
    # Words of which it is 70% sure are nearly always right: that can be learned.
    assert rows["word"]["fitted"], rows["word"]
    assert rows["word"]["ece_after"] < rows["word"]["ece_before"]
    assert rows["word"]["ece_after_low"] <= rows["word"]["ece_after"]
    report = read_json(made.path / calibration.REPORT)
    assert report["word"]["raw"]["curve"] and report["word"]["calibrated"]["after"]["curve"]
    # What was said of test has no part in the calibrator.
    before = (made.path / CALIBRATOR).read_bytes()
    world.train("first", 4)
    assert make_calibration(world.workspace).reused
    assert (world.workspace.current(calibration.STAGE).path / CALIBRATOR).read_bytes() == before


def test_without_errors_on_dev_the_identity_is_stored_and_says_so(world: Any) -> None:
    world.train("first", 0)
    made = world.workspace.current(calibration.STAGE)
    found = ModelCalibrator.from_dict(read_json(made.path / CALIBRATOR))
    assert found.fitted == () and "0 are wrong" in found.word.unfitted
    assert [row["calibrator"] for row in made.summary["levels"]] == ["identity", "identity"]


def test_the_version_the_card_and_the_results_carry_it(world: Any) -> None:
    world.train("first", 4)
    version = make_model_version(world.workspace)
    own = world.workspace.current(calibration.STAGE).path / CALIBRATOR
    engine = world.registry.model_folder(DOMAIN, "1")
    beside = calibrator_beside(engine)
    assert beside is not None and beside.read_bytes() == own.read_bytes()
    (known,) = world.registry.versions(DOMAIN)
    assert known.tags["calibrator"] == sha256_file(own)[:16]
    (word,) = (
        row
        for row in world.workspace.current(calibration.STAGE).summary["levels"]
        if row["level"] == "word"
    )
    text = (version.path / CARD).read_text()
    (line,) = (line for line in text.splitlines() if line.startswith("| words |"))
    assert f"{word['ece_before']:.3f} [" in line and f"{word['ece_after']:.3f} [" in line
    write_results(world.workspace, "evaluation")
    results = world.settings.project / "results" / DOMAIN / "metrics.json"
    assert read_json(results)["calibration"]["word"]["ece_after"] == word["ece_after"]


def test_a_version_of_before_gets_its_calibrator_and_keeps_its_number(world: Any) -> None:
    world.train("first", 4)
    make_model_version(world.workspace)
    engine = world.registry.model_folder(DOMAIN, "1")
    beside = calibrator_beside(engine)
    assert beside is not None
    own = beside.read_bytes()
    beside.unlink()
    make_model_version(world.workspace)
    assert calibrator_beside(engine) == beside and beside.read_bytes() == own
    assert len(world.registry.versions(DOMAIN)) == 1


def test_a_calibrator_of_another_engine_is_refused(world: Any, tmp_path: Path) -> None:
    world.train("first", 4)
    make_model_version(world.workspace)
    path = world.workspace.current(calibration.STAGE).path / CALIBRATOR
    with pytest.raises(IntegrityError, match="this is engine 000000000000"):
        read_calibrator(path, "0" * 64)
    fields = {**read_json(path), "engine_sha256": "f" * 64}
    (tmp_path / CALIBRATOR).write_text(json.dumps(fields))
    with pytest.raises(IntegrityError, match="confidences of engine ffffffffffff"):
        world.registry.attach_calibrator(DOMAIN, "1", tmp_path / CALIBRATOR)
    (tmp_path / CALIBRATOR).write_text("{}")
    with pytest.raises(IntegrityError, match="has the schema None"):
        read_calibrator(tmp_path / CALIBRATOR, "f" * 64)
    (tmp_path / CALIBRATOR).write_text("null")
    with pytest.raises(IntegrityError, match="holds no calibrators of a model: it is None"):
        read_calibrator(tmp_path / CALIBRATOR, "f" * 64)


def test_a_command_says_that_a_version_lost_its_calibrator(world: Any) -> None:
    world.train("first", 4)
    make_model_version(world.workspace)
    engine, name = engine_of(world.settings, f"models:/{DOMAIN}@challenger")
    assert model_calibrator(world.settings, engine, name) == own_calibrator(world)
    beside = calibrator_beside(engine)
    assert beside is not None
    beside.unlink()
    with pytest.raises(IntegrityError, match="the file is gone"):
        model_calibrator(world.settings, engine, name)
    assert model_calibrator(world.settings, engine, str(engine)) is None


def own_calibrator(world: Any) -> ModelCalibrator:
    path = world.workspace.current(calibration.STAGE).path / CALIBRATOR
    return ModelCalibrator.from_dict(read_json(path))


def evaluation(world: Any, folder: Path, sides: Sequence[str], fields: dict[str, Any]) -> Path:
    """What the engine said of some splits, as `voiceforge evaluate` leaves it."""
    stages = {"dev": predictions.DEV, "test": predictions.STAGE}
    rows = [row for side in sides for row in predictions.utterances_of(world.workspace, side)]
    heard = [
        row for side in sides for row in predictions.read(world.workspace.current(stages[side]))
    ]
    lay_down(folder, rows, {CANDIDATE: heard}, name=DOMAIN, calibrator=fields)
    keep_words(world, folder)
    return folder


def keep_words(world: Any, folder: Path) -> None:
    engine = engine_folder(world.workspace.current(ENGINE))
    write_words(folder, engine, folder / "predictions" / "candidate.parquet", "en")


def test_what_it_was_fitted_on_is_not_shown_as_calibrated(world: Any, tmp_path: Path) -> None:
    world.train("first", 4)
    fields = own_calibrator(world).as_dict()
    folder = evaluation(world, tmp_path / "dev", ["dev"], fields)
    found = write_report(read(folder), folder, resamples=200).report.calibration
    assert found is not None and found.word is not None
    dev = len(predictions.utterances_of(world.workspace, "dev"))
    assert found.word.calibrated is None
    assert found.word.unfitted == f"{dev} utterances: the calibrator was fitted on them"
    page = (folder / "report.html").read_text()
    assert f"not applied: {found.word.unfitted}" in page and "went through the cal" not in page

    # Beside other speech those are left out, and counted.
    folder = evaluation(world, tmp_path / "both", ["dev", "test"], fields)
    found = write_report(read(folder), folder, resamples=200).report.calibration
    alone = evaluation(world, tmp_path / "test", ["test"], fields)
    test = write_report(read(alone), alone, resamples=200).report.calibration
    assert found is not None and found.word is not None and found.word.calibrated is not None
    assert test is not None and test.word is not None and test.word.calibrated is not None
    assert found.word.calibrated.after.units == test.word.raw.units < found.word.raw.units
    assert found.word.calibrated.ece == test.word.calibrated.ece
    assert found.word.calibrated.after.left_out[-1] == ("the calibrator was fitted on them", dev)
    page = (folder / "report.html").read_text()
    assert f"left out of what is calibrated</dt><dd>{dev} utterances: the calibrator" in page


def test_words_are_those_of_predictions_that_were_heard_anew(world: Any, tmp_path: Path) -> None:
    world.train("first", 4)
    folder = evaluation(world, tmp_path / "it", ["test"], own_calibrator(world).as_dict())
    before = (folder / WORDS).stat().st_mtime_ns
    keep_words(world, folder)
    assert (folder / WORDS).stat().st_mtime_ns == before
    table = folder / "predictions" / "candidate.parquet"
    heard = [replace(row, hypothesis="please press one") for row in read_predictions(table)]
    write_predictions(table, heard)
    keep_words(world, folder)
    split = read_words(folder)
    assert split is not None
    assert [word for word, _ in split("please press one")] == ["please", "press", "one"]
