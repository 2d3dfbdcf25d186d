"""`voiceforge engine ...`: the commands and their options; each imports its work when it runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

engine_app = typer.Typer(
    help="Engines: what runs a model, in which precision, and why that one serves.",
    no_args_is_help=True,
)

Model = Annotated[
    str,
    typer.Argument(help="base:NAME, or a folder with a Whisper model of Hugging Face."),
]
Engine = Annotated[
    str, typer.Option(metavar="KIND:PRECISION", help="Such as onnxruntime:int8; see `list`.")
]


@engine_app.command("list")
def list_engines() -> None:
    """Show the engines of this version, and which of them this machine can run."""
    from cli.engine import show_engines

    show_engines()


@engine_app.command()
def build(
    model: Model,
    out: Annotated[Path, typer.Option(help="Folder to make; it must not exist.")],
    engine: Engine = "ctranslate2:int8",
    language: Annotated[
        str | None,
        typer.Option(metavar="CODE", help="What it hears, such as it; English models need none."),
    ] = None,
    calibration: Annotated[
        Path | None,
        typer.Option(
            help="Folder of recordings that int8_static is fitted to: a few dozen, up to 30 s "
            "each, that nothing is evaluated on."
        ),
    ] = None,
) -> None:
    """Build an engine of a model's weights, which `serve`, `transcribe` and `evaluate` take."""
    from cli.engine import build_engine

    build_engine(model, engine, out, language, calibration)


@engine_app.command()
def plan(
    engine: Annotated[Path, typer.Argument(help="An engine folder of ONNX Runtime.")],
    out: Annotated[Path, typer.Option(help="Folder of plans; what it has already is kept.")],
    compute_capability: Annotated[
        list[str] | None,
        typer.Option(
            metavar="X.Y",
            help="Of the cards to build for, such as 8.9; may be repeated. By default all from 8.0 "
            "on that TensorRT-RTX knows, or the card of this machine.",
        ),
    ] = None,
    decoder: Annotated[
        Path | None,
        typer.Option(help="Engine of the same weights whose decoder to take, for int8_static."),
    ] = None,
    clips: Annotated[
        int, typer.Option(min=1, max=256, help="Clips at once, at most; beams count.")
    ] = 8,
) -> None:
    """Build TensorRT plans of an engine's graphs ahead of time; nothing is executed."""
    from cli.engine_plan import plan_engine

    plan_engine(engine, out, compute_capability or [], decoder, clips)


@engine_app.command()
def check(
    folder: Annotated[Path, typer.Argument(help="An engine folder.")],
    source: Annotated[
        str | None,
        typer.Option(
            help="The model that it was built of, base:NAME or a folder of Hugging Face: it is "
            "heard in float32 beside the engine."
        ),
    ] = None,
    speech: Annotated[
        str | None,
        typer.Option(help="What both hear, as in `voiceforge evaluate`."),
    ] = None,
    language: Annotated[
        str | None,
        typer.Option(metavar="CODE", help="Of the speech; by default the engine's own."),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Folder for predictions and reports.")] = None,
    margin: Annotated[
        float, typer.Option(min=0.01, max=100.0, metavar="POINTS", help="Largest loss allowed.")
    ] = 0.5,
) -> None:
    """Check an engine's files, and with --source and --speech what its precision costs.

    Exit code 3 where it surely loses more than the margin.
    """
    from cli.engine import check_engine

    check_engine(folder, source, speech, language, out, margin)


@engine_app.command()
def explain(
    domain: Annotated[str, typer.Argument(help="A domain of params.yaml.")],
    as_json: Annotated[bool, typer.Option("--json", help="The same, for programs.")] = False,
) -> None:
    """Say which engine a domain's last run chose, and why; and what its champion has."""
    from cli.engine import explain_engine

    explain_engine(domain, as_json=as_json)
