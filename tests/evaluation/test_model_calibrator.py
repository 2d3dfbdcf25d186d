"""What is stored with a model: fitted where the speech suffices, and honest where it does not."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from data.features import HEARD_WHOLE
from data.utterance import Utterance
from evaluation.calibration import expected_calibration_error
from evaluation.calibrator import fit_kind
from evaluation.confidence import Judged, Level, judged
from evaluation.model_calibrator import (
    LEAST_OUTCOMES,
    LEAST_TEXTS,
    LEVELS,
    FittedOn,
    ModelCalibrator,
    fit_level,
)
from evaluation.prediction import Prediction
from evaluation.recalibration import recalibrate
from evaluation.reports.confidence import (
    Applied,
    ConfidenceReport,
    confidence_report,
    evaluated_confidence,
)
from evaluation.slices import Resampling, Scored, score

ON = FittedOn(
    "dev", "0" * 64, 90, {"utterance": {}, "word": {"why": 2}}, "en", {"name": "raw"}, ("sound 0",)
)


def units(seed: int, texts: int, *, scale: float, of_each: int = 4) -> Judged:
    """A model whose logits are `scale` times the truth's: above 1 it is too sure."""
    generator = np.random.default_rng(seed)
    logits = generator.normal(1.0, 1.5, of_each * texts)
    right = generator.random(len(logits)) < 1.0 / (1.0 + np.exp(-logits))
    return judged(1.0 / (1.0 + np.exp(-scale * logits)), right, np.repeat(range(texts), of_each))


def stored(utterance: Judged | None, word: Judged | None) -> ModelCalibrator:
    levels = (fit_level(utterance, "utterance", seed=1), fit_level(word, "word", seed=1))
    return ModelCalibrator("e" * 64, ON, *levels)


def test_a_model_that_is_too_sure_is_calibrated_on_other_speech() -> None:
    found = stored(units(1, 200, scale=3.0), units(2, 200, scale=3.0))
    assert found.fitted == ("utterance", "word")
    test = units(3, 300, scale=3.0)
    changed = recalibrate(test, found.word.calibrator, confidence=0.95, resamples=400, seed=1)
    before, after = changed.ece["before"], changed.ece["after"]
    assert before.value == pytest.approx(expected_calibration_error(test, 15, "equal-width"))
    assert before.value > 0.1
    assert after.value == pytest.approx(changed.after.ece) and after.value < 0.06
    assert changed.ece["change"].value == pytest.approx(after.value - before.value)
    assert changed.ece["change"].high < 0 and changed.log_loss["change"].high < 0
    assert before.low < before.value < before.high
    assert changed.after.auroc is None  # the same as before: no order is turned around


def test_ece_intervals_hold_the_error_of_every_draw_of_texts() -> None:
    """Against drawing the texts themselves."""
    test = units(4, 60, scale=2.0)
    calibrator = fit_kind("platt", units(5, 200, scale=2.0), "word")
    found = recalibrate(test, calibrator, bins=10, confidence=0.9, resamples=2000, seed=1)
    generator = np.random.default_rng(2)
    drawn = []
    for _ in range(1000):
        rows = np.concatenate(
            [np.flatnonzero(test.clusters == text) for text in generator.integers(0, 60, 60)]
        )
        part = Judged(test.confidence[rows], test.correct[rows], test.clusters[rows])
        drawn.append(expected_calibration_error(part, 10, "equal-width"))
    low, high = np.quantile(drawn, [0.05, 0.95])
    assert found.ece["before"].low == pytest.approx(low, abs=0.01)
    assert found.ece["before"].high == pytest.approx(high, abs=0.01)


@pytest.mark.parametrize(
    ("of", "why"),
    [
        (None, "no word could be judged"),
        (units(1, LEAST_TEXTS - 1, scale=3.0, of_each=20), f"{LEAST_TEXTS} texts are needed"),
        (judged([0.9] * 300, [True] * 300), "0 are wrong, and at least"),
        (judged([0.9] * 300, [False] * 300), "300 are wrong, and at least"),
        (
            judged([0.9] * 300, [True] * 291 + [False] * (LEAST_OUTCOMES - 1)),
            f"at least {LEAST_OUTCOMES} that are wrong",
        ),
    ],
)
def test_too_little_speech_leaves_the_confidence_as_it_is_and_says_why(
    of: Judged | None, why: str
) -> None:
    found = fit_level(of, "word", seed=1)
    assert not found.fitted and why in found.unfitted
    assert found.calibrator.kind == "identity"
    assert found.calibrator.apply([0.25]).tolist() == [0.25]


def test_a_confidence_that_nothing_betters_is_not_called_a_probability() -> None:
    found = fit_level(units(7, 60, scale=1.0), "utterance", seed=1)
    assert found.calibrator.kind == "identity" and found.calibrator.held_out
    assert "none was shown to be better" in found.unfitted and not found.fitted


def test_what_is_stored_comes_back_from_json() -> None:
    found = stored(units(1, 200, scale=3.0), None)
    assert ModelCalibrator.from_dict(json.loads(json.dumps(found.as_dict()))) == found
    assert found.fitted == ("utterance",)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"schema": 2}, "has the schema 2"),
        ({"utterance": None}, "holds no calibrators"),
        ({"fitted_on": {"split": "dev"}}, "holds no calibrators"),
        ({"swap": True}, "of a utterance is one of a word"),
        ({"unfitted": "too little"}, "is platt, and is said not to be"),
    ],
)
def test_what_is_no_calibrator_is_refused(change: dict[str, Any], words: str) -> None:
    fields = stored(units(1, 200, scale=3.0), units(2, 200, scale=3.0)).as_dict()
    if change.pop("swap", False):
        fields["utterance"] = fields["word"]
    if "unfitted" in change:
        fields["word"] |= {"unfitted": change.pop("unfitted")}
        fields["word"]["calibrator"] |= {"kind": "platt", "parameters": [1.0, 0.0]}
    with pytest.raises(ValueError, match=words):
        ModelCalibrator.from_dict({**fields, **change})


