"""Stage evaluation report: everything that the predictions of a run say, slice by slice.

It is the report of `voiceforge evaluate` on the domain's test split, without hearing anything
again: `report.html` beside the base model on what both heard, `alone/report.html` on everything
that the fine-tuned engine heard. The artifact is a folder of an evaluation, so that
`voiceforge compare` takes it like any other.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lifecycle import calibration, predictions, reports, signal_to_noise
from lifecycle import engine as engines
from lifecycle.artifacts import Artifact
from lifecycle.evaluate import Asked, evaluate_engines
from lifecycle.evaluated import BASELINE, CANDIDATE, SNR, Evaluated
from lifecycle.evaluated_speech import GENERAL, domain_speech, read_speech
from lifecycle.evaluated_texts import domain_texts
from lifecycle.evaluation_report import PAGE, write_report
from lifecycle.heard import PREDICTIONS
from lifecycle.progress import told_as
from lifecycle.workspace import Workspace
from voiceforge.files import link_file

if TYPE_CHECKING:
    from lifecycle.evaluated_speech import Speech
    from lifecycle.evaluated_texts import Texts
    from lifecycle.evaluation_report import Written

STAGE = "evaluation_report"
VERSION = 1
ALONE = "alone"
"""Folder of the report on all that the engine heard."""


def make_evaluation_report(workspace: Workspace) -> Artifact:
    """Write both reports; nothing is heard."""
    ratios = signal_to_noise.make_signal_to_noise(workspace)

    def build(folder: Path, _: Path) -> Mapping[str, Any]:
        link_file(ratios.path / SNR, folder / SNR)
        said = {CANDIDATE: predictions.STAGE, BASELINE: predictions.BASE}
        for role, stage in said.items():
            table = workspace.current(stage).path / predictions.TABLE
            link_file(table, folder / PREDICTIONS / f"{role}.parquet")
        evaluated = evaluate_domain(workspace, STAGE, asked(workspace), folder)
        written = report(workspace, evaluated, folder)
        alone = report(workspace, _alone(evaluated), folder / ALONE)
        return {
            **summary(written),
            "alone": summary(alone)["candidate"],
            "utterances_with_errors": alone.report.with_errors,
        }

    inputs = reports.report_inputs(workspace)
    inputs[calibration.STAGE] = workspace.current(calibration.STAGE).sha256
    return workspace.make(STAGE, VERSION, inputs, statistics(workspace), build)


def page(artifact: Artifact) -> Path:
    """The page that people open."""
    return artifact.path / PAGE


def page_alone(artifact: Artifact) -> Path:
    """The page on all that the engine heard."""
    return artifact.path / ALONE / PAGE


def asked(workspace: Workspace, **more: Any) -> Asked:
    """The domain's engine beside its base model, on the test split."""
    domain = workspace.domain
    return Asked(
        domain.name,
        model=f"{domain.name} engine",
        baseline=domain.base_model,
        language=domain.language,
        sampled=True,
        **more,
    )


def evaluate_domain(workspace: Workspace, stage: str, wanted: Asked, out: Path) -> Evaluated:
    """Evaluate the domain's engine beside its base model's, as work of a stage.

    Speech and rules are those of the domain's artifacts and parameters, whatever else has its name.
    """
    ours, base = (
        engines.engine_folder(workspace.current(stage)) for stage in (engines.STAGE, engines.BASE)
    )
    found = {CANDIDATE: (ours, wanted.model), BASELINE: (base, str(wanted.baseline))}
    calibrator = calibration.calibrator_file(workspace)
    with told_as(workspace.domain.name, stage):
        speech, texts = _speech_and_texts(workspace, wanted, out)
        return evaluate_engines(
            workspace.settings, wanted, speech, texts, found, out, calibrator=calibrator,
            domain=workspace.domain.name,
        )  # fmt: skip


def _speech_and_texts(workspace: Workspace, wanted: Asked, out: Path) -> tuple[Speech, Texts]:
    """What is heard, and how it is counted; a domain's terms are not looked for elsewhere."""
    texts = domain_texts(workspace)
    if not wanted.speech.startswith(GENERAL):
        return domain_speech(workspace), texts
    speech = read_speech(
        workspace.settings,
        wanted.speech,
        out,
        language=wanted.language,
        progress=lambda done, total: workspace.report("recordings", done, total),
    )
    return speech, replace(texts, terms=(), terms_from="")


def report(workspace: Workspace, evaluated: Evaluated, out: Path) -> Written:
    """Write a report with the domain's statistics."""
    params = workspace.domain.evaluation
    return write_report(
        evaluated, out, confidence=params.confidence, resamples=params.resamples, seed=params.seed
    )


def statistics(workspace: Workspace) -> dict[str, Any]:
    """What a report depends on besides speech and engines."""
    from lifecycle.evaluation_report import SCHEMA
    from serving.engines.contracts import DECODING_VERSION

    params, texts = workspace.domain.evaluation, domain_texts(workspace)
    return {
        "schema": SCHEMA,
        "language": workspace.domain.language,
        "normaliser": texts.identity["sha256"],
        "terms": list(texts.terms),
        "decoding": DECODING_VERSION,
        "confidence": params.confidence,
        "resamples": params.resamples,
        "seed": params.seed,
    }


def summary(written: Written) -> dict[str, Any]:
    """The headline as plain figures: rates are fractions."""
    overall = written.report.scan.overall
    rates = {
        "candidate": overall.candidate,
        "baseline": overall.baseline,
        "difference": overall.difference,
    }
    return {
        **{name: None if one is None else one.as_dict() for name, one in rates.items()},
        "answer": written.report.answer,
        "answered": written.report.answered,
        "slices_tested": written.report.scan.tests,
        "slices_that_stand": [
            f"{part.dimension} {part.name}"
            for found in written.report.scan.dimensions
            for part in found.slices
            if part.stands
        ],
    }


def _alone(evaluated: Evaluated) -> Evaluated:
    """The candidate without its baseline, so on everything that it heard."""
    models = {CANDIDATE: evaluated.described["models"][CANDIDATE]}
    return replace(
        evaluated,
        described={**evaluated.described, "models": models},
        predictions={CANDIDATE: evaluated.predictions[CANDIDATE]},
    )
