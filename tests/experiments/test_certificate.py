"""The certificate: decided from comparisons, believed only by its engine and only when whole."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest

from evaluation.comparison import Comparison, Slice
from experiments.certificate import (
    certificate_markdown,
    certificate_section,
    decide,
    render_certificate,
    summary,
    verify_certificate,
)
from experiments.contracts import Certificate, ModelReference
from experiments.gates import check_gate
from voiceforge.errors import IntegrityError
from voiceforge.params import GateParams, GatesParams

ENGINE = "ab" * 32
GATES = GatesParams(
    overall=GateParams(kind="superiority", margin=0.0),
    human=GateParams(kind="non-inferiority", margin=1.5),
    synthetic=GateParams(kind="non-inferiority", margin=1.0),
    each_accent=GateParams(kind="non-inferiority", margin=2.0),
    minimum_words=200,
)
CHALLENGER = ModelReference("telephony-en", "3", ENGINE, "ctranslate2")
CHAMPION = ModelReference("telephony-en", "2", "cd" * 32, "ctranslate2")
BASE = ModelReference("whisper-tiny.en", "", "ef" * 32, "ctranslate2")
OVERALL, HUMAN = Slice("overall"), Slice("human", is_synthetic=False)


def decided(comparisons: list[Comparison], **changed: Any) -> Certificate:
    fields: dict[str, Any] = {
        "domain": "telephony-en",
        "challenger": CHALLENGER,
        "reference": CHAMPION,
        "comparisons": comparisons,
        "gates": GATES,
        "checks": [check_gate("corpus", True, "Nothing is in quarantine.")],
        "hashes": {"corpus": "12" * 32},
        "uses_of_test_set": 4,
        "created_at": "2026-11-22T17:00:00+00:00",
    }
    return decide(**{**fields, **changed})


@pytest.fixture
def better(compared: Any) -> list[Comparison]:
    return [compared(OVERALL, -4, -1), compared(HUMAN, -2, 0.5)]


@pytest.fixture
def worse(compared: Any) -> list[Comparison]:
    return [compared(OVERALL, -4, -1), compared(HUMAN, 2, 5)]


@pytest.fixture
def unclear(compared: Any) -> list[Comparison]:
    return [compared(OVERALL, -4, 1), compared(HUMAN, -2, 0.5)]


def test_three_verdicts(
    better: list[Comparison], worse: list[Comparison], unclear: list[Comparison]
) -> None:
    assert summary(decided(better)) == "All 3 required gates pass: this engine may reach users."
    assert decided(worse).verdict == "reject"
    assert summary(decided(worse)) == "1 of 3 required gates fail: human speech."
    assert decided(unclear).verdict == "insufficient data"
    assert summary(decided(unclear)).startswith("1 of 3 required gates cannot tell: overall.")


def test_a_failing_check_rejects(better: list[Comparison]) -> None:
    found = decided(better, checks=[check_gate("engine", False, "int8 costs 3 points.")])
    assert (found.verdict, summary(found)) == ("reject", "1 of 3 required gates fail: engine.")


def test_small_losses_cannot_add_up_against_the_anchor(
    better: list[Comparison], worse: list[Comparison]
) -> None:
    found = decided(better, anchors={"base model": worse})
    assert found.verdict == "reject"
    assert [gate.reference for gate in found.gates if gate.result == "fail"] == ["base model"]


def test_without_a_champion_the_reference_is_the_base_model(better: list[Comparison]) -> None:
    found = decided(better, reference=BASE)
    assert {gate.reference for gate in found.gates} == {"base model", ""}


def test_a_certificate_is_a_use_of_its_test_set(better: list[Comparison]) -> None:
    with pytest.raises(ValueError, match="itself a use"):
        decided(better, uses_of_test_set=0)


def test_a_whole_certificate_lets_its_engine_through(better: list[Comparison]) -> None:
    certificate = decided(better)
    fields = json.loads(json.dumps(certificate.as_dict(), allow_nan=False))
    assert verify_certificate(fields, ENGINE) == certificate


def test_another_engine_is_not_let_through(better: list[Comparison]) -> None:
    with pytest.raises(IntegrityError, match="is for the engine abababababab, not for 0000"):
        verify_certificate(decided(better).as_dict(), "00" * 32)


def test_only_promote_is_let_through(worse: list[Comparison], unclear: list[Comparison]) -> None:
    for comparisons, says in ((worse, "reject"), (unclear, "insufficient data")):
        with pytest.raises(IntegrityError, match=f"says '{says}'"):
            verify_certificate(decided(comparisons).as_dict(), ENGINE)


def test_a_verdict_changed_by_hand_is_not_believed(worse: list[Comparison]) -> None:
    fields = {**decided(worse).as_dict(), "verdict": "promote"}
    with pytest.raises(IntegrityError, match="changed after it was made"):
        verify_certificate(fields, ENGINE)


@pytest.mark.parametrize("damage", ["schema", "gates", "challenger", "verdict"])
def test_a_damaged_certificate_is_an_integrity_error(better: list[Comparison], damage: str) -> None:
    whole = decided(better).as_dict()
    lacking = {key: value for key, value in whole.items() if key != damage}
    for fields in (lacking, {**copy.deepcopy(whole), damage: 7}, {}):
        with pytest.raises(IntegrityError, match=r"[Tt]he certificate"):
            verify_certificate(fields, ENGINE)


def test_markdown_has_every_gate_and_its_figures(better: list[Comparison]) -> None:
    text = certificate_markdown(decided(better))
    assert text.startswith("## Promote: telephony-en version 3\n")
    assert "| overall | champion | -2.50 [-4.00, -1.00] | 0 | 1000 | pass |" in text
    assert "| human speech | champion | -0.75 [-2.00, +0.50] | +1.50 | 1000 | pass |" in text
    assert "| corpus |  |  |  |  | pass |" in text
    assert "use 4 of this test set" in text
    assert ENGINE in text


def test_the_page_shows_verdict_gates_and_hashes(worse: list[Comparison]) -> None:
    certificate = decided(worse)
    page = render_certificate(certificate)
    assert "<strong>Reject</strong>" in page
    for gate in certificate.gates:
        assert gate.reason in page
        assert f">{gate.result}</td>" in page
    assert "at most 1.5 points worse than the champion" in page
    assert "12" * 32 in page
    assert page.count("<svg") == 1
    assert "http" not in page


def test_a_page_without_comparisons_has_no_plot() -> None:
    certificate = decided([])
    assert certificate.verdict == "insufficient data"
    assert "<svg" not in certificate_section(certificate).html
