"""`voiceforge up`: Dagster UI, MLflow UI and the service, started and ended together."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from cli.champions import champions
from voiceforge.errors import StageError, UsageError
from voiceforge.processes import adopt_orphans, end_children, sigterm_as_interrupt
from voiceforge.settings import Settings, load_settings

HOST = "127.0.0.1"
_PATIENCE = 180.0
_TAIL_LINES = 12


@dataclass(frozen=True)
class Server:
    """A program with a page.

    Attributes:
        path: page that answers when the program is ready.
    """

    name: str
    command: Sequence[str]
    port: int
    path: str

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}"


def start_all(dagster_port: int, mlflow_port: int, service_port: int, domain: str | None) -> None:
    """Start all three, print their addresses, wait for Ctrl-C, end them and what they started."""
    from pipelines.dead_runs import end_dead_runs
    from pipelines.instance import environment, open_instance
    from serving.launch import check_port

    settings, console = load_settings(), Console(soft_wrap=True)
    options = ("--dagster-port", "--mlflow-port", "--service-port")
    ports = (dagster_port, mlflow_port, service_port)
    if len(set(ports)) < len(ports):
        raise UsageError(f"The three ports must differ; they are {', '.join(map(str, ports))}.")
    for port, option in zip(ports, options, strict=True):
        check_port(port, option)
    served = _domain(settings, domain)
    with open_instance(settings) as instance:
        end_dead_runs(instance)
    environ = {**os.environ, **environment(settings)}
    if served:
        environ["VOICEFORGE_DOMAIN"] = served
    servers = _servers(settings, *ports)
    with sigterm_as_interrupt(), _running(servers, environ, settings.home / "logs") as running:
        for server, process in running:
            _wait(server, process, settings.home / "logs" / f"{server.name}.log")
            console.print(f"  {server.name:<8} {server.url}", highlight=False)
        if served:
            console.print(f"The service serves the champion of {served}.", highlight=False)
        else:
            console.print("The service waits for a champion: `voiceforge run` makes one.")
        console.print("Ctrl-C ends them all.")
        _wait_for_end(running)


def _servers(settings: Settings, dagster: int, mlflow: int, service: int) -> list[Server]:
    python = [sys.executable, "-m"]
    bind = ["--host", HOST, "--port"]
    return [
        Server(
            "MLflow",
            [*python, "mlflow", "server", *bind, str(mlflow), "--workers", "1",
             "--backend-store-uri", settings.mlflow_uri,
             "--default-artifact-root", settings.mlflow_artifacts.as_uri()],
            mlflow,
            "/health",
        ),
        Server(
            "service",
            [*python, "bentoml", "serve", "serving.service:VoiceForge", *bind, str(service),
             "--working-dir", str(Path(__file__).resolve().parent.parent)],
            service,
            "/livez",
        ),
        Server(
            "Dagster",
            [*python, "dagster", "dev", "--module-name", "pipelines.definitions", *bind,
             str(dagster)],
            dagster,
            "/server_info",
        ),
    ]  # fmt: skip


def _domain(settings: Settings, domain: str | None) -> str | None:
    """The domain to serve; where none was asked for, the only champion's, or none yet."""
    from cli.champions import served_domain

    if domain is not None:
        return served_domain(settings, domain)
    found = champions(settings)
    if len(found) > 1:
        raise UsageError(
            f"There are champions of {', '.join(found)}: say with --domain which one to serve."
        )
    return found[0] if found else None


@contextlib.contextmanager
def _running(
    servers: Sequence[Server], environ: Mapping[str, str], logs: Path
) -> Iterator[list[tuple[Server, subprocess.Popen[bytes]]]]:
    logs.mkdir(parents=True, exist_ok=True)
    running: list[tuple[Server, subprocess.Popen[bytes]]] = []
    adopt_orphans()
    try:
        for server in servers:
            with (logs / f"{server.name}.log").open("wb") as log:
                process = subprocess.Popen(
                    server.command,
                    env=dict(environ),
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    # Ctrl-C reaches this program only, which then ends the others in order.
                    start_new_session=True,
                )
            running.append((server, process))
        yield running
    finally:
        end_children()
        for _, process in running:
            process.wait()


def _wait(server: Server, process: subprocess.Popen[bytes], log: Path) -> None:
    import httpx

    deadline = time.monotonic() + _PATIENCE
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise StageError(f"{server.name} ended as it started. {_tail(log)}")
        with contextlib.suppress(httpx.TransportError):
            if httpx.get(server.url + server.path, timeout=5.0).status_code == 200:
                return
        time.sleep(0.3)
    raise StageError(f"{server.name} did not answer in {_PATIENCE:.0f} s. {_tail(log)}")


def _wait_for_end(running: Sequence[tuple[Server, subprocess.Popen[bytes]]]) -> None:
    """Return on Ctrl-C or SIGTERM; a server that ends by itself is an error."""
    with contextlib.suppress(KeyboardInterrupt):
        while True:
            for server, process in running:
                if process.poll() is not None:
                    raise StageError(
                        f"{server.name} ended by itself with status {process.returncode}; its log "
                        f"is {server.name}.log in the logs folder. The others were ended too."
                    )
            time.sleep(0.5)


def _tail(log: Path) -> str:
    lines = log.read_text(errors="replace").splitlines()[-_TAIL_LINES:]
    return f"The end of its log ({log}):\n" + "\n".join(lines)
