"""`voiceforge serve`: the champion over HTTP and WebSocket until Ctrl-C."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path

from rich.console import Console

from cli.champions import served_domain
from voiceforge.errors import StageError, UsageError
from voiceforge.processes import sigterm_as_interrupt
from voiceforge.settings import load_settings


def serve_forever(domain: str | None, model: str | None, port: int) -> None:
    """Start the service, print its address, and end it on Ctrl-C or SIGTERM."""
    from pipelines.instance import environment, prepare
    from serving.launch import check_port, start_service

    settings, console = load_settings(), Console(soft_wrap=True)
    if model is not None and domain is not None:
        raise UsageError("Name a domain or a model, not both.")
    if model is not None and not (Path(model) / "engine.json").is_file():
        raise UsageError(f"--model is {model!r}, which is no folder with an engine.json.")
    check_port(port)
    environ = environment(settings)
    if model is not None:
        environ["VOICEFORGE_MODEL"] = str(Path(model).resolve())
    else:
        domain = environ["VOICEFORGE_DOMAIN"] = served_domain(settings, domain)
    prepare(settings)
    log = settings.home / "logs" / "service.log"
    with sigterm_as_interrupt(), start_service(port, environ, log) as service:
        console.print(f"Serving {model or domain} at {service.url}. Ctrl-C ends it.")
        with contextlib.suppress(KeyboardInterrupt):
            while service.is_running():
                time.sleep(0.5)
            raise StageError(f"The service ended by itself; its log is {service.log}.")
