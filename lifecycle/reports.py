"""Stages accuracy, accent and latency report: what the predictions say, for people and gates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict

from data.utterance import Utterance
from lifecycle import engine as engines
from lifecycle import predictions
from lifecycle.artifacts import Artifact
from lifecycle.evaluated_texts import domain_texts
from lifecycle.replacements import normaliser_of, replacements_of
from lifecycle.workspace import Workspace
from voiceforge.files import read_json, write_json

if TYPE_CHECKING:
    from evaluation.replacements import Replacements
    from evaluation.reports.accent import AccentReport
    from evaluation.reports.accuracy import AccuracyReport
    from evaluation.reports.latency import LatencyReport
    from evaluation.reports.terms import TermReport

ACCURACY = "accuracy_report"
ACCENT = "accent_report"
LATENCY = "latency_report"
VERSION = 1
FILE = "report.json"
TERMS_FILE = "terms.json"
_REPEATS = 2


def make_accuracy_report(workspace: Workspace) -> Artifact:
    """Word error rates overall, of people and of synthetic speech, beside the base model's."""
    return _from_predictions(workspace, ACCURACY)


def make_accent_report(workspace: Workspace) -> Artifact:
    """Word error rates accent by accent, beside the base model's."""
    return _from_predictions(workspace, ACCENT)


def make_latency_report(workspace: Workspace) -> Artifact:
    """Seconds per clip and throughput of the engine and the base engine, measured here and now."""
    from evaluation.runners import machine_name
    from serving.engines import engine_sha256
    from serving.engines.contracts import DECODING_VERSION

    params = workspace.domain.evaluation
    ours, base = (
        engines.engine_folder(workspace.current(stage)) for stage in (engines.STAGE, engines.BASE)
    )

    def build(folder: Path, _: Path) -> Mapping[str, Any]:
        from evaluation.reports.latency import latency_report

        report = latency_report(
            _measure(workspace, ours, "fine-tuned"),
            _measure(workspace, base, "base"),
            candidate_name=f"{workspace.domain.name} engine",
            baseline_name=workspace.domain.base_model,
        )
        write_json(folder / FILE, report.as_dict())
        return {
            "p50_seconds": report.candidate_latency.seconds.p50,
            "p95_seconds": report.candidate_latency.seconds.p95,
            "base_p50_seconds": report.baseline_latency.seconds.p50,
            "base_p95_seconds": report.baseline_latency.seconds.p95,
            "rtfx_batch": report.candidate_latency.rtfx_batch,
            "base_rtfx_batch": report.baseline_latency.rtfx_batch,
            "speedup": report.speedup,
            "speedup_batch": report.speedup_batch,
            "clips": report.candidate_latency.clips,
            "machine": report.candidate_latency.machine,
        }

    return workspace.make(
        LATENCY,
        VERSION,
        {
            engines.STAGE: engine_sha256(ours),
            engines.BASE: engine_sha256(base),
            "splits": workspace.current("splits").sha256,
        },
        {
            "machine": machine_name(),
            "threads": workspace.settings.threads,
            "clips": params.latency_clips,
            "batch_size": params.batch_size,
            "decoding": DECODING_VERSION,
        },
        build,
    )


def read_accuracy(workspace: Workspace) -> AccuracyReport:
    from evaluation.reports.accuracy import AccuracyReport

    return AccuracyReport.from_dict(read_json(workspace.current(ACCURACY).path / FILE))


def read_accents(workspace: Workspace) -> AccentReport:
    from evaluation.reports.accent import AccentReport

    return AccentReport.from_dict(read_json(workspace.current(ACCENT).path / FILE))


def read_latency(workspace: Workspace) -> LatencyReport:
    from evaluation.reports.latency import LatencyReport

    return LatencyReport.from_dict(read_json(workspace.current(LATENCY).path / FILE))


def read_terms(workspace: Workspace) -> TermReport | None:
    """Recall and precision of the domain's vocabulary; None for a domain without one."""
    from evaluation.reports.accuracy import read_report
    from evaluation.reports.terms import TermReport

    path = workspace.current(ACCURACY).path / TERMS_FILE
    if not path.is_file():
        return None
    report: TermReport = read_report(TermReport, read_json(path))
    return report


def report_inputs(workspace: Workspace) -> dict[str, str]:
    """What the accuracy and accent reports are made from: stage -> sha256."""
    return {
        stage: workspace.current(stage).sha256
        for stage in (predictions.STAGE, predictions.BASE, "splits")
    } | {"normaliser": normaliser_of(workspace)["sha256"]}


def compare(
    workspace: Workspace, candidate: Artifact, baseline: Artifact, names: tuple[str, str]
) -> tuple[AccuracyReport, AccentReport]:
    """What two predictions artifacts say about each other on the test split.

    Args:
        names: of the candidate and the baseline, as pages show them.
    """
    from evaluation.reports.accent import accent_report
    from evaluation.reports.accuracy import accuracy_report

    params = workspace.domain.evaluation
    ours, theirs = predictions.read(candidate), predictions.read(baseline)
    utterances = predictions.test_utterances(workspace)
    shared: _Shared = {
        "candidate_name": names[0],
        "baseline_name": names[1],
        "normaliser": params.normaliser,
        "language": workspace.domain.language,
        "confidence": params.confidence,
        "resamples": params.resamples,
        "seed": params.seed,
        "replacements": replacements_of(workspace),
    }
    minimum = workspace.domain.gates.minimum_words
    return (
        accuracy_report(ours, theirs, utterances, **shared),
        accent_report(ours, theirs, utterances, **shared, minimum_words=minimum),
    )


