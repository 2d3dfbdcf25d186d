"""What `voiceforge engine plan` does: TensorRT plans of an engine, ahead of time."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import typer

from cli.console import say
from voiceforge.errors import UsageError


def plan_engine(
    engine: Path, out: Path, capabilities: Sequence[str], decoder: Path | None, clips: int
) -> None:
    """Build the plans of an engine folder of ONNX Runtime and say what they are.

    Args:
        capabilities: compute capabilities of cards, such as "8.9"; none for the flavour's own.
        decoder: engine whose decoder is taken instead.
        clips: of a batch, at most.
    """
    from serving.engines.tensorrt import ahead
    from serving.engines.tensorrt.flavour import find_flavour
    from serving.engines.tensorrt.profiles import Limits, Span

    if out.exists() and not out.is_dir():
        raise UsageError(
            f"--out is {out}, which is no folder. Name a folder of plans, or a new one."
        )
    flavour = find_flavour()
    targets = flavour.targets(capabilities)
    limits = Limits(clips=Span(1, clips, clips))
    planned = ahead.plan_engine(
        engine, out, flavour, targets, limits=limits, decoder=decoder, progress=say
    )
    typer.echo(f"Flavour:   {flavour.name} {flavour.version} ({flavour.why})")
    typer.echo(f"For:       compute capability {', '.join(targets)}; up to {clips} clips at once")
    for one in planned:
        plan = one.plan
        took = f"built before, in {plan.seconds:.1f} s" if one.kept else f"{plan.seconds:.1f} s"
        typer.echo(f"Plan:      {plan.path} ({plan.size / 1e6:.1f} MB, {took})")
    typer.echo("Built, not executed: no engine of VoiceForge serves plans yet.")
