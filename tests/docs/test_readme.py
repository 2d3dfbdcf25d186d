"""The README's figures say how sure their intervals are."""

from __future__ import annotations

from pathlib import Path

from benchmarks.readme import figures


def test_the_confidence_is_that_of_the_domain(project: Path) -> None:
    results = project / "results" / "telephony-en"
    assert "Word error rates with 95% intervals." in figures(results, 0.95)
    assert "Word error rates with 99.5% intervals." in figures(results, 0.995)