def test_the_report_has_both_levels_and_says_why_one_has_no_calibrator() -> None:
    own = stored(units(1, 200, scale=3.0), None)
    test: dict[Level, Judged] = {
        "utterance": units(3, 100, scale=3.0),
        "word": units(4, 100, scale=3.0),
    }
    drawn = Resampling(0.95, 300, 1)
    unfit: dict[Level, str] = {"utterance": "", "word": own.word.unfitted}
    applied = Applied(own, {"utterance": test["utterance"]}, unfit)
    report = confidence_report(test, applied, drawn)
    assert report is not None and report.utterance is not None and report.word is not None
    assert report.utterance.calibrated is not None
    assert report.utterance.calibrated.after.ece < report.utterance.raw.ece
    assert report.word.calibrated is None and report.word.unfitted == own.word.unfitted
    without = confidence_report(test, None, drawn)
    assert without is not None and without.utterance is not None
    assert without.utterance.raw == report.utterance.raw and not without.utterance.unfitted
    assert confidence_report({}, applied, drawn) is None


@pytest.mark.parametrize("fields", [[], "calibrator", None, 7, [{"schema": 1}]])
def test_json_that_is_no_object_is_refused_like_any_other(fields: Any) -> None:
    with pytest.raises(ValueError, match="holds no calibrators of a model: it is"):
        ModelCalibrator.from_dict(fields)


def test_a_calibrator_is_for_clips_in_the_language_that_it_was_fitted_on() -> None:
    found = stored(units(1, 200, scale=3.0), units(2, 200, scale=3.0))
    assert [found.unfit(level, HEARD_WHOLE, "en") for level in LEVELS] == ["", ""]
    assert "longer than the 25 s" in found.unfit("utterance", HEARD_WHOLE + 0.1, "en")
    assert found.unfit("word", 3600.0, "en") == ""
    for level in LEVELS:
        assert found.unfit(level, 3.0, "fr") == "it was fitted on speech in 'en', not in 'fr'"
    none = stored(None, None)
    assert none.unfit("word", 3.0, "en") == none.word.unfitted


def heard_rows(count: int) -> tuple[list[Prediction], list[Scored]]:
    """Two words each, of which it is less sure where "two" should be "too"; the last is long."""
    rows = [
        Utterance(
            id=f"u{n}", audio="", duration=3.0 if n < count - 1 else HEARD_WHOLE + 1,
            text=f"press {'too' if n % 3 == 0 else 'two'}", language="en", accent="en",
            speaker="kim", domain="d", source="test", licence="CC0-1.0", consent="granted",
            split="test", is_synthetic=False, audio_sha256=f"sound {n}",
        )
        for n in range(count)
    ]  # fmt: skip
    said = [
        Prediction(row.id, row.text, "press two", (-0.1, -0.9 if "too" in row.text else -0.2),
                   row.duration, 0.1)
        for row in rows
    ]  # fmt: skip
    return said, list(score(said, rows, normaliser="raw", language="en"))


def test_what_it_was_fitted_on_and_what_is_long_has_no_part_in_what_is_calibrated() -> None:
    own = stored(units(1, 200, scale=3.0), units(2, 200, scale=3.0))
    said, rows = heard_rows(12)

    def evaluated(
        calibrator: ModelCalibrator | None, rows: list[Scored], language: str = "en"
    ) -> ConfidenceReport:
        found = evaluated_confidence(
            said, rows, lambda text: [(word, 1) for word in text.split()], str,
            calibrator=calibrator, language=language, resampling=Resampling(0.95, 200, 1),
        )  # fmt: skip
        assert found is not None
        return found

    found = evaluated(own, rows)
    assert found.utterance is not None and found.word is not None
    assert (found.utterance.raw.units, found.word.raw.units) == (12, 24)
    assert found.utterance.raw == evaluated(None, rows).utterance.raw  # type: ignore[union-attr]
    assert found.utterance.calibrated is not None and found.word.calibrated is not None
    utterances, words = found.utterance.calibrated.after, found.word.calibrated.after
    assert (utterances.units, words.units) == (10, 22)
    fitted_on = ("the calibrator was fitted on them", 1)
    assert words.left_out == (fitted_on,)
    long = own.unfit("utterance", HEARD_WHOLE + 1, "en")
    assert utterances.left_out == ((long, 1), fitted_on)
    # Before and after are of the same units, so of those alone.
    alone = evaluated(own, rows[1:-1])
    assert alone.utterance is not None and alone.utterance.calibrated is not None
    assert found.utterance.calibrated.ece == alone.utterance.calibrated.ece
    assert alone.utterance.calibrated.after.left_out == ()

    for calibrator, some, language, why in (
        (own, rows[:1], "en", "1 utterances: the calibrator was fitted on them"),
        (own, rows, "fr", "it was fitted on speech in 'en', not in 'fr'"),
        (replace(own, fitted_on=replace(ON, audio=None)), rows, "en", "does not say which record"),
    ):
        found = evaluated(calibrator, some, language)
        for level in found.levels.values():
            assert level.calibrated is None and why in level.unfitted
