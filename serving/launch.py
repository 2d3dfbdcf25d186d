"""Starting the service as a process of its own, and ending it with nothing left behind."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

from voiceforge.errors import StageError, UsageError
from voiceforge.processes import end_families

HOST = "127.0.0.1"
TARGET = "serving.service:VoiceForge"
_TAIL_LINES = 12
_SETTLED = 5.0
"""Seconds after which a reason for not being ready is believed to stay."""


class ServiceProcess:
    """A running service. Use it as a context manager, or call `stop`."""

    def __init__(self, process: subprocess.Popen[bytes], url: str, log: Path) -> None:
        self._process = process
        self.url = url
        self.log = log

    @property
    def pid(self) -> int:
        return self._process.pid

    def is_running(self) -> bool:
        return self._process.poll() is None

    def wait(self, until: Literal["ready", "live"], timeout: float) -> None:
        """Wait for `/readyz` or `/livez`.

        Raises:
            StageError: the process ended, did not answer in time, or says for some seconds that
                it has no model to serve; with the reason and the end of its log.
        """
        import httpx

        from serving.live_model import STARTING

        began = settled = time.monotonic()
        answer = "no answer"
        while time.monotonic() < began + timeout:
            if not self.is_running():
                raise StageError(f"The service ended as it started. {self._tail()}")
            before = answer
            try:
                response = httpx.get(f"{self.url}/{until}z")
                if response.status_code == 200:
                    return
                answer = response.text.strip()
            except httpx.TransportError:
                answer = "no answer"
            if answer != before or answer in ("no answer", STARTING):
                settled = time.monotonic()
            if time.monotonic() > settled + _SETTLED:
                break
            time.sleep(0.2)
        raise StageError(f"The service is not {until}: {answer} {self._tail()}")

    def stop(self, timeout: float = 15.0) -> None:
        """End the service and every process it started; stopped twice is fine."""
        end_families([self._process.pid], timeout)
        self._process.wait()

    def _tail(self) -> str:
        try:
            lines = self.log.read_text(errors="replace").splitlines()[-_TAIL_LINES:]
        except OSError:
            lines = []
        return f"The end of its log ({self.log}):\n" + "\n".join(lines)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()


def service_command(port: int, target: str = TARGET) -> list[str]:
    """The command line of the service on 127.0.0.1; `target` is an import path or a Bento's tag."""
    command = [sys.executable, "-m", "bentoml", "serve", target]
    command += ["--host", HOST, "--port", str(port)]
    if target == TARGET:
        command += ["--working-dir", str(Path(__file__).resolve().parent.parent)]
    return command


def start_service(
    port: int,
    env: Mapping[str, str],
    log: Path,
    *,
    target: str = TARGET,
    until: Literal["ready", "live"] = "ready",
    timeout: float = 120.0,
) -> ServiceProcess:
    """Start the service on 127.0.0.1 and wait for it.

    Args:
        port: free TCP port.
        env: laid over this process's environment: VOICEFORGE_*, BENTOML_HOME.
        log: file that its output is appended to.
        target: an import path, or the tag of a built Bento.
        until: "ready" waits for a loaded model, "live" for an answering server.
        timeout: seconds to wait.

    Raises:
        UsageError: the port is in use.
        StageError: the service ended or did not become ready; nothing is left running.
    """
    check_port(port)
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as stream:
        process = subprocess.Popen(
            service_command(port, target),
            env={**os.environ, "BENTOML_DO_NOT_TRACK": "True", **env},
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    service = ServiceProcess(process, f"http://{HOST}:{port}", log)
    try:
        service.wait(until, timeout)
    except BaseException:
        service.stop()
        raise
    return service


def check_port(port: int, option: str = "--port") -> None:
    """Raise a UsageError where something already listens on the port that `option` chose."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            raise UsageError(
                f"The port {port} cannot be used ({error.strerror}). End the program that listens "
                f"on it, or choose another one with {option}."
            ) from error


def free_port() -> int:
    """A port that nothing listens on now."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])
