"""What the system tests share: one finished lifecycle, and a place to say how long things took."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import NamedTuple

import pytest
from filelock import FileLock

from tests.system.projects import Ended, Project, left_running, new_project, small_params
from voiceforge.files import read_json, write_json

_LINES: list[str] = []
HERE = Path(__file__).parent


class Finished(NamedTuple):
    """A project whose lifecycle has run once, and how that run ended."""

    project: Project
    run: Ended


def pytest_configure() -> None:
    # A shell's background job ignores Ctrl-C and hands that on to all that it starts.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.system)
            item.add_marker(pytest.mark.timeout(2400))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if _LINES:
        terminalreporter.section("measured")
        for line in _LINES:
            terminalreporter.write_line(line)


@pytest.fixture(scope="session")
def measured() -> Callable[[str, float], None]:
    """Note how many seconds something took; printed at the end."""

    def note(what: str, seconds: float) -> None:
        _LINES.append(f"{seconds:8.1f} s  {what}")

    return note


@pytest.fixture(scope="session")
def finished(
    cache: Path,
    tmp_path_factory: pytest.TempPathFactory,
    measured: Callable[[str, float], None],
) -> Finished:
    """The small project after its first `voiceforge run`. Read it only; `project` is a copy.

    Processes of tests (pytest -n) share one: the first to ask makes it, the others wait.
    """
    mine = tmp_path_factory.getbasetemp()
    folder = (mine.parent if "PYTEST_XDIST_WORKER" in os.environ else mine) / "finished"
    project, ended = Project(folder / "project"), folder / "ended.json"
    with FileLock(f"{folder}.lock"):
        if not ended.exists():
            new_project(project.path, cache, small_params())
            write_json(ended, asdict(project.lifecycle()))
    run = Ended(**read_json(ended))
    measured("first voiceforge run of the small project", run.seconds)
    return Finished(project, run)


@pytest.fixture
def project(finished: Finished, tmp_path: Path) -> Iterator[Project]:
    """A copy of the finished project to change; nothing may be left running in it."""
    made = finished.project.copy(tmp_path / "project")
    yield made
    assert left_running(made.path) == []
