"""What a log shows of long work: finished stages, and never half a minute of nothing."""

from __future__ import annotations

import time

import pytest

from cli.progress import live_progress
from lifecycle.progress import Progress


def test_a_log_hears_of_a_silent_stage_with_its_last_figures(
    capfd: pytest.CaptureFixture[str],
) -> None:
    with live_progress(quiet=0.2) as show:
        show(Progress("d", "adapter", 10, 240, "", {"dev word error rate": 0.125}))
        show(Progress("d", "adapter", 15, 240, "", {"loss": 1.5, "seconds left": 95.0}))
        time.sleep(0.7)
        show(Progress("d", "adapter", 1, 1, "", {}, "made"))
        show(Progress("d", "merged_model", 0, 0, "[folding]"))
        time.sleep(0.3)
    lines = capfd.readouterr().err.splitlines()
    assert 2 <= sum("… adapter" in line for line in lines) <= 4
    assert "15/240 dev word error rate 12.5% loss 1.5 1 min 35 s left (" in lines[0], (
        lines
    )  # the figure of an evaluation stays until the next
    made = next(at for at, line in enumerate(lines) if "✓ adapter" in line)
    assert "merged model" in lines[made + 1] and "[folding]" in lines[made + 1]
    assert "loss" not in lines[made + 1]


def test_a_log_of_quick_stages_has_their_lines_alone(capfd: pytest.CaptureFixture[str]) -> None:
    with live_progress(quiet=30.0) as show:
        for name in ("corpus", "splits"):
            show(Progress("d", name, 0, 0))
            show(Progress("d", name, 1, 1, "", {}, "unchanged"))
    lines = capfd.readouterr().err.splitlines()
    assert [line.split() for line in lines] == [
        ["✓", "corpus", "unchanged"], ["✓", "splits", "unchanged"],
    ]  # fmt: skip
