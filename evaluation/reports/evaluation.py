"""An evaluation's report: one model, or two beside each other, on whatever speech it was given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from data.utterance import Utterance
from evaluation.cuts import DIMENSIONS, Dimension, cut, facts_of
from evaluation.forgetting import Forgetting, forgetting
from evaluation.mapsswe import Mapsswe
from evaluation.marks import MarkScore, mark_scores, mark_table
from evaluation.metrics import WordErrors, character_counts, pooled, utterance_counts
from evaluation.model_calibrator import ModelCalibrator
from evaluation.pairing import matched_pairs, paired_rows
from evaluation.prediction import Prediction
from evaluation.replacements import Replacements, replacing_identity, text_rules
from evaluation.reports.confidence import ConfidenceReport, Split, evaluated_confidence
from evaluation.reports.evaluated_latency import EvaluatedLatency
from evaluation.reports.evaluated_streaming import ModelStreaming
from evaluation.reports.evaluation_entities import EvaluatedEntities, evaluated_entities
from evaluation.reports.evaluation_terms import EvaluatedTerms, evaluated_terms
from evaluation.reports.robustness import Robustness
from evaluation.scan import scan
from evaluation.scanned import Question, Scan
from evaluation.slices import Resampling, Scored, score
from evaluation.translation import Bleu, bleu
from evaluation.verdict import Answer

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
        bleu: on the texts as they were written.
        marks: punctuation by kind and capitals, on the texts as they were written.
        audio_seconds: heard.
        compute_seconds: that it took, on the machine and threads of the run.
    """

    name: str
    words: WordErrors
    characters: WordErrors
    silent: int
    invented: int
    bleu: Bleu
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
        calibration: what the candidate's confidence in utterances and words is worth, as it is and
            through the calibrator that is stored with the model; None where its engine gives no
            log-probabilities.
        robustness: of the candidate and the baseline under test conditions, if they heard them.
        latency: of the models that were timed, None where none was.
        streaming: of the models that were streamed.
        listed: utterances with errors, most errors first, at most `SHOWN`.
        with_errors: how many utterances have errors.
        entities: numbers, dates and names of the texts as they were written.
        terms: of a list; None where none was given.
        forgetting: of general speech beside a baseline; else None.
        unshared: utterances that the candidate heard and the baseline did not: they are left out.
    """

    language: str
    normaliser: Mapping[str, str]
    candidate: ModelFigures
    baseline: ModelFigures | None
    answer: Answer | None
    answered: str
    scan: Scan
    matched_pairs: Mapsswe | None
    calibration: ConfidenceReport | None
    listed: tuple[Listed, ...]
    with_errors: int
    unshared: int
    entities: EvaluatedEntities
    terms: EvaluatedTerms | None = None
    forgetting: Forgetting | None = None
    robustness: tuple[Robustness, ...] = ()
    latency: EvaluatedLatency | None = None
    streaming: tuple[ModelStreaming, ...] = ()

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
    replacements: Replacements | None = None,
    terms: Sequence[str] = (),
    terms_from: str = "",
    is_general: bool = False,
    words: Split | None = None,
    calibrator: ModelCalibrator | None = None,
    latency: EvaluatedLatency | None = None,
    streaming: Sequence[ModelStreaming] = (),
) -> EvaluationReport:
    """Derive everything from predictions.

    Args:
        candidate: of the model reported on; each utterance at most once.
        baseline: of a second model; what only one of them heard is left out.
        names: of both.
        normaliser: identity of the named normaliser; its `name` is what is applied.
        snr: signal-to-noise ratio in dB by utterance id, as far as it is known.
        question: see `evaluation.scanned`.
        robustness: of `evaluation.reports.robustness`, passed on.
        replacements: applied after the normaliser; its identity is then that of both.
        terms: to count, as they are written.
        terms_from: where they are from, as the user named it.
        is_general: whether the speech is general, so that losing on it is forgetting.
        words: the words of what the candidate said with their tokens; None where that is unknown.
        calibrator: that is stored with the candidate.
        latency, streaming: of `evaluated_latency` and `evaluated_streaming`, likewise.

    Raises:
        ValueError: no reference words, or predictions that do not belong together.
    """
    name = normaliser["name"]

    def scored(heard: Sequence[Prediction]) -> tuple[Scored, ...]:
        return score(
            heard, utterances, normaliser=name, language=language, replacements=replacements
        )

    rows = list(scored(candidate))
    others: list[Scored] | None = None
    if baseline is not None:
        rows, others = paired_rows(rows, scored(baseline), shared_only=True)
    if not any(row.words for row in rows):
        raise ValueError("No utterance has a reference with words in it to compare with.")
    facts = facts_of([row.utterance for row in rows], [row.words for row in rows], snr or {})
    dimensions = [name for name in DIMENSIONS if name != "snr" or snr]
    found = scan(
        rows, others, facts, resampling=resampling, question=question, dimensions=dimensions
    )
    places = {name: cut(facts, name) for name in dimensions}
    verdict = found.overall.verdict
    rules = text_rules(name, language, replacements)
    compared = others is not None
    heard, theirs = _of(rows, candidate), _of(others, baseline) if others and baseline else None
    return EvaluationReport(
        language=language,
        normaliser=replacing_identity(name, replacements),
        candidate=_figures(names[0], rows, heard, language),
        baseline=_figures(names[1], others, theirs, language) if others and theirs else None,
        answer=(verdict.answer if verdict else "cannot tell") if compared else None,
        answered=(verdict.text if verdict else f"Cannot tell: {found.overall.too_small}.")
        if compared
        else "",
        scan=found,
        matched_pairs=matched_pairs(rows, others) if others else None,
        calibration=evaluated_confidence(
            candidate, rows, words, rules, calibrator=calibrator, language=language,
            resampling=resampling,
        ),
        listed=_listed(rows, others, places),
        with_errors=sum(row.errors > 0 for row in rows),
        unshared=len(candidate) - len(rows),
        entities=evaluated_entities(
            rows, heard, theirs, language=language, resampling=resampling
        ),
        terms=evaluated_terms(
            rows, others, terms, normalise=rules, source=terms_from, resampling=resampling
        ) if terms else None,
        forgetting=forgetting(
            {language: (rows, others)}, resampling=resampling, question=question or Question()
        ) if others and is_general else None,
        robustness=tuple(robustness),
        latency=latency,
        streaming=tuple(streaming),
    )  # fmt: skip


def _of(rows: Sequence[Scored], predictions: Sequence[Prediction]) -> list[Prediction]:
    """The predictions behind scored rows, in their order."""
    by_id = {row.utterance_id: row for row in predictions}
    return [by_id[row.utterance.id] for row in rows]


def _figures(
    name: str, rows: Sequence[Scored], heard: Sequence[Prediction], language: str
) -> ModelFigures:
    references, hypotheses = [row.reference for row in rows], [row.hypothesis for row in rows]
    written = [row.reference for row in heard], [row.hypothesis for row in heard]
    return ModelFigures(
        name=name,
        words=pooled(utterance_counts(references, hypotheses)),
        characters=pooled(character_counts(references, hypotheses)),
        silent=sum(bool(row.words) and not row.hypothesis for row in rows),
        invented=sum(row.errors for row in rows if not row.words),
        bleu=bleu(*written, language),
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
