"""The client beside a service that is not there, or is something else."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest

from serving import client
from serving.launch import HOST, free_port
from voiceforge.errors import StageError

SILENCE = np.zeros(16_000, np.float32)


@contextmanager
def server(answer: bytes | None) -> Iterator[str]:
    """A program that takes one connection, answers it and hangs up, or (None) says nothing."""
    over = threading.Event()
    with socket.create_server((HOST, 0)) as listening:

        def serve() -> None:
            connection, _ = listening.accept()
            with connection:
                connection.recv(65_536)
                if answer is None:
                    over.wait(30)
                else:
                    connection.sendall(answer)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield f"http://{HOST}:{listening.getsockname()[1]}"
        finally:
            over.set()
            thread.join(5)


def test_a_service_that_does_not_run_is_a_stage_error() -> None:
    url = f"http://{HOST}:{free_port()}"
    with pytest.raises(StageError, match=f"{url} opens no stream .*refused"):
        list(client.stream(url, SILENCE))


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", "HTTP 404"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "HTTP response"),
        (b"", "HTTP response"),
        (None, "timed out"),
    ],
    ids=["no such page", "no HTTP", "hangs up", "silent"],
)
def test_a_program_that_is_no_service_is_a_stage_error(answer: bytes | None, words: str) -> None:
    with server(answer) as url, pytest.raises(StageError, match=f"opens no stream .*{words}"):
        list(client.stream(url, SILENCE, timeout=1.0))


def test_the_text_of_a_stream_is_all_its_final_segments() -> None:
    events = [
        {"type": "ready"},
        {"type": "final", "text": "One."},
        {"type": "interim", "text": "tw"},
        {"type": "final", "text": ""},
        {"type": "final", "text": "Two."},
        {"type": "end"},
    ]
    assert client.text_of(events) == "One. Two."
    assert client.text_of(events[:1]) == ""
