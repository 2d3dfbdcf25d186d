"""Gates: the questions that a challenger must answer before it reaches users.

A gate looks at an interval, never at a point estimate. With d the challenger's word error rate
minus the reference's, a gate passes when the whole interval of d lies below its margin, fails when
the whole interval lies above, and cannot tell in between; superiority is the margin 0. Every
required gate must pass at its own level, so no correction for their number is due
(intersection-union test: Berger 1982).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from evaluation.comparison import Comparison, Slice, SliceKind
from evaluation.estimate import Estimate
from experiments.contracts import Gate, GateResult, Verdict
from voiceforge.errors import UsageError
from voiceforge.params import GateParams, GatesParams

MINIMUM_TEXTS = 20
"""Fewer independent texts than this make bootstrap intervals too narrow to decide on."""

_POINT = 0.01


def comparison_gates(
    comparisons: Sequence[Comparison], params: GatesParams, reference: str
) -> tuple[Gate, ...]:
    """The gates of every slice, in the order overall, human, synthetic, accents.

    People are who the model is for: without human speech that both models heard, the human gate
    cannot tell. A test set without synthetic speech or accents simply has no such gates. An accent
    that is all of the human (or synthetic) speech there is would ask the same question twice and
    gets no gate of its own.

    Args:
        comparisons: challenger against reference, a slice each.
        params: which gates there are and their margins, in points.
        reference: "champion" or "base model".

    Raises:
        UsageError: a superiority gate was given a margin.
    """
    kinds: tuple[tuple[SliceKind, GateParams], ...] = (
        ("overall", params.overall),
        ("human", params.human),
        ("synthetic", params.synthetic),
        ("accent", params.each_accent),
    )
    gates = []
    for kind, gate in kinds:
        if gate.kind == "off":
            continue
        found = sorted(
            (row for row in comparisons if row.slice.kind == kind), key=lambda row: row.slice.name
        )
        if kind == "accent":
            found = [row for row in found if not _is_whole(row, comparisons)]
        gates += [comparison_gate(row, gate, params.minimum_words, reference) for row in found]
        if not found and kind in ("overall", "human"):
            gates.append(_unanswered(Slice(kind), gate, reference))
    return tuple(gates)


def comparison_gate(
    comparison: Comparison, params: GateParams, minimum_words: int, reference: str
) -> Gate:
    """One required gate.

    Raises:
        UsageError: a superiority gate was given a margin, or the gate is off.
    """
    kind, margin = _question(params)
    estimate = comparison.difference
    result = gate_result(estimate, margin, texts=comparison.texts, minimum_words=minimum_words)
    return Gate(
        name=comparison.slice.name,
        kind=kind,
        reference=reference,
        estimate=estimate,
        margin=margin,
        result=result,
        required=True,
        reason=_reason(comparison, margin, minimum_words, reference, result),
    )


def gate_result(estimate: Estimate, margin: float, *, texts: int, minimum_words: int) -> GateResult:
    """Does the interval lie below the margin (pass), above it (fail), or neither (cannot tell)?

    Args:
        estimate: challenger minus reference, a fraction.
        margin: a fraction; 0 for superiority.
        texts: independent texts that the interval rests on.
        minimum_words: fewer reference words cannot tell.
    """
    if estimate.words < minimum_words or texts < MINIMUM_TEXTS:
        return "cannot tell"
    if estimate.high < margin:
        return "pass"
    return "fail" if estimate.low > margin else "cannot tell"


def check_gate(name: str, ok: bool, reason: str) -> Gate:
    """A required gate that holds or does not: data checks, the engine's own gate, splits."""
    return Gate(
        name=name,
        kind="check",
        reference="",
        estimate=None,
        margin=0.0,
        result="pass" if ok else "fail",
        required=True,
        reason=reason,
    )


def verdict_of(gates: Sequence[Gate]) -> Verdict:
    """Every required gate passes: promote. One fails: reject. Otherwise insufficient data.

    Checks alone prove nothing about accuracy: without a required comparison nothing is promoted.
    """
    required = [gate for gate in gates if gate.required]
    if any(gate.result == "fail" for gate in required):
        return "reject"
    compared = any(gate.kind != "check" for gate in required)
    if compared and all(gate.result == "pass" for gate in required):
        return "promote"
    return "insufficient data"


def _question(params: GateParams) -> tuple[Literal["superiority", "non-inferiority"], float]:
    if params.kind == "off":
        raise UsageError("A gate that is off asks nothing.")
    if params.kind == "superiority" and params.margin:
        raise UsageError(
            f"A superiority gate has the margin {params.margin:g} in params.yaml. Superiority "
            "means better than the reference and has no margin: set it to 0.0, or make the gate a "
            "non-inferiority gate."
        )
    return params.kind, params.margin * _POINT


def _is_whole(comparison: Comparison, comparisons: Sequence[Comparison]) -> bool:
    """Whether an accent is all of its kind of speech."""
    kind = "synthetic" if comparison.slice.is_synthetic else "human"
    return any(
        row.slice.kind == kind and row.candidate.utterances == comparison.candidate.utterances
        for row in comparisons
    )


def _unanswered(part: Slice, params: GateParams, reference: str) -> Gate:
    kind, margin = _question(params)
    return Gate(
        name=part.name,
        kind=kind,
        reference=reference,
        estimate=None,
        margin=margin,
        result="cannot tell",
        required=True,
        reason=(
            f"No held-out utterance of this kind was heard by both the challenger and the "
            f"{reference}. Add such recordings, or set gates.{part.kind}.kind to off."
        ),
    )


def _reason(
    comparison: Comparison, margin: float, minimum_words: int, reference: str, result: GateResult
) -> str:
    estimate, points = comparison.difference, 100.0
    figures = (
        f"{points * estimate.value:+.2f} points [{points * estimate.low:+.2f}, "
        f"{points * estimate.high:+.2f}] against the {reference} on {estimate.words} words of "
        f"{comparison.texts} texts"
    )
    if estimate.words < minimum_words:
        return f"{figures}; fewer than the {minimum_words} words that a decision needs."
    if comparison.texts < MINIMUM_TEXTS:
        return f"{figures}; fewer than the {MINIMUM_TEXTS} texts that a decision needs."
    bound = f"the margin of {points * margin:+.2f}" if margin else "zero"
    if result == "cannot tell":
        return f"{figures}; the interval spans {bound}: more speech that both heard would tell."
    return f"{figures}; the whole interval is {'below' if result == 'pass' else 'above'} {bound}."
