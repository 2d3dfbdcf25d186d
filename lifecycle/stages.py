"""The stages in order, in the groups that `voiceforge stage` and dvc.yaml name."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from lifecycle import checks, nemo
from lifecycle.adapter import make_adapter
from lifecycle.base_engine import STAGE as BASE_ENGINE
from lifecycle.base_engine import make_base_engine
from lifecycle.bento import make_bento
from lifecycle.calibration import make_calibration
from lifecycle.certificate import make_certificate
from lifecycle.checks import required
from lifecycle.corpus import corpus_version, make_corpus
from lifecycle.domain_evaluation import make_evaluation_report
from lifecycle.engine import make_engine
from lifecycle.examination import make_forgetting_report, make_robustness_report
from lifecycle.merged_model import make_merged_model
from lifecycle.model_version import make_model_version
from lifecycle.predictions import make_base_predictions, make_predictions
from lifecycle.promotion import make_promotion
from lifecycle.reports import make_accent_report, make_accuracy_report, make_latency_report
from lifecycle.results import write_results
from lifecycle.splits import make_splits
from lifecycle.validation import QUARANTINE_ADVICE, make_validation
from lifecycle.workspace import Workspace
from voiceforge.errors import UsageError

GROUPS: Mapping[str, tuple[Callable[[Workspace], object], ...]] = {
    "corpus": (
        make_corpus,
        corpus_version,
        make_base_engine,
        make_validation,
        required(checks.few_quarantined, QUARANTINE_ADVICE),
    ),
    "adapter": (
        make_splits,
        required(checks.splits_are_disjoint, "Training would leak or have nothing to learn from."),
        required(checks.gate_is_sealed, checks.GATE_ADVICE),
        make_adapter,
        required(checks.loss_fell, "Try a smaller training.learning_rate or more steps."),
    ),
    "engine": (
        make_merged_model,
        required(checks.weights_are_finite, "Try a smaller training.learning_rate."),
        make_engine,
        required(checks.engine_agrees, "Choose another engine.precision in params.yaml."),
    ),
    "evaluation": (
        make_predictions,
        required(checks.predictions_are_complete, "Delete the predictions and run again."),
        make_base_predictions,
        make_calibration,
        make_accuracy_report,
        make_accent_report,
        make_evaluation_report,
        make_latency_report,
    ),
    "promotion": (make_model_version, make_certificate, make_promotion, make_bento),
}


MERGED = "merged_model"
"""A part of the group "engine" that can be asked for alone; DVC has no stage of it."""

EXAMINATION = "examination"
"""What takes too long for every run and no certificate asks for; nor has DVC a stage of it."""

_PARTS: Mapping[str, tuple[Callable[[Workspace], object], ...]] = {
    MERGED: GROUPS["engine"][:2],
    # A language may have no readings to forget: that is said last.
    EXAMINATION: (make_robustness_report, make_forgetting_report),
}


def check_group(group: str) -> None:
    """Raise a UsageError where there is no such group."""
    if group not in GROUPS and group not in _PARTS:
        known = ", ".join([*GROUPS, *_PARTS])
        raise UsageError(f"There is no stage {group!r}. There are: {known}.")


def run_group(workspace: Workspace, group: str) -> None:
    """Run a group of stages; what is unchanged is found, not made.

    Raises:
        UsageError: there is no such group, or none for the domain's NeMo model.
        VoiceForgeError: a stage failed.
    """
    check_group(group)
    if group not in nemo.TRAINED:
        nemo.refuse_nemo(workspace, f"The stage {group}")
    nemo.check_nemo(workspace)
    if group in _PARTS:
        for make in _PARTS[group]:
            make(workspace)
        return
    for make in GROUPS[group]:
        if make is make_base_engine and nemo.is_nemo(workspace):
            workspace.report(BASE_ENGINE, 0, 0, "left out: there are no engines for NeMo models")
            continue
        make(workspace)
    write_results(workspace, group)
