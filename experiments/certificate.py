"""The promotion certificate: decided, checked, and shown to people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from evaluation.comparison import Comparison
from experiments.contracts import Certificate, Gate, ModelReference, Verdict
from experiments.gates import comparison_gates, verdict_of
from voiceforge.errors import IntegrityError
from voiceforge.params import GatesParams

if TYPE_CHECKING:
    from evaluation.reports.page import Section

SCHEMA = 1
ENGINE = "engine"
"""Name of the gate that says why this engine serves, and what its precision costs."""


def decide(
    *,
    domain: str,
    challenger: ModelReference,
    reference: ModelReference,
    comparisons: Sequence[Comparison],
    gates: GatesParams,
    checks: Sequence[Gate] = (),
    anchors: Mapping[str, Sequence[Comparison]] | None = None,
    hashes: Mapping[str, str],
    uses_of_test_set: int,
    created_at: str,
) -> Certificate:
    """Put every gate to the challenger and reach a verdict.

    Args:
        domain: the domain that the models are for.
        challenger: the model version that asks to be promoted, with the engine that was measured.
        reference: the champion, or the base model (version "") where there is none.
        comparisons: challenger against reference, slice by slice, from the reports.
        gates: parameters of the domain; margins in points.
        checks: gates without an interval, from `check_gate`.
        anchors: fixed models besides the champion, by name ("base model"): the same gates are
            asked against each, so that small allowed losses cannot add up over the weeks.
        hashes: see `Certificate`.
        uses_of_test_set: certificates decided on this test set, this one included; at least 1.
        created_at: ISO 8601, UTC.

    Raises:
        UsageError: a superiority gate was given a margin.
        ValueError: uses_of_test_set is below 1.
    """
    if uses_of_test_set < 1:
        raise ValueError("This certificate is itself a use of the test set.")
    name = "champion" if reference.version else "base model"
    asked = list(comparison_gates(comparisons, gates, name))
    for anchor, rows in (anchors or {}).items():
        asked += comparison_gates(rows, gates, anchor)
    every = (*asked, *checks)
    return Certificate(
        domain=domain,
        challenger=challenger,
        reference=reference,
        gates=every,
        verdict=verdict_of(every),
        hashes=dict(hashes),
        uses_of_test_set=uses_of_test_set,
        created_at=created_at,
        schema=SCHEMA,
    )


def verify_certificate(fields: Mapping[str, Any], engine_sha256: str) -> Certificate:
    """Check that a certificate lets this engine reach users.

    Args:
        fields: content of `certificate.json`.
        engine_sha256: identity of the engine that is about to be served.

    Raises:
        IntegrityError: it is no certificate of a known layout, names another engine, does not say
            promote, or says so although its own gates do not.
    """
    try:
        if fields["schema"] != SCHEMA:
            raise ValueError(f"its layout is {fields['schema']}, known is {SCHEMA}")
        certificate = Certificate.from_dict(dict(fields))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise IntegrityError(
            f"The certificate cannot be read ({error!r}), so nothing says that this model may "
            "reach users. Run the domain again to make a new one."
        ) from error
    who = f"{certificate.challenger.name} version {certificate.challenger.version}"
    if certificate.challenger.engine_sha256 != engine_sha256:
        raise IntegrityError(
            f"The certificate of {who} is for the engine "
            f"{certificate.challenger.engine_sha256[:12]}, not for {engine_sha256[:12]}. Serve the "
            "certified engine, or run the domain again to certify this one."
        )
    if certificate.verdict != "promote":
        raise IntegrityError(
            f"The certificate of {who} says {certificate.verdict!r}, not 'promote', so it may not "
            "reach users. The certificate's page gives the reason of every gate."
        )
    if verdict_of(certificate.gates) != "promote":
        raise IntegrityError(
            f"The certificate of {who} says 'promote', but its own gates do not: it was changed "
            "after it was made. Run the domain again to make a new one."
        )
    return certificate


def summary(certificate: Certificate) -> str:
    """The verdict in one sentence."""
    required = [gate for gate in certificate.gates if gate.required]
    if certificate.verdict == "promote":
        return f"All {len(required)} required gates pass: this engine may reach users."
    failed = [gate.name for gate in required if gate.result == "fail"]
    if failed:
        return f"{len(failed)} of {len(required)} required gates fail: {', '.join(failed)}."
    unknown = [gate.name for gate in required if gate.result == "cannot tell"]
    if not unknown:
        return "No required gate compares the challenger with anything."
    return (
        f"{len(unknown)} of {len(required)} required gates cannot tell: {', '.join(unknown)}. "
        "More held-out speech would tell."
    )


def certificate_markdown(certificate: Certificate) -> str:
    """The certificate as Markdown, for a registry's description or a chat."""
    challenger, reference = certificate.challenger, certificate.reference
    lines = [
        f"## {VERDICTS[certificate.verdict]}: {challenger.name} version {challenger.version}",
        "",
        summary(certificate),
        "",
        f"Compared with {_described(reference)} at {certificate.created_at}; use "
        f"{certificate.uses_of_test_set} of this test set.",
        "",
        "| gate | against | difference, points | margin | words | result |",
        "|---|---|---:|---:|---:|---|",
    ]
    for gate in certificate.gates:
        figures = ["", "", ""]
        if gate.estimate is not None:
            low, high = 100 * gate.estimate.low, 100 * gate.estimate.high
            figures[0] = f"{100 * gate.estimate.value:+.2f} [{low:+.2f}, {high:+.2f}]"
            figures[2] = str(gate.estimate.words)
        if gate.kind != "check":
            figures[1] = f"{100 * gate.margin:+.2f}" if gate.margin else "0"
        name = gate.name if gate.required else f"{gate.name} (not required)"
        cells = [name, gate.reference, *figures, gate.result]
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    lines += ["", f"Engine `{challenger.engine_sha256}` ({challenger.engine_kind})", ""]
    return "\n".join(lines)


