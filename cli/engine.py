"""What `voiceforge engine` does: show, build, check and explain engines."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from cli.console import say, show_table
from voiceforge.errors import UsageError
from voiceforge.settings import load_settings

if TYPE_CHECKING:
    from evaluation.estimate import Estimate
    from serving.engines.choice import Checked

REJECTED = 3
"""Exit code: the engine surely loses more word error rate than is allowed."""


def show_engines() -> None:
    """Every engine that this version offers, and whether this machine can run it."""
    from rich.table import Table

    from serving.engines.offered import DEFAULT, OFFERED, EngineName, probe

    table = Table()
    for column in ("engine", "precision", "available"):
        table.add_column(column)
    for kind, precisions in OFFERED.items():
        found = probe(kind)
        state = f"no: {found.problem}" if found.problem else f"yes, {found.version}"
        for precision in precisions:
            default = " (default)" if EngineName(kind, precision) == DEFAULT else ""
            table.add_row(kind, f"{precision}{default}", state)
    show_table(table)


def build_engine(model: str, engine: str, out: Path) -> None:
    """Build an engine of weights into a new folder, whole or not at all."""
    from lifecycle.named_models import build_engine, weights_of
    from serving.engines import engine_sha256
    from serving.engines.offered import parse_engine, probe
    from voiceforge.files import new_folder

    name = parse_engine(engine)
    if problem := probe(name.kind).problem:
        raise UsageError(f"{name} cannot be built here: {problem}.")
    if out.exists():
        raise UsageError(f"--out is {out}, which exists already. Name a new folder.")
    weights = weights_of(load_settings(), model, say)
    if weights is None:
        raise UsageError(
            f"{model!r} has no weights to build from: name base:NAME, or a folder with a Whisper "
            "model of Hugging Face (config.json, model.safetensors, tokenizer.json)."
        )
    with new_folder(out) as folder:
        build_engine(weights, name, folder)
    size = sum(file.stat().st_size for file in out.rglob("*") if file.is_file())
    typer.echo(f"Engine:    {out} ({name}, {size / 1e6:.0f} MB)")
    typer.echo(f"Identity:  {engine_sha256(out)}")


def check_engine(
    folder: Path, source: str | None, speech: str | None, out: Path | None, margin: float
) -> None:
    """Check files and, beside its source in float32, what the engine says.

    Args:
        margin: largest loss that is allowed, points of word error rate.
    """
    if (source is None) is not (speech is None):
        missing, given = ("--speech", "--source") if speech is None else ("--source", "--speech")
        raise UsageError(f"{given} needs {missing}: the source and the engine hear the same.")
    _check_files(folder)
    if source is not None and speech is not None:
        if out is not None:
            _check_words(folder, source, speech, out, margin)
            return
        with tempfile.TemporaryDirectory() as scratch:
            _check_words(folder, source, speech, Path(scratch) / "check", margin)


def _check_files(folder: Path) -> None:
    import numpy as np

    from serving.engines import engine_sha256, load_engine
    from serving.engines.contracts import DecodingOptions
    from serving.engines.offered import engine_name

    engine = load_engine(folder, threads=load_settings().threads)
    engine.transcribe([np.zeros(16_000, np.float32)], DecodingOptions())
    about = engine.description
    built = ", ".join(f"{name} {version}" for name, version in about.tool_versions.items())
    typer.echo(f"Engine:    {engine_name(about)}, {len(about.files)} files as they were built")
    typer.echo(f"Identity:  {engine_sha256(folder)}")
    typer.echo(f"Built of:  tensors {about.source_sha256[:16]}, with {built}")
    hears = f"clips of {about.minimum_mel_frames / 100:g} s and more at their own length"
    typer.echo(f"Hears:     {hears}, in {about.language}")
    if about.wer_before and about.wer_after:
        typer.echo(
            f"Checked:   {about.wer_after.percent()} of {about.wer_after.words:,} words wrong when "
            f"it was built, {about.wer_before.percent()} in float32"
        )


def _check_words(folder: Path, source: str, speech: str, out: Path, margin: float) -> None:
    from cli.progress import stages_shown
    from lifecycle.evaluate import Asked, evaluate
    from lifecycle.evaluated_speech import language_of
    from lifecycle.evaluation_report import write_report
    from serving.engines.choice import allowed

    settings = load_settings()
    asked = Asked.of(
        speech, model=str(folder), baseline=source, baseline_engine="ctranslate2:float32",
        language=language_of(settings, speech),
    )  # fmt: skip
    with stages_shown():
        evaluated = evaluate(settings, asked, out)
    overall = write_report(evaluated, out, margin=margin / 100).report.scan.overall
    if overall.candidate is None or overall.baseline is None or overall.difference is None:
        raise UsageError(f"{speech} has no words, so that nothing can be compared.")
    typer.echo(f"Engine:    {overall.candidate.percent()} of {overall.words:,} words wrong")
    typer.echo(f"float32:   {overall.baseline.percent()}")
    typer.echo(f"Loss:      {_points(overall.difference)} points; {margin:+g} is allowed")
    answer = allowed(overall.difference, margin)
    typer.echo(f"Verdict:   {answer}")
    if answer.startswith("rejected"):
        raise typer.Exit(REJECTED)


def explain_engine(domain: str, *, as_json: bool) -> None:
    """Which engine serves a domain, beside those that do not, and why."""
    from lifecycle.engine_choice import explained
    from lifecycle.workspace import open_workspace

    choice = explained(open_workspace(domain))
    if as_json:
        typer.echo(json.dumps(choice.as_dict(), indent=2))
        return
    _show_choice(choice.engines, choice.chosen)
    typer.echo(choice.reason)


def _show_choice(engines: tuple[Checked, ...], chosen: str) -> None:
    from rich.table import Table

    table = Table()
    columns = ("engine", "word error rate", "loss in points", "ms a clip", "batches", "MB", "")
    for column in columns:
        table.add_column(column)
    for one in engines:
        if one.unavailable:
            table.add_row(one.name, "", "", "", "", "", f"not available: {one.unavailable}")
            continue
        state = "serves" if one.name == chosen else "passed" if one.passed else "did not pass"
        table.add_row(
            one.name,
            one.word_error_rate.percent() if one.word_error_rate else "",
            _points(one.loss) if one.loss else "",
            f"{1000 * one.seconds:.0f}" if one.seconds else "",
            f"{one.audio_per_second:.0f} x" if one.audio_per_second else "",
            f"{one.size / 1e6:.0f}",
            state,
        )
    show_table(table)


def _points(loss: Estimate) -> str:
    return f"{100 * loss.value:+.2f} [{100 * loss.low:+.2f}, {100 * loss.high:+.2f}]"
