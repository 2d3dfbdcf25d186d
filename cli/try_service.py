"""One held-out clip through the started service, over HTTP and as a stream."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.console import Console

from voiceforge.errors import StageError
from voiceforge.processes import sigterm_as_interrupt
from voiceforge.settings import Settings

if TYPE_CHECKING:
    from lifecycle.workspace import Workspace


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
    clip = _held_out_clip(workspace)
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


def _held_out_clip(workspace: Workspace) -> Any:
    """A test utterance of ordinary length: a person's where there is one.

    Raises:
        StageError: the test split is empty.
    """
    from lifecycle.predictions import test_utterances

    clips = test_utterances(workspace)
    if not clips:
        raise StageError(f"The corpus of {workspace.domain.name} has no held-out utterance.")
    people = [clip for clip in clips if not clip.is_synthetic] or clips
    return min(people, key=lambda clip: (abs(clip.duration - 4.0), clip.id))
