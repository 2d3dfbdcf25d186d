"""The weekly schedule fires, once, at its time, for its domain, and the run does the lifecycle."""

from __future__ import annotations

import copy
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.system.projects import DOMAIN, Project

Note = Callable[[str, float], None]
_CLOCK = str(Path(__file__).with_name("clock.py"))
_SUNDAY, _BEFORE, _AT, _LATER, _NEXT_WEEK = (
    "2031-01-05T20:00:00+00:00",
    "2031-01-06T02:59:59+00:00",
    "2031-01-06T03:00:01+00:00",
    "2031-01-06T03:05:00+00:00",
    "2031-01-13T03:00:30+00:00",
)
"""The sixth of January 2031 is a Monday."""


def test_the_weekly_schedule_fires_once_for_its_domain(project: Project, measured: Note) -> None:
    def second_domain(params: dict[str, Any]) -> None:
        params["domains"]["support-en"] = copy.deepcopy(params["domains"][DOMAIN])

    project.set_params(second_domain)
    made = project.times()
    launched = {"schedule": "retrain_telephony_en", "partition": DOMAIN, "status": "SUCCESS"}
    assert _scheduler(project, _SUNDAY, "--on", "retrain_telephony_en") == []
    assert _scheduler(project, _BEFORE) == []
    began = time.monotonic()
    assert _scheduler(project, _AT) == [launched]
    measured(
        "scheduled run of a finished lifecycle, scheduler's start included",
        time.monotonic() - began,
    )
    # Started anew, in the same minute and later: not again before next Monday.
    assert _scheduler(project, _AT) == [launched]
    assert _scheduler(project, _LATER) == [launched]
    assert _scheduler(project, _NEXT_WEEK) == [launched, launched]
    assert project.times() == made


def _scheduler(project: Project, when: str, *options: str) -> list[dict[str, str]]:
    out = project.path / "runs.json"
    out.unlink(missing_ok=True)
    project.tool(sys.executable, _CLOCK, *options, when, str(out))
    runs: list[dict[str, str]] = json.loads(out.read_text())
    return runs
