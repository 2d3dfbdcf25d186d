from __future__ import annotations

import dataclasses
import json
import logging
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from serving.live_model import Candidate, FolderSource, LiveModel
from voiceforge.errors import UsageError

Certify = Callable[..., Path]


@dataclass
class Given:
    """A source that names what the test says."""

    candidate: Candidate | None

    def find(self) -> Candidate:
        if self.candidate is None:
            raise UsageError("telephony-test has no champion yet.")
        return self.candidate


@pytest.fixture
def first(engine_folder: Path, certify: Certify, tmp_path: Path) -> Candidate:
    certificate = certify(tmp_path / "certificate-1", engine_folder, "1")
    return Candidate("telephony-test", "1", engine_folder, certificate)


def serving(candidate: Candidate | None) -> tuple[LiveModel, Given]:
    source = Given(candidate)
    live = LiveModel(lambda: source, threads=1)
    live.refresh()
    return live, source


def label(live: LiveModel) -> str:
    assert live.current is not None
    return live.current.label


def test_a_certified_champion_is_served(first: Candidate) -> None:
    live, _ = serving(first)
    assert label(live) == "telephony-test/1"
    assert live.current is not None and live.current.certified
    assert live.problem == ""


def test_without_a_champion_the_problem_says_why(first: Candidate) -> None:
    live, source = serving(None)
    assert live.current is None
    assert "no champion yet" in live.problem
    source.candidate = first
    live.refresh()
    assert label(live) == "telephony-test/1"


@pytest.mark.parametrize("why", ["none", "rejected", "other engine", "edited", "tampered"])
def test_an_alias_moved_by_hand_serves_nothing_new(
    first: Candidate,
    exact_folder: Path,
    engine_folder: Path,
    certify: Certify,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    why: str,
) -> None:
    caplog.set_level(logging.ERROR, "bentoml.voiceforge")
    logging.getLogger("bentoml").propagate = True
    live, source = serving(first)
    folder = tmp_path / "certificate-2"
    challenger = Candidate("telephony-test", "2", exact_folder, folder)
    if why == "none":
        challenger = dataclasses.replace(challenger, certificate=None)
    elif why == "rejected":
        certify(folder, exact_folder, "2", result="fail")
    elif why == "other engine":
        certify(folder, engine_folder, "2")
    elif why == "edited":
        certify(folder, exact_folder, "2", result="fail")
        fields = json.loads((folder / "certificate.json").read_text())
        (folder / "certificate.json").write_text(json.dumps({**fields, "verdict": "promote"}))
    else:
        copy = tmp_path / "engine"
        shutil.copytree(exact_folder, copy)
        certify(folder, copy, "2")
        (copy / "config.json").write_text("{}")
        challenger = dataclasses.replace(challenger, engine=copy)
    source.candidate = challenger
    live.refresh()
    assert label(live) == "telephony-test/1"
    assert live.problem
    live.refresh()
    alarms = [record for record in caplog.records if "ALARM" in record.message]
    assert len(alarms) == 1
    assert "telephony-test/1 stays" in alarms[0].message


def test_a_new_champion_takes_over_and_the_problem_is_gone(
    first: Candidate, exact_folder: Path, certify: Certify, tmp_path: Path
) -> None:
    live, source = serving(first)
    source.candidate = Candidate("telephony-test", "2", exact_folder, None)
    live.refresh()
    assert live.problem
    certificate = certify(tmp_path / "certificate-2", exact_folder, "2")
    source.candidate = dataclasses.replace(source.candidate, certificate=certificate)
    live.refresh()
    assert label(live) == "telephony-test/2"
    assert live.problem == ""


def test_a_champion_that_is_gone_is_served_on(first: Candidate) -> None:
    live, source = serving(first)
    source.candidate = None
    live.refresh()
    assert label(live) == "telephony-test/1"
    assert "no champion" in live.problem


def test_a_registry_that_breaks_does_not_end_the_watch(first: Candidate) -> None:
    class Broken:
        def find(self) -> Candidate:
            raise RuntimeError("database is locked")

    live = LiveModel(Broken, threads=1, interval=0.01)
    live.start()
    live.stop()
    assert "database is locked" in live.problem
    assert live.current is None


def test_a_folder_named_by_hand_needs_no_certificate(engine_folder: Path) -> None:
    live = LiveModel(lambda: FolderSource(engine_folder), threads=1)
    live.refresh()
    assert label(live) == engine_folder.name
    assert live.current is not None and not live.current.certified