def _from_predictions(workspace: Workspace, stage: str) -> Artifact:
    params = workspace.domain.evaluation
    parameters: dict[str, Any] = {
        "language": workspace.domain.language,
        "confidence": params.confidence,
        "resamples": params.resamples,
        "seed": params.seed,
        "minimum_words": workspace.domain.gates.minimum_words,
    }
    terms = domain_texts(workspace).terms if stage == ACCURACY else ()
    if terms:
        parameters["terms"] = list(terms)

    def build(folder: Path, _: Path) -> Mapping[str, Any]:
        accuracy, accents = compare(
            workspace,
            workspace.current(predictions.STAGE),
            workspace.current(predictions.BASE),
            (f"{workspace.domain.name} engine", workspace.domain.base_model),
        )
        report = accuracy if stage == ACCURACY else accents
        fields = report.as_dict()
        write_json(folder / FILE, fields)
        summary: dict[str, Any] = {"slices": [slice_row(part) for part in fields["slices"]]}
        if terms:
            counted = _count_terms(workspace, terms).as_dict()
            write_json(folder / TERMS_FILE, counted)
            summary["terms"] = [_term_row(part) for part in counted["slices"]]
        return summary

    return workspace.make(stage, VERSION, report_inputs(workspace), parameters, build)


def _count_terms(workspace: Workspace, terms: Sequence[str]) -> TermReport:
    from evaluation.reports.terms import term_report

    params = workspace.domain.evaluation
    return term_report(
        predictions.read(workspace.current(predictions.STAGE)),
        predictions.read(workspace.current(predictions.BASE)),
        predictions.test_utterances(workspace),
        terms,
        candidate_name=f"{workspace.domain.name} engine",
        baseline_name=workspace.domain.base_model,
        normaliser=params.normaliser,
        language=workspace.domain.language,
        confidence=params.confidence,
        resamples=params.resamples,
        seed=params.seed,
        replacements=replacements_of(workspace),
    )


def _term_row(part: Mapping[str, Any]) -> dict[str, Any]:
    """The terms in a slice as plain figures: shares are fractions; None rests on nothing."""
    row: dict[str, Any] = {"slice": _name(part["slice"])}
    for name in ("recall", "precision", "baseline", "gain"):
        rate = part[name]
        for key in ("value", "low", "high", "occurrences"):
            row[name if key == "value" else f"{name}_{key}"] = rate and rate[key]
    return row


class _Shared(TypedDict):
    candidate_name: str
    baseline_name: str
    normaliser: str
    language: str
    confidence: float
    resamples: int
    seed: int
    replacements: Replacements | None


def slice_row(part: Mapping[str, Any]) -> dict[str, Any]:
    """A slice of a report as plain figures: rates are fractions, `words` those of its interval."""
    rate, comparison = part["word_error_rate"], part["comparison"]
    row = {
        "slice": _name(part["slice"]),
        "word_error_rate": rate["value"],
        "low": rate["low"],
        "high": rate["high"],
        "words": rate["words"],
        "utterances": rate["utterances"],
    }
    if comparison:
        row |= {
            "base": comparison["baseline"]["value"],
            "base_low": comparison["baseline"]["low"],
            "base_high": comparison["baseline"]["high"],
            "difference": comparison["difference"]["value"],
            "difference_low": comparison["difference"]["low"],
            "difference_high": comparison["difference"]["high"],
            "reduction": (comparison["reduction"] or {}).get("value"),
            "compared_words": comparison["difference"]["words"],
        }
    return row


def _name(fields: Mapping[str, Any]) -> str:
    from evaluation.comparison import Slice

    return Slice(**fields).name


def evenly(rows: Sequence[Utterance], count: int) -> list[Utterance]:
    """At most `count` clips, spread evenly over the lengths that there are, ends included."""
    ordered = sorted(rows, key=lambda row: (row.duration, row.id))
    if len(ordered) <= count:
        return ordered
    last = len(ordered) - 1
    return [ordered[round(place * last / max(1, count - 1))] for place in range(count)]


def _measure(workspace: Workspace, engine: Path, message: str) -> Any:
    from data.audio import read_flac
    from evaluation.runners import measure_latency
    from serving.engines import load_engine

    params, threads = workspace.domain.evaluation, workspace.settings.threads
    workspace.report(LATENCY, 0, 0, f"timing the {message} engine")
    chosen = evenly(predictions.test_utterances(workspace), params.latency_clips)
    return measure_latency(
        load_engine(engine, threads=threads),
        [read_flac(workspace.corpus / row.audio) for row in chosen],
        repeats=_REPEATS,
        threads=threads,
        batch_size=params.batch_size,
    )
