"""One held-out clip through the started service, over HTTP and as a stream."""

from __future__ import annotations

from rich.console import Console

from cli.run import held_out_clip
from voiceforge.processes import sigterm_as_interrupt
from voiceforge.settings import Settings


def transcribe_held_out(settings: Settings, domain: str) -> None:
    """Start the service with the domain's champion, ask it, and end it again."""
    from cli.champions import champions
    from data.audio import read_flac
    from lifecycle.workspace import open_workspace
    from pipelines.instance import environment
    from serving import client
    from serving.launch import free_port, start_service

    console = Console(soft_wrap=True)
    if domain not in champions(settings):
        console.print(f"{domain} has no champion, so there is no service to try.")
        return
    workspace = open_workspace(domain, settings)
    clip = held_out_clip(workspace)
    path = workspace.corpus / clip.audio
    environ = environment(settings) | {"VOICEFORGE_DOMAIN": domain}
    log = settings.home / "logs" / "try.log"
    with sigterm_as_interrupt(), start_service(free_port(), environ, log) as service:
        answer = client.transcribe(service.url, path)
        streamed = client.text_of(client.stream(service.url, read_flac(path)))
    console.print(f"\nHeld-out clip {clip.id}, {clip.duration:.1f} s, through the service:")
    console.print(f"  reference  {clip.text}", highlight=False)
    console.print(
        f"  HTTP       {answer['text']}   ({1000 * answer['seconds']:.0f} ms)", highlight=False
    )
    console.print(f"  WebSocket  {streamed}", highlight=False)