def certificate_section(certificate: Certificate) -> Section:
    """The certificate as a section of a report page: forest plot, every gate, verdict on top."""
    from evaluation.reports.page import Section, points, render_template
    from evaluation.reports.plots import Bar, ForestRow, forest

    rows = [
        ForestRow(
            label=gate.name,
            note=f"against the {gate.reference}, {gate.estimate.words:,} words",
            bars=(
                Bar(
                    value=100 * gate.estimate.value,
                    low=100 * gate.estimate.low,
                    high=100 * gate.estimate.high,
                    style=gate.result.replace(" ", "-"),
                    text=points(gate.estimate),
                ),
            ),
            margin=100 * gate.margin,
        )
        for gate in certificate.gates
        if gate.estimate is not None
    ]
    html = render_template(
        "certificate.html",
        certificate=certificate,
        reference=_described(certificate.reference),
        plot=forest(rows, unit="points of word error rate", signed=True) if rows else "",
    )
    banner = render_template(
        "verdict.html",
        verdict=VERDICTS[certificate.verdict],
        style=certificate.verdict.replace(" ", "-"),
        summary=summary(certificate),
    )
    return Section("certificate", "Certificate", html, banner)


def render_certificate(certificate: Certificate) -> str:
    """The certificate as an HTML page of its own, whole without a network."""
    from evaluation.reports.page import render_page

    return render_page(
        f"{certificate.domain}: promotion certificate",
        f"{certificate.challenger.name} version {certificate.challenger.version} against "
        f"{_described(certificate.reference)}",
        [certificate_section(certificate)],
    )


VERDICTS: dict[Verdict, str] = {
    "promote": "Promote",
    "reject": "Reject",
    "insufficient data": "Insufficient data",
}


def _described(model: ModelReference) -> str:
    return f"{model.name} version {model.version}" if model.version else f"base model {model.name}"
