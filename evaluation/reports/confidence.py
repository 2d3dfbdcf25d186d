"""What a model's confidence is worth: of utterances and of words, as it is and calibrated."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace

from evaluation.calibration import Calibration, measure_calibration
from evaluation.confidence import Judged, Level, Words, judge_utterances, judge_words
from evaluation.model_calibrator import LEVELS, ModelCalibrator, audio_key
from evaluation.prediction import Prediction
from evaluation.recalibration import Recalibration, recalibrate
from evaluation.slices import Resampling, Scored

Split = Callable[[str], Words]
"""A hypothesis into its words, each with its number of tokens; see `evaluation.word_tokens`."""

RESAMPLES = 1_000
"""Draws behind intervals at most: areas under curves are dear, and no p-value hangs on these."""

_BINS, _UNITS_IN_BIN = 15, 20


@dataclass(frozen=True, slots=True)
class LevelConfidence:
    """Confidences of utterances, or of words.

    Attributes:
        raw: as the engine gives them: the mean probability of the tokens.
        calibrated: through the calibrator that is stored with the model, before and after it; None
            without one. Of fewer units than `raw` where some cannot judge it: `left_out` of
            `calibrated.after` has them.
        unfitted: why nothing is calibrated although the model has a calibrator; else "".
    """

    raw: Calibration
    calibrated: Recalibration | None
    unfitted: str = ""


@dataclass(frozen=True, slots=True)
class ConfidenceReport:
    """Both levels; None where nothing could be judged."""

    utterance: LevelConfidence | None
    word: LevelConfidence | None

    @property
    def levels(self) -> Mapping[Level, LevelConfidence]:
        """Those that could be judged."""
        both: dict[Level, LevelConfidence | None] = {"utterance": self.utterance, "word": self.word}
        return {level: one for level, one in both.items() if one is not None}


def judge_levels(
    predictions: Sequence[Prediction],
    rows: Sequence[Scored],
    split: Split | None,
    normalise: Callable[[str], str],
) -> dict[Level, Judged]:
    """Which utterances and words are right, with their confidences; levels without any are absent.

    Args:
        predictions: of one model, with all of `rows` among them.
        rows: scored from them, in any order.
        split: None where the model's tokens cannot be told apart by word.
        normalise: the rules of `rows`.

    Raises:
        ValueError: log-probabilities that cannot be.
    """
    by_id = {one.utterance_id: one for one in predictions}
    heard = [by_id[row.utterance.id] for row in rows]
    if any(one.hypothesis.strip() and not one.token_logprobs for one in heard):
        return {}
    found: dict[Level, Judged] = {"utterance": judge_utterances(heard, rows)}
    if split is not None:
        found["word"] = judge_words(heard, rows, split, normalise)
    return {level: of for level, of in found.items() if len(of)}


@dataclass(frozen=True, slots=True)
class Applied:
    """A model's calibrator, and what it can be judged by.

    Attributes:
        judged: units whose confidences the service would send through it, and that it was not
            fitted on; levels without any are absent. `left_out` counts what is missing.
        unfit: why it is applied to nothing of a level, or can be judged by nothing.
    """

    calibrator: ModelCalibrator
    judged: Mapping[Level, Judged]
    unfit: Mapping[Level, str]


def apply_calibrator(
    calibrator: ModelCalibrator,
    judged: Mapping[Level, Judged],
    predictions: Sequence[Prediction],
    rows: Sequence[Scored],
    split: Split | None,
    normalise: Callable[[str], str],
    language: str,
) -> Applied:
    """What a calibrator can be judged by: other speech than it was fitted on, if it is for it.

    Args:
        calibrator: the model's own.
        judged: of `judge_levels`, of the same.
        predictions, rows, split, normalise: as in `judge_levels`.
        language: ISO 639-1 code that the speech was heard in.

    Raises:
        ValueError: as `judge_levels`.
    """
    found: dict[Level, Judged] = {}
    unfit: dict[Level, str] = {}
    fitted_on = calibrator.fitted_on.audio
    for level in LEVELS:
        unfit[level] = calibrator.unfit(level, 0.0, language)
        if not unfit[level] and fitted_on is None:
            unfit[level] = (
                "it does not say which recordings it was fitted on, which may be these; "
                "`voiceforge run` fits one that does"
            )
        if unfit[level]:
            continue
        known = set(fitted_on or ())
        reasons = [
            "the calibrator was fitted on them"
            if audio_key(row.utterance.audio_sha256) in known
            else calibrator.unfit(level, row.utterance.duration, language)
            for row in rows
        ]
        kept = [row for row, reason in zip(rows, reasons, strict=True) if not reason]
        counts = Counter(reason for reason in reasons if reason)
        others = judge_levels(predictions, kept, split, normalise) if counts else judged
        if (of := others.get(level)) is not None:
            found[level] = replace(of, left_out=(*of.left_out, *sorted(counts.items())))
        else:
            unfit[level] = "; ".join(f"{n:,} utterances: {why}" for why, n in counts.items())
    return Applied(calibrator, found, unfit)


def evaluated_confidence(
    predictions: Sequence[Prediction],
    rows: Sequence[Scored],
    split: Split | None,
    normalise: Callable[[str], str],
    *,
    calibrator: ModelCalibrator | None,
    language: str,
    resampling: Resampling,
) -> ConfidenceReport | None:
    """Judge and measure each level; None where there is nothing to measure.

    Args:
        predictions, rows, split, normalise: as in `judge_levels`.
        calibrator: the model's own, None without one.
        language: ISO 639-1 code that the speech was heard in.

    Raises:
        ValueError: as `judge_levels`.
    """
    judged = judge_levels(predictions, rows, split, normalise)
    applied = (
        apply_calibrator(calibrator, judged, predictions, rows, split, normalise, language)
        if calibrator is not None
        else None
    )
    return confidence_report(judged, applied, resampling)


def confidence_report(
    judged: Mapping[Level, Judged], applied: Applied | None, resampling: Resampling
) -> ConfidenceReport | None:
    """Measure each level; None where there is nothing to measure.

    Args:
        judged: of `judge_levels`.
        applied: of `apply_calibrator`, of the same predictions; None for a model without one.
    """
    drawn = asdict(replace(resampling, resamples=min(resampling.resamples, RESAMPLES)))

    def measure(level: Level) -> LevelConfidence | None:
        of = judged.get(level)
        if of is None:
            return None
        raw = measure_calibration(of, level, bins=_bins(of), **drawn)
        if applied is None:
            return LevelConfidence(raw, None)
        other = applied.judged.get(level)
        if other is None:
            return LevelConfidence(raw, None, applied.unfit[level])
        own = applied.calibrator.levels[level].calibrator
        return LevelConfidence(raw, recalibrate(other, own, bins=_bins(other), **drawn))

    report = ConfidenceReport(measure("utterance"), measure("word"))
    return report if report.levels else None


def _bins(of: Judged) -> int:
    return max(2, min(_BINS, len(of) // _UNITS_IN_BIN))
