"""The `voiceforge` command. Every command imports what it needs when it runs."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from cli.console import say, show_error
from cli.corpus_app import corpus_app
from cli.engine_app import engine_app
from voiceforge.errors import VoiceForgeError
from voiceforge.memory import keep_freed_memory

app = typer.Typer(
    name="voiceforge",
    help="From recordings to a served, proven speech model.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
app.add_typer(corpus_app, name="corpus")
app.add_typer(engine_app, name="engine")

Domain = Annotated[
    str | None, typer.Option("--domain", "-d", help="A domain of params.yaml; all by default.")
]
OneDomain = Annotated[str, typer.Option("--domain", "-d", help="A domain of params.yaml.")]
Port = Annotated[int, typer.Option(min=1, max=65535)]
Margin = Annotated[
    float,
    typer.Option(
        min=0.01, max=100.0, metavar="POINTS", help="Smallest difference that matters, in points."
    ),
]
_debug = False
_INTERRUPTED = 130


def _version(asked: bool) -> None:
    if asked:
        from voiceforge import __version__

        typer.echo(__version__)
        raise typer.Exit()


@app.callback()
def options(
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks.")] = False,
    version: Annotated[
        bool,
        typer.Option("--version", help="Print the version.", is_eager=True, callback=_version),
    ] = False,
) -> None:
    """From recordings to a served, proven speech model."""
    global _debug
    _debug = debug


@app.command()
def run(
    domain: Domain = None,
    try_service: Annotated[
        bool,
        typer.Option(help="Afterwards transcribe a held-out clip through the started service."),
    ] = False,
) -> None:
    """Run the lifecycle: corpus, fine-tuning, proof, registry, certificate, Bento."""
    from cli.run import run_domains

    run_domains(domain, try_service=try_service)


@app.command()
def up(
    dagster_port: Port = 3000,
    mlflow_port: Port = 5000,
    service_port: Port = 3030,
    domain: Domain = None,
) -> None:
    """Start the Dagster UI, the MLflow UI and the service; Ctrl-C ends them all."""
    from cli.up import start_all

    start_all(dagster_port, mlflow_port, service_port, domain)


@app.command()
def serve(
    domain: Domain = None,
    model: Annotated[
        str | None, typer.Option(help="An engine folder instead of the champion.")
    ] = None,
    port: Port = 3030,
) -> None:
    """Serve a domain's champion over HTTP and WebSocket on 127.0.0.1."""
    from cli.serve import serve_forever

    serve_forever(domain, model, port)


@app.command()
def transcribe(
    files: Annotated[list[Path], typer.Argument(help="Audio or video files.")],
    model: Annotated[
        str | None,
        typer.Option(
            metavar="MODEL",
            help="base:NAME, models:/DOMAIN@ALIAS, models:/DOMAIN/VERSION or an engine folder; "
            "by default the champion of the only domain that has one.",
        ),
    ] = None,
    language: Annotated[
        str | None,
        typer.Option(
            metavar="CODE",
            help="ISO 639-1 code, such as it, or auto to hear it from each file; by default the "
            "language that the model was tuned for, and auto for base models.",
        ),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Words with times, confidence, model and seconds.")
    ] = False,
    fallback: Annotated[
        bool,
        typer.Option(
            "--fallback",
            help="Doubt texts by Whisper's rules: sample those again that repeat themselves or "
            "are unlikely, and write nothing where nobody seems to speak.",
        ),
    ] = False,
    cut: Annotated[
        Literal["speech", "quiet"],
        typer.Option(
            help="How recordings over 25 s are cut: to the speech in them, or side by side at "
            "their quietest places, as evaluations cut them."
        ),
    ] = "speech",
) -> None:
    """Print what is said in audio files."""
    from cli.transcribe import transcribe_files

    transcribe_files(files, model, language, as_json=as_json, fallback=fallback, segmentation=cut)


@app.command()
def evaluate(
    speech: Annotated[
        str,
        typer.Argument(
            help="What to hear: a CSV or TSV of audio,text[,speaker,accent,...], a NeMo manifest, "
            "a corpus folder, a domain of params.yaml (its held-out split), or general:LANGUAGE "
            "(readings by people; general:en,it or general:all for several)."
        ),
    ],
    model: Annotated[
        str,
        typer.Option(help="base:NAME, models:/DOMAIN@ALIAS, models:/DOMAIN/VERSION or a folder."),
    ],
    out: Annotated[Path, typer.Option(help="Folder for predictions and reports.")],
    baseline: Annotated[
        str | None, typer.Option(help="A second model to compare with, named likewise.")
    ] = None,
    language: Annotated[
        str | None,
        typer.Option(
            help="Language of the speech, such as en; by default a domain's own, else en."
        ),
    ] = None,
    normaliser: Annotated[
        str | None,
        typer.Option(
            help="whisper-english, whisper-basic, or raw for none; by default OpenAI's of the "
            "language. With --replacements one of your own."
        ),
    ] = None,
    replacements: Annotated[
        Path | None,
        typer.Option(
            help="TSV or YAML of words and what they become, in both texts after the normaliser."
        ),
    ] = None,
    terms: Annotated[
        str | None,
        typer.Option(
            metavar="FILE|DOMAIN",
            help="Terms to find: a file with one a line, or a domain's vocabulary; by default that "
            "of the domain that is heard.",
        ),
    ] = None,
    margin: Margin = 0.5,
    split: Annotated[
        str | None, typer.Option(help="Of a domain (test without it) or of a corpus folder.")
    ] = None,
    engine: Annotated[
        str | None,
        typer.Option(
            metavar="KIND:PRECISION",
            help="What to build a model from that is given as weights, such as "
            "ctranslate2:float32; ctranslate2:int8 without it.",
        ),
    ] = None,
    baseline_engine: Annotated[
        str | None,
        typer.Option(metavar="KIND:PRECISION", help="The same of the baseline."),
    ] = None,
    robustness: Annotated[
        bool,
        typer.Option(
            "--robustness",
            help="Also hear some of it with noise, clipping and telephony, and sounds in which "
            "nobody speaks.",
        ),
    ] = False,
    latency: Annotated[
        bool,
        typer.Option(
            "--latency",
            help="Also time each model, cold and warm, on clips of 1 to 60 s and on batches.",
        ),
    ] = False,
    streaming: Annotated[
        bool,
        typer.Option(
            "--streaming", help="Also let some of it through the streaming decoder and time it."
        ),
    ] = False,
) -> None:
    """Measure a model on your speech, with intervals; exit code 3 if worse than the baseline."""
    from cli.evaluate import evaluate_model
    from lifecycle.evaluate import Asked
    from lifecycle.evaluated_speech import language_of
    from voiceforge.settings import load_settings

    asked = Asked.of(
        speech, model=model, baseline=baseline, normaliser=normaliser, split=split,
        language=language or language_of(load_settings(), speech), engine=engine,
        baseline_engine=baseline_engine, robustness=robustness, latency=latency,
        streaming=streaming, replacements=replacements, terms=terms,
    )  # fmt: skip
    evaluate_model(asked, out, margin)


