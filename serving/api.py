"""The HTTP and WebSocket interface: a Starlette application around the served model.

Decoding audio and inference run in one worker thread, so that the event loop always answers.
"""

from __future__ import annotations

import asyncio
import json
import logging
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar

import numpy as np
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from data.features import SAMPLE_RATE
from serving.confidence import calibrated
from serving.engines.contracts import DecodingOptions, Fallback, Samples, Transcript
from serving.live_model import LiveModel, Served
from serving.streaming.session import Final, StreamEvent, StreamSession
from serving.transcription import WITH_WORDS, transcribe_upload
from serving.uploads import BadUploadError, UploadTooLargeError, read_upload
from voiceforge.errors import AudioError, GivenUpError

logger = logging.getLogger("bentoml.voiceforge")

MOST_BYTES = 64 << 20
"""Bytes of an upload."""

MOST_SECONDS = 3600.0
"""Seconds of audio of an upload."""

MOST_STREAMS = 16
_WAITING_MESSAGES = 64
_LOOK_EVERY = 0.5
"""Seconds after which a client that waits for a transcript is looked for again."""

_TRY_AGAIN_LATER = 1013
_UNSUPPORTED = 1003

Result = TypeVar("Result")


class Api:
    """The routes, and the one thread that computes for them."""

    def __init__(self, model: LiveModel) -> None:
        self._model = model
        self._worker = ThreadPoolExecutor(1, "inference")
        self._closing = threading.Event()
        self._streams = 0
        self.app = Starlette(
            routes=[
                Route("/api/v1/transcribe", self.transcribe, methods=["POST"]),
                Route("/api/v1/models/list", self.models, methods=["GET"]),
                WebSocketRoute("/api/v1/transcribe/stream", self.stream),
            ]
        )

    def close(self) -> None:
        """Let the running computation end, a long one at its next segments; start no other."""
        self._closing.set()
        self._worker.shutdown(wait=True, cancel_futures=True)

    async def _compute(self, function: Callable[[], Result]) -> Result:
        return await asyncio.get_running_loop().run_in_executor(self._worker, function)

    async def transcribe(self, request: Request) -> Response:
        """A recording in, its transcript out."""
        served = self._model.current
        if served is None:
            return _error(503, "no-model", self._model.problem)
        try:
            options = _options(request)
            upload = await read_upload(request, MOST_BYTES)
            gone = threading.Event()
            work = partial(
                transcribe_upload, served.engine, upload.content, upload.name, options=options,
                longest=MOST_SECONDS, calibrator=served.calibrator,
                cancelled=lambda: gone.is_set() or self._closing.is_set(),
            )  # fmt: skip
            transcript = await self._while_connected(request, work, gone)
        except UploadTooLargeError:
            return _error(
                413, "too-large", f"The upload has more than {MOST_BYTES >> 20} MiB. Cut it."
            )
        except BadUploadError as error:
            return _error(400, "bad-upload", str(error))
        except AudioError as error:
            return _error(400, error.reason, str(error))
        except GivenUpError:
            return _error(503, "given-up", "The service is ending. Send the recording again.")
        return JSONResponse({"model": served.label, **transcript.as_dict()})

    async def _while_connected(
        self, request: Request, work: Callable[[], Result], gone: threading.Event
    ) -> Result:
        """Compute; `gone` is set when the client goes away before that is done."""
        computing = asyncio.ensure_future(self._compute(work))
        while not (await asyncio.wait({computing}, timeout=_LOOK_EVERY))[0]:
            if not gone.is_set() and await request.is_disconnected():
                gone.set()
        return await computing

    async def models(self, request: Request) -> Response:
        """What is served, and what keeps a newer model from being served."""
        served = self._model.current
        return JSONResponse(
            {"models": [_describe(served)] if served else [], "problem": self._model.problem}
        )

    async def stream(self, socket: WebSocket) -> None:
        """16-bit little-endian PCM at 16 kHz in, events out, until {"type": "finish"}."""
        await socket.accept()
        served = self._model.current
        if served is None:
            await _refuse(socket, _TRY_AGAIN_LATER, "no-model", self._model.problem)
            return
        if self._streams >= MOST_STREAMS:
            why = f"{MOST_STREAMS} streams are open, the most at once. Try again later."
            await _refuse(socket, _TRY_AGAIN_LATER, "busy", why)
            return
        self._streams += 1
        try:
            await self._run_stream(socket, served)
        except WebSocketDisconnect:
            logger.info("A stream ended before it was finished")
        finally:
            self._streams -= 1

    async def _run_stream(self, socket: WebSocket, served: Served) -> None:
        def decode(samples: Samples, options: DecodingOptions) -> Transcript:
            return served.engine.transcribe([samples], options)[0]

        session = StreamSession(decode)
        await socket.send_json({"type": "ready", "model": served.label, "sample_rate": SAMPLE_RATE})
        messages: asyncio.Queue[dict[str, Any]] = asyncio.Queue(_WAITING_MESSAGES)
        reader = asyncio.create_task(_read(socket, messages))
        pending = b""
        try:
            while True:
                batch = [await messages.get()]
                # While one chunk was computed others came: together they cost one interim.
                while not messages.empty():
                    batch.append(messages.get_nowait())
                finished = False
                for message in batch:
                    if message["type"] == "websocket.disconnect":
                        raise WebSocketDisconnect(message.get("code", 1005))
                    if message.get("bytes") is not None:
                        pending += message["bytes"]
                    elif _is_finish(message.get("text")):
                        finished = True
                        break
                    else:
                        why = 'Send PCM as binary messages, and {"type": "finish"} at the end.'
                        await _refuse(socket, _UNSUPPORTED, "bad-message", why)
                        return
                whole = len(pending) // 2 * 2
                samples, pending = _samples(pending[:whole]), pending[whole:]
                events = await self._compute(partial(_advance, session, samples, finished))
                for event in events:
                    await socket.send_json(calibrated_event(event, served).as_dict())
                if finished:
                    await socket.send_json({"type": "end"})
                    await socket.close()
                    return
        finally:
            reader.cancel()


