"""What stops a run after a stage, the same in Dagster and for `voiceforge stage`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from lifecycle import adapter, engine, gate, merged_model, predictions, splits, validation
from lifecycle.workspace import Workspace
from voiceforge.errors import StageError


@dataclass(frozen=True)
class Check:
    """Whether a run may go on, why in words, and the figures behind that."""

    passed: bool
    sentence: str
    figures: Mapping[str, Any] = field(default_factory=dict)


def few_quarantined(workspace: Workspace) -> Check:
    """Decoding and validation may lose `quarantine_limit` of the recordings.

    See `lifecycle.validation.quarantine_verdict`.
    """
    return Check(*validation.quarantine_verdict(workspace))


def splits_are_disjoint(workspace: Workspace) -> Check:
    """No text and no separable speaker is in two splits, and none is empty."""
    problems = splits.split_problems(workspace)
    sentence = " ".join(problems[:5]) or "No text is in two splits."
    return Check(not problems, sentence, {"problems": len(problems)})


def gate_is_sealed(workspace: Workspace) -> Check:
    """The test split is the frozen gate set, and nothing of any version is in train or dev."""
    problems = gate.sealing_problems(workspace)
    frozen = workspace.current(splits.STAGE).summary.get("gate")
    sound = "No gate set is frozen yet."
    if frozen:
        sound = (
            f"Test is gate-{frozen['version']} ({frozen['members']} utterances; "
            f"{frozen['waiting']} wait for the next version), and nothing of it trains."
        )
    return Check(not problems, " ".join(problems[:5]) or sound, {"problems": len(problems)})


GATE_ADVICE = (
    "Put back what is missing or was changed (a source, or a release from quarantine) and take out "
    "what leaks, or freeze a new version of the gate set with a reason."
)


def loss_fell(workspace: Workspace) -> Check:
    """The loss of the last steps is below that of the first.

    A training of few steps has too few points to tell a fall from noise; its word error rates will.
    """
    curve = workspace.current(adapter.STAGE).summary["loss_curve"]
    share = len(curve) // 5
    if not share:
        return Check(True, f"{len(curve)} points of loss are too few to compare.")
    first = sum(point["loss"] for point in curve[:share]) / share
    last = sum(point["loss"] for point in curve[-share:]) / share
    sentence = f"Loss went from {first:.3f} to {last:.3f} (means of {share} points)."
    return Check(last < first, sentence, {"first": first, "last": last})


def weights_are_finite(workspace: Workspace) -> Check:
    """No merged tensor holds NaN or infinity."""
    bad = workspace.current(merged_model.STAGE).summary["non_finite"]
    return Check(not bad, f"Not finite: {', '.join(bad) or 'none'}.")


def engine_agrees(workspace: Workspace) -> Check:
    """The engine does not surely lose more word error rate than `engine.margin`."""
    passed, sentence = engine.engine_verdict(workspace, workspace.current(engine.STAGE))
    return Check(passed, sentence)


def predictions_are_complete(workspace: Workspace) -> Check:
    """Every test utterance has a prediction."""
    heard = {row.utterance_id for row in predictions.read(workspace.current(predictions.STAGE))}
    missing = [row.id for row in predictions.test_utterances(workspace) if row.id not in heard]
    sentence = f"{len(missing)} of {len(heard) + len(missing)} test utterances are missing" + (
        f", such as {missing[0]}." if missing else "."
    )
    return Check(not missing, sentence, {"missing": len(missing)})


def required(check: Callable[[Workspace], Check], advice: str) -> Callable[[Workspace], None]:
    """A step that ends a run where the check does not pass; `advice` says what to do then.

    The step raises StageError.
    """

    def step(workspace: Workspace) -> None:
        result = check(workspace)
        if not result.passed:
            raise StageError(f"{workspace.domain.name}: {result.sentence} {advice}")

    return step
