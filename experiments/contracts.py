"""The certificate and what it is made of, and the events of live traffic."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from evaluation.estimate import Estimate

GateKind = Literal["superiority", "non-inferiority", "check"]
GateResult = Literal["pass", "fail", "cannot tell"]
Verdict = Literal["promote", "reject", "insufficient data"]


@dataclass(frozen=True, slots=True)
class Gate:
    """One question put to the challenger.

    Attributes:
        name: such as "accent en-gb-scotland" or "human speech".
        kind: "superiority" (must be better), "non-inferiority" (no worse than the margin), or
            "check" (holds or not, no interval).
        reference: what the challenger was compared with: "champion", "base model", or "".
        estimate: challenger minus reference in word error rate (fractions; negative is better).
        margin: largest loss that passes, same unit; 0 for superiority.
        result: "cannot tell" when the interval neither passes nor fails.
        required: a failing gate that is not required is reported only.
        reason: one sentence for a person.
    """

    name: str
    kind: GateKind
    reference: str
    estimate: Estimate | None
    margin: float
    result: GateResult
    required: bool
    reason: str


@dataclass(frozen=True, slots=True)
class ModelReference:
    """A model version and the engine that serves it; `version` is "" for a base model."""

    name: str
    version: str
    engine_sha256: str
    engine_kind: str


@dataclass(frozen=True, slots=True)
class Certificate:
    """The content of `certificate.json`: may this challenger reach users, and why.

    Attributes:
        schema: version of this layout.
        hashes: what was compared: "corpus", "splits", "normaliser", "parameters", "code",
            "challenger predictions", "reference predictions".
        uses_of_test_set: how many certificates, this one included, were decided on this test set.
        created_at: ISO 8601, UTC.
    """

    domain: str
    challenger: ModelReference
    reference: ModelReference
    gates: tuple[Gate, ...]
    verdict: Verdict
    hashes: dict[str, str]
    uses_of_test_set: int
    created_at: str
    schema: int = 1

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> Certificate:
        fields = dict(fields)
        fields["challenger"] = ModelReference(**fields["challenger"])
        fields["reference"] = ModelReference(**fields["reference"])
        gates = []
        for gate in fields["gates"]:
            estimate = gate["estimate"] and Estimate.from_dict(gate["estimate"])
            gates.append(Gate(**{**gate, "estimate": estimate}))
        return cls(**{**fields, "gates": tuple(gates)})


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened in live traffic; the analysis of experiments reads these.

    Attributes:
        at: ISO 8601, UTC.
        kind: "assignment", "request", "update", "final", "error".
        unit: pseudonymous user, session or request id that the assignment is sticky to.
        model: registered model name and version, "telephony-en/3".
        values: numbers by name, such as latency_seconds, confidence, audio_seconds.
    """

    at: str
    kind: str
    unit: str
    model: str
    values: dict[str, float] = field(default_factory=dict)