def _options(request: Request) -> DecodingOptions:
    """What the request's parameters ask for.

    Raises:
        BadUploadError: a value is neither true nor false.
    """
    asked = request.query_params.get("fallback", "false")
    if asked not in ("true", "false"):
        raise BadUploadError(f"The parameter fallback is {asked!r}. Write true or false.")
    return replace(WITH_WORDS, fallback=Fallback() if asked == "true" else None)


def _advance(session: StreamSession, samples: Samples, finished: bool) -> list[StreamEvent]:
    events = session.accept(samples) if len(samples) else []
    return events + session.finish() if finished else events


def calibrated_event(event: StreamEvent, served: Served) -> StreamEvent:
    """A final result with what the model's calibrator makes of its confidences."""
    if not isinstance(event, Final):
        return event
    # Streams are heard in the engine's own language.
    language = served.engine.description.language
    seconds = event.end - event.start
    sure = calibrated(event.confidence, event.words, seconds, language, served.calibrator)
    return replace(event, confidence=sure.text, words=sure.words, calibrated=sure.calibrated)


def _samples(pcm: bytes) -> Samples:
    return np.frombuffer(pcm, "<i2").astype(np.float32) / 32768.0


async def _read(socket: WebSocket, messages: asyncio.Queue[dict[str, Any]]) -> None:
    """Move messages into the queue; where it is full the client waits."""
    while True:
        message = dict(await socket.receive())
        await messages.put(message)
        if message["type"] == "websocket.disconnect":
            return


def _is_finish(text: str | None) -> bool:
    try:
        control = json.loads(text or "")
    except ValueError:
        return False
    return isinstance(control, dict) and control.get("type") == "finish"


def _describe(served: Served) -> dict[str, Any]:
    description = served.engine.description
    return {
        "name": served.name,
        "version": served.version,
        "engine_sha256": served.engine_sha256,
        "certified": served.certified,
        "kind": description.kind,
        "precision": description.precision,
        "reason": served.reason,
        "language": description.language,
        "calibrated": list(served.calibrator.fitted) if served.calibrator else [],
    }


def _error(status: int, code: str, message: str) -> Response:
    return JSONResponse({"error": {"code": code, "message": message}}, status_code=status)


async def _refuse(socket: WebSocket, status: int, code: str, message: str) -> None:
    await socket.send_json({"type": "error", "code": code, "message": message})
    await socket.close(status)
