"""An evaluation's report: one model, or two beside each other, on whatever speech it was given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from data.utterance import Utterance
from evaluation.calibration import Calibration, measure_calibration
from evaluation.confidence import judge_utterances
from evaluation.cuts import DIMENSIONS, Dimension, cut, facts_of
from evaluation.mapsswe import Mapsswe
from evaluation.marks import MarkScore, mark_scores, mark_table
from evaluation.metrics import WordErrors, character_counts, pooled, utterance_counts
from evaluation.pairing import matched_pairs, paired_rows
from evaluation.prediction import Prediction
from evaluation.reports.robustness import Robustness
from evaluation.scan import scan
from evaluation.scanned import Question, Scan
from evaluation.slices import Resampling, Scored, score
from evaluation.verdict import Answer

_BINS, _UNITS_IN_BIN = 15, 20
SHOWN = 300
"""Utterances that a page lists at most."""


@dataclass(frozen=True, slots=True)
class ModelFigures:
    """Plain figures of one model over all that it heard; rates are in the scan, with intervals.

    Attributes:
        words: counts of words, of which WER, MER and WIL follow.
        characters: counts of characters.
        silent: utterances with words for which it said nothing.
        invented: words that it said where the reference has none.
        marks: punctuation by kind and capitals, on the texts as they were written.
        audio_seconds: heard.
        compute_seconds: that it took, on the machine and threads of the run.
    """

    name: str
    words: WordErrors
    characters: WordErrors
    silent: int
    invented: int
    marks: Mapping[str, MarkScore]
    audio_seconds: float
    compute_seconds: float

    @property
    def rates(self) -> dict[str, float]:
        """WER, CER, MER and WIL as fractions."""
        return {
            "word error rate": self.words.rate,
            "character error rate": self.characters.rate,
            "match error rate": self.words.match_error_rate,
            "word information lost": self.words.information_lost,
        }

    @property
    def real_time_factor(self) -> float:
        """Seconds of computing for a second of audio."""
        return self.compute_seconds / self.audio_seconds if self.audio_seconds else 0.0


@dataclass(frozen=True, slots=True)
class Listed:
    """An utterance to look at; texts are normalised.

    Attributes:
        audio: path as in the utterance.
        places: the slices that it lies in, by dimension.
        baseline, baseline_errors: of the second model; None without one.
    """

    utterance_id: str
    audio: str
    seconds: float
    places: Mapping[Dimension, str]
    reference: str
    hypothesis: str
    errors: int
    words: int
    baseline: str | None
    baseline_errors: int | None


@dataclass(frozen=True, slots=True)
class EvaluationReport:
    """What two models, or one, make of some speech.

    Attributes:
        normaliser: name, version and sha256 of the rules that texts went through.
        baseline: None where a single model was evaluated.
        answer: whether the candidate is better; None without a baseline.
        answered: the same in words, with its figures; "" without a baseline.
        matched_pairs: NIST's test on the same utterances; None without a baseline.
        calibration: of the candidate's confidence in whole utterances (the mean of its tokens'
            log-probabilities); None where its engine gives no log-probabilities.
        robustness: of the candidate and the baseline under test conditions, if they heard them.
        listed: utterances with errors, most errors first, at most `SHOWN`.
        with_errors: how many utterances have errors.
    """

    language: str
    normaliser: Mapping[str, str]
    candidate: ModelFigures
    baseline: ModelFigures | None
    answer: Answer | None
    answered: str
    scan: Scan
    matched_pairs: Mapsswe | None
    calibration: Calibration | None
    listed: tuple[Listed, ...]
    with_errors: int
    robustness: tuple[Robustness, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        fields = asdict(self)
        for name in ("candidate", "baseline"):
            model: ModelFigures | None = getattr(self, name)
            if model is not None:
                fields[name] |= {"rates": model.rates, "real_time_factor": model.real_time_factor}
        return fields


def evaluation_report(
    candidate: Sequence[Prediction],
    baseline: Sequence[Prediction] | None,
    utterances: Sequence[Utterance],
    *,
    names: tuple[str, str],
    normaliser: Mapping[str, str],
    language: str,
    resampling: Resampling,
    snr: Mapping[str, float | None] | None = None,
    question: Question | None = None,
    robustness: Sequence[Robustness] = (),
) -> EvaluationReport:
    """Derive everything from predictions.

    Args:
        candidate: of the model reported on; each utterance at most once.
        baseline: of a second model; what only one of them heard is left out.
        names: of both.
        normaliser: of `evaluation.text.normaliser_identity`.
        snr: signal-to-noise ratio in dB by utterance id, as far as it is known.
        question: see `evaluation.scanned`.
        robustness: of `evaluation.reports.robustness`, passed on.

    Raises:
        ValueError: no reference words, or predictions that do not belong together.
    """
    how = {"normaliser": normaliser["name"], "language": language}
    rows = list(score(candidate, utterances, **how))
    others: list[Scored] | None = None
    if baseline is not None:
        rows, others = paired_rows(rows, score(baseline, utterances, **how), shared_only=True)
    if not any(row.words for row in rows):
        raise ValueError("No utterance has a reference with words in it to compare with.")
    facts = facts_of([row.utterance for row in rows], [row.words for row in rows], snr or {})
    dimensions = [name for name in DIMENSIONS if name != "snr" or snr]
    found = scan(
        rows, others, facts, resampling=resampling, question=question, dimensions=dimensions
    )
    places = {name: cut(facts, name) for name in dimensions}
    verdict = found.overall.verdict
    compared = others is not None
    return EvaluationReport(
        language=language,
        normaliser=normaliser,
        candidate=_figures(names[0], rows, candidate, language),
        baseline=_figures(names[1], others, baseline, language) if others and baseline else None,
        answer=(verdict.answer if verdict else "cannot tell") if compared else None,
        answered=(verdict.text if verdict else f"Cannot tell: {found.overall.too_small}.")
        if compared
        else "",
        scan=found,
        matched_pairs=matched_pairs(rows, others) if others else None,
        calibration=_calibration(rows, candidate, resampling),
        listed=_listed(rows, others, places),
        with_errors=sum(row.errors > 0 for row in rows),
        robustness=tuple(robustness),
    )


def _calibration(
    rows: Sequence[Scored], predictions: Sequence[Prediction], resampling: Resampling
) -> Calibration | None:
    by_id = {row.utterance_id: row for row in predictions}
    heard = [by_id[row.utterance.id] for row in rows]
    if any(row.hypothesis.strip() and not row.token_logprobs for row in heard):
        return None
    of = judge_utterances(heard, rows)
    if not len(of):
        return None
    bins = max(2, min(_BINS, len(of) // _UNITS_IN_BIN))
    return measure_calibration(of, "utterance", bins=bins, **asdict(resampling))


def _figures(
    name: str, rows: Sequence[Scored], predictions: Sequence[Prediction], language: str
) -> ModelFigures:
    kept = {row.utterance.id for row in rows}
    heard = [row for row in predictions if row.utterance_id in kept]
    references, hypotheses = [row.reference for row in rows], [row.hypothesis for row in rows]
    written = [row.reference for row in heard], [row.hypothesis for row in heard]
    return ModelFigures(
        name=name,
        words=pooled(utterance_counts(references, hypotheses)),
        characters=pooled(character_counts(references, hypotheses)),
        silent=sum(bool(row.words) and not row.hypothesis for row in rows),
        invented=sum(row.errors for row in rows if not row.words),
        marks=mark_scores(mark_table(*written, language)),
        audio_seconds=sum(row.audio_seconds for row in heard),
        compute_seconds=sum(row.compute_seconds for row in heard),
    )


def _listed(
    rows: Sequence[Scored],
    others: Sequence[Scored] | None,
    places: Mapping[Dimension, Sequence[str | None]],
) -> tuple[Listed, ...]:
    wrong = [number for number, row in enumerate(rows) if row.errors]
    wrong.sort(key=lambda number: (-rows[number].errors, rows[number].utterance.id))
    found = []
    for number in wrong[:SHOWN]:
        row, other = rows[number], others[number] if others else None
        found.append(
            Listed(
                utterance_id=row.utterance.id,
                audio=row.utterance.audio,
                seconds=row.utterance.duration,
                places={
                    name: label
                    for name, labels in places.items()
                    if (label := labels[number]) is not None
                },
                reference=row.reference,
                hypothesis=row.hypothesis,
                errors=row.errors,
                words=row.words,
                baseline=other.hypothesis if other else None,
                baseline_errors=other.errors if other else None,
            )
        )
    return tuple(found)
