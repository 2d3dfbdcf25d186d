"""The service as its users meet it: a real server process, real HTTP and WebSocket clients."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import numpy as np
import psutil
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from data.audio import encode_flac
from serving import client
from serving.api import MOST_BYTES
from serving.engines.contracts import Samples
from serving.launch import ServiceProcess, free_port, start_service
from serving.registry import CHAMPION, Registry, RunRecord
from voiceforge.errors import StageError, UsageError

DOMAIN = "telephony-test"
Certify = Callable[..., Path]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def registry(
    home: Path,
    new_registry: Callable[[Path], Registry],
    engine_folder: Path,
    exact_folder: Path,
) -> Registry:
    """Two versions, no champion, no certificate."""
    registry = new_registry(home / "mlflow")
    adapter = home / "adapter"
    adapter.mkdir()
    for engine in (engine_folder, exact_folder):
        registry.register(DOMAIN, RunRecord(), engine=engine, adapter=adapter, reports={})
    return registry


@pytest.fixture(scope="module")
def service(
    home: Path, registry: Registry, project: Path, threads: int
) -> Iterator[ServiceProcess]:
    environment = {
        "VOICEFORGE_PROJECT": str(project),
        "VOICEFORGE_HOME": str(home),
        "VOICEFORGE_THREADS": str(threads),
        "BENTOML_HOME": str(home / "bentoml"),
    }
    with start_service(free_port(), environment, home / "service.log", until="live") as running:
        yield running


def eventually(condition: Callable[[], bool], seconds: float = 60.0) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.2)
    return False


def model(service: ServiceProcess) -> str:
    models = httpx.get(f"{service.url}/api/v1/models/list").json()["models"]
    return f"{models[0]['name']}/{models[0]['version']}" if models else ""


def problem(service: ServiceProcess) -> str:
    return str(httpx.get(f"{service.url}/api/v1/models/list").json()["problem"])


@pytest.fixture(scope="module")
def ready(
    service: ServiceProcess,
    registry: Registry,
    engine_folder: Path,
    certify: Certify,
    tmp_path_factory: pytest.TempPathFactory,
) -> ServiceProcess:
    """The service after version 1 was certified and promoted."""
    folder = certify(tmp_path_factory.mktemp("certificate"), engine_folder, "1")
    registry.attach_certificate(DOMAIN, "1", folder)
    registry.set_alias(DOMAIN, CHAMPION, "1")
    assert eventually(lambda: model(service) == f"{DOMAIN}/1")
    return service


def test_without_a_champion_it_lives_is_not_ready_and_says_why(
    service: ServiceProcess, clips: dict[str, Samples]
) -> None:
    assert eventually(lambda: "No domain has a champion yet" in problem(service))
    ready = httpx.get(f"{service.url}/readyz")
    assert ready.status_code == 503
    assert "voiceforge run" in ready.text
    answer = httpx.post(f"{service.url}/api/v1/transcribe", content=b"x")
    assert answer.status_code == 503
    assert answer.json()["error"]["code"] == "no-model"
    with pytest.raises(StageError, match="No domain has a champion yet"):
        list(client.stream(service.url, clips["agent-pass"]))


def test_a_file_is_transcribed_as_form_and_as_body(
    ready: ServiceProcess, prompts_folder: Path, clips: dict[str, Samples]
) -> None:
    answer = client.transcribe(ready.url, prompts_folder / "all-circuits-busy-now.g722")
    assert answer["text"] == "All circuits are busy now."
    assert answer["model"] == f"{DOMAIN}/1"
    assert answer["language"] == "en"
    assert [word["text"] for word in answer["words"]] == answer["text"].split()
    assert 0.0 < answer["confidence"] <= 1.0
    assert answer["duration"] == pytest.approx(1.8, abs=0.1)
    body = encode_flac(clips["all-circuits-busy-now"])
    raw = httpx.post(f"{ready.url}/api/v1/transcribe", content=body, timeout=60)
    assert raw.json()["text"] == answer["text"]


@pytest.mark.parametrize(
    ("body", "code"),
    [(b"", "empty"), (b"this is text", "not-audio"), (bytes(range(256)) * 8, "not-audio")],
)
def test_what_is_no_audio_is_a_bad_request(ready: ServiceProcess, body: bytes, code: str) -> None:
    answer = httpx.post(f"{ready.url}/api/v1/transcribe", content=body)
    assert answer.status_code == 400
    error = answer.json()["error"]
    assert error["code"] == code
    assert len(error["message"]) > 20


def test_a_form_without_a_file_is_a_bad_request(ready: ServiceProcess) -> None:
    url = f"{ready.url}/api/v1/transcribe"
    wrong = httpx.post(url, files={"sound": b"x"})
    assert (wrong.status_code, wrong.json()["error"]["code"]) == (400, "bad-upload")
    broken = httpx.post(url, content=b"--x", headers={"content-type": "multipart/form-data"})
    assert (broken.status_code, broken.json()["error"]["code"]) == (400, "bad-upload")


@pytest.mark.parametrize("as_form", [False, True])
def test_too_large_an_upload_is_counted_whatever_its_headers_say(
    ready: ServiceProcess, as_form: bool
) -> None:
    chunk = b"\0" * (1 << 20)

    def chunks() -> Iterator[bytes]:
        if as_form:
            yield b'--x\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
        for _ in range(MOST_BYTES // len(chunk) + 2):
            yield chunk

    headers = {"content-type": "multipart/form-data; boundary=x"} if as_form else {}
    answer = httpx.post(
        f"{ready.url}/api/v1/transcribe", content=chunks(), headers=headers, timeout=60
    )
    assert answer.status_code == 413
    assert answer.json()["error"]["code"] == "too-large"


def test_a_stream_gives_interims_and_finals(
    ready: ServiceProcess, clips: dict[str, Samples]
) -> None:
    pause = np.zeros(16_000, np.float32)
    speech = np.concatenate([clips["agent-pass"], pause, clips["all-circuits-busy-now"]])
    events = list(client.stream(ready.url, speech))
    assert events[0] == {"type": "ready", "model": f"{DOMAIN}/1", "sample_rate": 16_000}
    assert events[-1] == {"type": "end"}
    finals = [event for event in events if event["type"] == "final"]
    assert [final["segment"] for final in finals] == [0, 1]
    assert client.text_of(events) == f"{finals[0]['text']} {finals[1]['text']}"
    assert "enter your password" in finals[0]["text"]
    assert "circuits are busy" in finals[1]["text"]
    assert finals[0]["end"] <= finals[1]["start"]
    assert finals[1]["words"][0]["start"] >= finals[1]["start"]
    assert "interim" in {event["type"] for event in events}


def test_a_stream_in_which_nobody_speaks_has_an_empty_text(ready: ServiceProcess) -> None:
    events = list(client.stream(ready.url, np.zeros(16_000, np.float32)))
    assert {event["type"] for event in events} == {"ready", "end"}
    assert client.text_of(events) == ""


def test_bytes_may_be_cut_anywhere_and_odd_messages_are_refused(
    ready: ServiceProcess, clips: dict[str, Samples]
) -> None:
    pcm = np.rint(clips["all-circuits-busy-now"] * 32767).astype("<i2").tobytes()
    address = ready.url.replace("http", "ws") + "/api/v1/transcribe/stream"
    with connect(address) as socket:
        for start in range(0, len(pcm), 3333):
            socket.send(pcm[start : start + 3333])
        socket.send('{"type": "finish"}')
        finals = [event for event in map(json.loads, socket) if event["type"] == "final"]
    assert "circuits are busy" in finals[-1]["text"]
    with connect(address) as socket:
        socket.send("hello")
        assert [json.loads(socket.recv())["type"] for _ in range(2)] == ["ready", "error"]
        with pytest.raises(ConnectionClosed, match="1003"):
            socket.recv()


def test_a_client_that_leaves_costs_the_next_one_nothing(
    ready: ServiceProcess, clips: dict[str, Samples]
) -> None:
    address = ready.url.replace("http", "ws") + "/api/v1/transcribe/stream"
    for _ in range(20):
        with connect(address) as socket:
            socket.recv()
            socket.send(b"\0" * 3200)
    events = list(client.stream(ready.url, clips["all-circuits-busy-now"]))
    assert events[-1] == {"type": "end"}


def test_an_alias_moved_by_hand_serves_nothing_new_until_it_is_certified(
    ready: ServiceProcess,
    registry: Registry,
    exact_folder: Path,
    certify: Certify,
    tmp_path: Path,
) -> None:
    registry.set_alias(DOMAIN, CHAMPION, "2")
    assert eventually(lambda: "has no certificate" in problem(ready))
    assert model(ready) == f"{DOMAIN}/1"
    assert httpx.get(f"{ready.url}/readyz").status_code == 200
    registry.attach_certificate(DOMAIN, "2", certify(tmp_path, exact_folder, "2"))
    assert eventually(lambda: model(ready) == f"{DOMAIN}/2")
    assert problem(ready) == ""
    log = ready.log.read_text()
    assert f"ALARM: no new model is served; {DOMAIN}/1 stays" in log
    assert f"Serving {DOMAIN}/2" in log


def test_a_port_in_use_is_refused_before_anything_starts(
    service: ServiceProcess, tmp_path: Path
) -> None:
    port = int(service.url.rsplit(":", 1)[1])
    with pytest.raises(UsageError, match=f"port {port} cannot be used"):
        start_service(port, {}, tmp_path / "log")
    assert not (tmp_path / "log").exists()


def test_a_service_that_cannot_become_ready_is_ended_with_its_reason(
    tmp_path: Path, project: Path
) -> None:
    environment = {
        "VOICEFORGE_PROJECT": str(project),
        "VOICEFORGE_MODEL": str(tmp_path / "nothing"),
        "BENTOML_HOME": str(tmp_path / "bentoml"),
    }
    with pytest.raises(StageError, match="no engine folder"):
        start_service(free_port(), environment, tmp_path / "log")
    assert not [
        process
        for process in psutil.Process().children(recursive=True)
        if "bentoml" in " ".join(process.cmdline())
        and str(tmp_path) in process.environ().get("BENTOML_HOME", "")
    ]


def test_stopping_leaves_no_process(engine_folder: Path, tmp_path: Path) -> None:
    environment = {
        "VOICEFORGE_MODEL": str(engine_folder),
        "BENTOML_HOME": str(tmp_path / "bentoml"),
    }
    running = start_service(free_port(), environment, tmp_path / "log")
    family = [psutil.Process(running.pid), *psutil.Process(running.pid).children(recursive=True)]
    assert len(family) >= 2
    running.stop()
    running.stop()
    assert not [process for process in family if process.is_running()]