@app.command()
def compare(
    candidate: Annotated[Path, typer.Argument(help="Folder of `voiceforge evaluate`.")],
    baseline: Annotated[Path, typer.Argument(help="Another, of the same speech.")],
    out: Annotated[
        Path | None,
        typer.Option(help="Folder for the report; by default against-SECOND in the first."),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Compare though speech or normaliser differ.")
    ] = False,
    margin: Margin = 0.5,
) -> None:
    """Compare the models of two evaluations; exit code 3 if the first is worse."""
    from cli.evaluate import compare_evaluations

    compare_evaluations(candidate, baseline, out, margin, force=force)


@app.command()
def status(
    as_json: Annotated[bool, typer.Option("--json", help="The same, for programs.")] = False,
) -> None:
    """Show each domain's champion, verdict, word error rates and age."""
    from cli.status import show_status

    show_status(as_json=as_json)


@app.command()
def init(
    domain: Annotated[str, typer.Argument(help="Name of the new domain, such as support-fr.")],
    language: Annotated[str, typer.Option(help="ISO 639-1 code, such as en.")],
    source: Annotated[Path, typer.Option(help="Folder of recordings with a CSV of audio,text.")],
    base_model: Annotated[
        str | None, typer.Option(help="Base model; by default one that knows the language.")
    ] = None,
) -> None:
    """Add a domain for your own recordings to params.yaml."""
    from cli.init import add_domain

    add_domain(domain, language, source, base_model)


@app.command()
def gc(
    dry_run: Annotated[bool, typer.Option(help="Only say what would be removed.")] = False,
    keep_runs: Annotated[int, typer.Option(min=1, help="Artifacts kept per stage.")] = 2,
) -> None:
    """Remove artifacts that no alias, certificate or recent run needs."""
    from cli.gc import collect_garbage

    collect_garbage(dry_run=dry_run, keep_runs=keep_runs)


@app.command()
def stage(
    name: Annotated[str, typer.Argument(help="A stage of dvc.yaml, such as corpus or engine.")],
    domain: OneDomain,
) -> None:
    """Run one stage without Dagster; dvc.yaml's stages call this."""
    from cli.stage import run_stage

    run_stage(name, domain)


@app.command()
def reproduce(
    domain: Annotated[str, typer.Argument(help="A domain of params.yaml.")],
    corpus: Annotated[str, typer.Option(help="The corpus's version, its md5 in DVC.")],
    adapter: Annotated[str, typer.Option(help="Key of the adapter.")],
    parameters: Annotated[str, typer.Option(help="Hash of the training parameters.")],
) -> None:
    """Train a model again as its card says, or refuse where anything is another."""
    from cli.reproduce import reproduce_model

    reproduce_model(domain, corpus, adapter, parameters)


def main() -> None:
    """Entry point: one paragraph for an error and its exit code, a traceback only with --debug."""
    keep_freed_memory()
    try:
        # Outside of its standalone mode Typer returns the exit code of an Exit and of a Ctrl-C.
        code = app(standalone_mode=False, prog_name="voiceforge")
        if code == _INTERRUPTED:
            raise KeyboardInterrupt
        sys.exit(code)
    except (KeyboardInterrupt, typer.Abort):
        say("Interrupted. What had finished is kept; the same command goes on from there.")
        sys.exit(_INTERRUPTED)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except Exception as error:
        if _debug:
            import traceback

            traceback.print_exc()
        sys.exit(_show(error))


def _show(error: Exception) -> int:
    """Print the paragraph of an error; returns the exit code."""
    from voiceforge.files import as_storage_error

    known = error if isinstance(error, VoiceForgeError) else as_storage_error(error)
    if known is not None:
        show_error(str(known))
        return known.exit_code
    usage = getattr(error, "format_message", None)
    if usage is not None:  # the parser's own errors
        if text := usage():
            show_error(text)
        return int(getattr(error, "exit_code", 2))
    show_error(
        f"{type(error).__name__}: {error}\nThis was not expected. `voiceforge --debug COMMAND` "
        "shows where it happened."
    )
    return 1


if __name__ == "__main__":
    main()
