"""`voiceforge up`: three programs that answer, seen in a browser, ended without a trace."""

from __future__ import annotations

import contextlib
import importlib.util
import shutil
import signal
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

import httpx
import pytest

from data.audio import read_flac
from serving import client
from serving.launch import free_port
from serving.registry import CHAMPION, Registry, RunRecord
from tests.system.projects import CHECKOUT, DOMAIN, Project, Running, left_running
from tests.system.test_lifecycle import held_out
from voiceforge.files import read_json, write_json

Note = Callable[[str, float], None]


class Addresses(NamedTuple):
    dagster: str
    mlflow: str
    service: str


@pytest.fixture(scope="module")
def screenshots() -> ModuleType:
    path = CHECKOUT / "docs" / "screenshots.py"
    spec = importlib.util.spec_from_file_location("screenshots", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@contextlib.contextmanager
def _up(project: Project) -> Iterator[tuple[Running, Addresses]]:
    ports = [free_port() for _ in range(3)]
    options = zip(
        ("--dagster-port", "--mlflow-port", "--service-port"), map(str, ports), strict=True
    )
    with project.start("up", *(word for pair in options for word in pair)) as running:
        running.wait_for(lambda: "Ctrl-C ends them all." in running.out, "three addresses", 300.0)
        yield running, Addresses(*(f"http://127.0.0.1:{port}" for port in ports))


def _end(project: Project, running: Running, number: int) -> float:
    """End `up` and check that nothing of it is left; returns the seconds it took."""
    family = running.family()
    assert len(family) > 6
    began = time.monotonic()
    running.interrupt(number)
    ended = running.end(60.0)
    took = time.monotonic() - began
    assert ended.code in (0, 130), ended.err
    assert "Traceback" not in ended.out + ended.err
    assert [process for process in family if process.is_running()] == []
    assert left_running(project.path) == []
    return took


def test_three_programs_answer_and_end_on_ctrl_c(
    project: Project, screenshots: ModuleType, tmp_path: Path, measured: Note
) -> None:
    began = time.monotonic()
    with _up(project) as (running, at):
        measured("voiceforge up until all three answer", time.monotonic() - began)
        for address in at:
            assert address in running.out
        assert f"The service serves the champion of {DOMAIN}." in running.out
        _look_at_pages(screenshots, project, at, tmp_path)
        _wait_ready(at.service)
        clip = held_out(project)
        answer = client.transcribe(at.service, clip)
        assert answer["model"] == f"{DOMAIN}/1" and answer["text"]
        events = list(client.stream(at.service, read_flac(clip)))
        finals = [event["text"] for event in events if event["type"] == "final"]
        assert " ".join(finals).strip()
        memory = sum(process.memory_info().rss for process in running.family()) / 1e6
        measured(f"voiceforge up ended on Ctrl-C ({memory:.0f} MB in all its processes)",
                 _end(project, running, signal.SIGINT))  # fmt: skip
    for address in at:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", int(address.rsplit(":", 1)[1])))


def _look_at_pages(screenshots: ModuleType, project: Project, at: Addresses, folder: Path) -> None:
    with screenshots.browser_page() as page:
        screenshots.open_asset_graph(page, at.dagster)
        for asset in ("corpus", "splits", "adapter", "engine", "certificate", "bento"):
            assert page.get_by_text(asset, exact=True).count() > 0, asset
        screenshots.open_version(page, at.mlflow, DOMAIN, "1")
        content = page.inner_text("body")
        assert "Version 1" in content
        assert "champion" in content and "challenger" in content
        assert "corpus_md5" in content
        pictures = screenshots.take_all(
            page, project.path, DOMAIN, at.dagster, at.mlflow, folder / "images"
        )
    for picture in pictures:
        assert picture.stat().st_size > 20_000, picture


def test_a_champion_moved_by_hand_is_not_served(project: Project, measured: Note) -> None:
    """An alias without a certificate is an alarm; the old model goes on."""
    registry = Registry(project.mlflow_uri, project.home / "mlflow" / "artifacts")
    with _up(project) as (running, at):
        _wait_ready(at.service)
        before = httpx.get(f"{at.service}/api/v1/models/list").json()
        assert [model["version"] for model in before["models"]] == ["1"]
        assert before["problem"] == ""
        registry.set_alias(DOMAIN, CHAMPION, _uncertified(project, registry))
        log = project.home / "logs" / "service.log"
        began = time.monotonic()
        running.wait_for(lambda: "ALARM" in log.read_text(), "an alarm", 60.0)
        measured("from a moved alias to the alarm", time.monotonic() - began)
        alarm = next(line for line in log.read_text().splitlines() if "ALARM" in line)
        assert f"{DOMAIN}/1 stays" in alarm and "has no certificate" in alarm
        after = httpx.get(f"{at.service}/api/v1/models/list").json()
        assert after["models"] == before["models"]
        assert "has no certificate" in after["problem"]
        assert httpx.get(f"{at.service}/readyz").status_code == 200
        assert client.transcribe(at.service, held_out(project))["model"] == f"{DOMAIN}/1"
        registry.set_alias(DOMAIN, CHAMPION, "1")
        running.wait_for(
            lambda: httpx.get(f"{at.service}/api/v1/models/list").json()["problem"] == "",
            "the end of the alarm",
            60.0,
        )
        measured("voiceforge up ended on SIGTERM", _end(project, running, signal.SIGTERM))


def test_a_server_that_dies_is_reported_and_ends_the_others(project: Project) -> None:
    with _up(project) as (running, _):
        family = running.family()
        mlflow = next(p for p in family if "mlflow" in p.cmdline() and "server" in p.cmdline())
        mlflow.kill()
        ended = running.end(60.0)
    assert ended.code == 1
    assert "MLflow ended by itself" in ended.err
    assert [process for process in family if process.is_running()] == []


def test_a_port_in_use_is_refused_before_anything_starts(project: Project) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        refused = project.voiceforge("up", "--service-port", str(port), code=2)
    assert f"port {port} cannot be used" in refused.err
    assert refused.seconds < 60
    assert not (project.home / "logs").exists()


def _uncertified(project: Project, registry: Registry) -> str:
    """A version with another engine that nobody has certified."""
    engine = project.path / "uncertified"
    shutil.copytree(project.current("engine") / "engine", engine)
    description = read_json(engine / "engine.json")
    description["source_sha256"] = "0" * 64
    write_json(engine / "engine.json", description)
    return registry.register(
        DOMAIN, RunRecord(), engine=engine, adapter=project.current("adapter"), reports={}
    )


def _wait_ready(service: str) -> None:
    deadline = time.monotonic() + 120
    while httpx.get(f"{service}/readyz").status_code != 200:
        assert time.monotonic() < deadline, httpx.get(f"{service}/readyz").text
        time.sleep(0.3)
