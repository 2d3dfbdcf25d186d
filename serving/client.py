"""A small client of the service, for commands, tests and benchmarks."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from data.features import SAMPLE_RATE
from serving.engines.contracts import Samples
from voiceforge.errors import StageError

_CHUNK = SAMPLE_RATE // 10


def transcribe(url: str, path: Path, *, timeout: float = 600.0) -> dict[str, Any]:
    """Transcribe a file over HTTP; the answer of `POST /api/v1/transcribe`.

    Raises:
        StageError: the service cannot be reached or refuses the file, with its reason.
    """
    import httpx

    try:
        with path.open("rb") as stream:
            response = httpx.post(
                f"{url}/api/v1/transcribe", files={"file": (path.name, stream)}, timeout=timeout
            )
    except httpx.TransportError as error:
        raise StageError(f"The service at {url} cannot be reached ({error}).") from error
    if response.status_code != 200:
        raise StageError(f"The service refused {path.name}: {_reason(response.text)}")
    answer: dict[str, Any] = response.json()
    return answer


def stream(
    url: str, samples: Samples, *, realtime: bool = False, timeout: float = 30.0
) -> Iterator[dict[str, Any]]:
    """Stream samples over WebSocket in chunks of 100 ms; yields the events as they come.

    Args:
        url: of the service, http.
        samples: mono audio at 16 kHz, float32 in -1..1.
        realtime: send as fast as the audio would be spoken.
        timeout: seconds to wait for the service to open the stream.

    Raises:
        StageError: the service cannot be reached, is another program, refuses the stream or goes
            away.
    """
    from websockets.exceptions import ConnectionClosed, WebSocketException
    from websockets.sync.client import connect

    pcm = np.clip(np.rint(samples * 32768.0), -32768, 32767).astype("<i2").tobytes()
    address = url.replace("http", "ws", 1) + "/api/v1/transcribe/stream"
    try:
        opened = connect(address, open_timeout=timeout)
    except (OSError, WebSocketException) as error:
        raise StageError(
            f"The service at {url} opens no stream ({error}). Check that it runs there, "
            "and its log."
        ) from error
    with opened as socket:

        def send() -> None:
            try:
                for start in range(0, len(pcm), 2 * _CHUNK):
                    if realtime:
                        time.sleep(_CHUNK / SAMPLE_RATE)
                    socket.send(pcm[start : start + 2 * _CHUNK])
                socket.send(json.dumps({"type": "finish"}))
            except ConnectionClosed:
                return

        sender = threading.Thread(target=send, daemon=True)
        sender.start()
        try:
            for message in socket:
                event = json.loads(message)
                if event["type"] == "error":
                    raise StageError(f"The service refused the stream: {event['message']}")
                yield event
                if event["type"] == "end":
                    return
            raise StageError("The service closed the stream before it was finished.")
        except ConnectionClosed as error:
            raise StageError(f"The service went away during the stream ({error}).") from error
        finally:
            socket.close()
            sender.join(timeout=5.0)


def text_of(events: Iterable[Mapping[str, Any]]) -> str:
    """What was said in a whole stream: its final segments, in order; "" when there are none."""
    finals = (event["text"] for event in events if event["type"] == "final")
    return " ".join(text for text in finals if text)


def _reason(body: str) -> str:
    try:
        return str(json.loads(body)["error"]["message"])
    except (ValueError, KeyError, TypeError):
        return body.strip()
