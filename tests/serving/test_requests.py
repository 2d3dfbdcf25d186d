"""What a request may ask of the service, and what becomes of one whose client goes away."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import uvicorn

from data.audio import encode_flac
from serving.api import Api
from serving.engines.contracts import Samples
from serving.engines.whisper import WhisperEngine
from serving.launch import free_port
from serving.live_model import FolderSource, LiveModel

pytestmark = pytest.mark.system  # minutes of speech are heard


@pytest.fixture
def url(engine_folder: Path, threads: int) -> Iterator[str]:
    """The service's application in this process, with the engine in its folder."""
    live = LiveModel(lambda: FolderSource(engine_folder), threads)
    live.start()
    api = Api(live)
    port = free_port()
    server = uvicorn.Server(uvicorn.Config(api.app, port=port, log_level="error"))
    thread = threading.Thread(target=server.run)
    thread.start()
    address = f"http://127.0.0.1:{port}"
    with httpx.Client(transport=httpx.HTTPTransport(retries=10)) as patient:
        while not patient.get(f"{address}/api/v1/models/list").json()["models"]:
            pass
    yield f"{address}/api/v1/transcribe"
    server.should_exit = True
    thread.join()
    api.close()
    live.stop()


def test_a_client_that_goes_away_ends_its_recording(
    url: str, speech: Samples, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of nine segments the first is decoded, and the one that is at work when the client goes."""
    heard: list[int] = []
    began, transcribe = threading.Event(), WhisperEngine.transcribe

    def watched(engine: WhisperEngine, clips: Sequence[Samples], *given: Any) -> Any:
        heard.append(len(clips))
        began.set()
        return transcribe(engine, clips, *given)

    monkeypatch.setattr(WhisperEngine, "transcribe", watched)
    monkeypatch.setattr("serving.longform.AT_ONCE", 1)
    monkeypatch.setattr("serving.api._LOOK_EVERY", 0.05)
    body = encode_flac(np.tile(speech, 12))
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(url, content=body, timeout=httpx.Timeout(60.0, read=1.0))
    began.wait(60.0)
    short = encode_flac(speech[: 2 * 16_000])
    assert httpx.post(url, content=short, timeout=120.0).status_code == 200
    assert len(heard) < 8


def test_a_request_may_ask_for_the_rules_against_invention(url: str) -> None:
    noise = np.random.default_rng(0).normal(0.0, 0.05, 160_000).astype(np.float32)
    body = encode_flac(noise)
    greedy, ruled = (
        httpx.post(url, params={"fallback": asked}, content=body, timeout=120.0).json()
        for asked in ("false", "true")
    )
    assert greedy["text"]
    assert (ruled["text"], ruled["words"]) == ("", [])


def test_a_parameter_that_is_neither_true_nor_false_is_named(url: str) -> None:
    answer = httpx.post(url, params={"fallback": "maybe"}, content=b"x")
    assert answer.status_code == 400
    assert "'maybe'" in answer.json()["error"]["message"]
