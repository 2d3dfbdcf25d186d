"""What `voiceforge engine` does: show, build, check and explain engines."""

from __future__ import annotations

import json
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from cli.console import say, show_table
from evaluation.estimate import signed_points
from voiceforge.errors import UsageError
from voiceforge.settings import load_settings

if TYPE_CHECKING:
    from lifecycle.named_models import Weights
    from lifecycle.workspace import Workspace
    from serving.engines.choice import Choice
    from serving.engines.contracts import Samples

_EXACT, _HEARD_AT_ONCE = "ctranslate2:float32", 30.0
_FEW = 24
"""Recordings below which a calibration is warned of."""
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


def build_engine(
    model: str, engine: str, out: Path, language: str | None, calibration: Path | None
) -> None:
    """Build an engine of weights into a new folder, whole or not at all.

    Args:
        language: ISO 639-1 code that it hears; None for a model of English.
        calibration: folder of recordings that the precision is fitted to, if it is one that is.
    """
    from lifecycle.named_models import build_engine
    from serving.engines import engine_sha256
    from serving.engines.offered import CALIBRATED, check_calibration, parse_engine, probe
    from voiceforge.files import new_folder

    name = parse_engine(engine)
    if problem := probe(name.kind).problem:
        raise UsageError(f"{name} cannot be built here: {problem}.")
    if out.exists():
        raise UsageError(f"--out is {out}, which exists already. Name a new folder.")
    weights = _weights(model)
    if weights.multilingual and language is None:
        raise UsageError(
            f"{model} knows many languages: say --language, such as --language it. It is what the "
            "engine hears where nobody asks for another."
        )
    if not weights.multilingual and language not in (None, "en"):
        raise UsageError(f"--language is {language!r}, and {model} knows English alone.")
    if calibration and name.precision not in CALIBRATED:
        raise UsageError(
            f"--calibration is {calibration}, and {name} is fitted to no speech. Leave it out, or "
            f"build one that is: {', '.join(CALIBRATED)}."
        )
    clips = _recordings(calibration) if calibration else []
    if calibration and len(clips) < _FEW:
        say(f"{len(clips)} recordings are few to fit {name} to: a few dozen show the range better.")
    check_calibration(name, len(clips))
    with new_folder(out) as folder:
        build_engine(weights, name, folder, language or "en", clips)
    size = sum(file.stat().st_size for file in out.rglob("*") if file.is_file())
    typer.echo(f"Engine:    {out} ({name}, {size / 1e6:.0f} MB)")
    typer.echo(f"Identity:  {engine_sha256(out)}")


def _recordings(folder: Path) -> list[Samples]:
    """The recordings in a folder, in the order of their names.

    Raises:
        UsageError: it has none that can be read and is up to 30 s long.
    """
    from data.audio import decode
    from voiceforge.errors import AudioError

    found = []
    for path in sorted(folder.glob("*")):
        try:
            found.append(decode(path, longest=_HEARD_AT_ONCE))
        except AudioError as error:
            say(f"{path} is left out: {error}")
    if not found:
        raise UsageError(f"--calibration is {folder}, which holds no recordings up to 30 s long.")
    return found


def _weights(model: str) -> Weights:
    from lifecycle.named_models import weights_of

    weights = weights_of(load_settings(), model, say)
    if weights is None:
        raise UsageError(
            f"{model!r} has no weights to build from: name base:NAME, or a folder with a Whisper "
            "model of Hugging Face (config.json, model.safetensors, tokenizer.json)."
        )
    return weights


def check_engine(
    folder: Path,
    source: str | None,
    speech: str | None,
    language: str | None,
    out: Path | None,
    margin: float,
) -> None:
    """Check files and, beside its source in float32, what the engine says.

    Args:
        language: ISO 639-1 code of the speech; None for the engine's own.
        margin: largest loss that is allowed, points of word error rate.
    """
    from lifecycle.evaluated_speech import general_languages

    if (source is None) is not (speech is None):
        missing, given = ("--speech", "--source") if speech is None else ("--source", "--speech")
        raise UsageError(f"{given} needs {missing}: the source and the engine hear the same.")
    if speech and len(general_languages(speech)) > 1:
        raise UsageError(f"--speech is {speech}, of several languages. Check one at a time.")
    _check_files(folder)
    if source is not None and speech is not None:
        exact = _exact(folder, source)
        if out is not None:
            _check_words(folder, exact, speech, language, out, margin)
            return
        with tempfile.TemporaryDirectory() as scratch:
            _check_words(folder, exact, speech, language, Path(scratch) / "check", margin)


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
    least = about.minimum_mel_frames / 100
    own = "" if least >= _HEARD_AT_ONCE else "; longer ones at their own length"
    typer.echo(f"Hears:     clips padded to {least:g} s{own}, in {about.language}")
    if about.wer_before and about.wer_after:
        typer.echo(
            f"Checked:   {about.wer_after.percent()} of {about.wer_after.words:,} words wrong when "
            f"it was built, {about.wer_before.percent()} in float32"
        )


def _exact(folder: Path, source: str) -> Path:
    """The source in float32, hearing what the engine hears.

    Raises:
        UsageError: the engine was not built of it.
    """
    from lifecycle.named_models import built_engine
    from serving.engines.description import read_description
    from serving.engines.offered import parse_engine

    about, weights = read_description(folder), _weights(source)
    if weights.sha256 != about.source_sha256:
        raise UsageError(
            f"{folder} was not built of {source}: its weights are {about.source_sha256[:16]}, and "
            f"those of {source} are {weights.sha256[:16]}. What differs would not be the precision."
        )
    like = replace(weights, frames=about.minimum_mel_frames, silence=about.trailing_silence)
    return built_engine(load_settings(), like, parse_engine(_EXACT))


def _check_words(
    folder: Path, exact: Path, speech: str, language: str | None, out: Path, margin: float
) -> None:
    from cli.progress import stages_shown
    from lifecycle.evaluate import Asked, evaluate
    from lifecycle.evaluation_report import write_report
    from serving.engines.choice import allowed
    from serving.engines.description import read_description

    asked = Asked.of(
        speech, model=str(folder), baseline=str(exact),
        language=language or read_description(folder).language,
    )  # fmt: skip
    with stages_shown():
        evaluated = evaluate(load_settings(), asked, out)
    overall = write_report(evaluated, out, margin=margin / 100).report.scan.overall
    if overall.candidate is None or overall.baseline is None or overall.difference is None:
        raise UsageError(f"{speech} has no words, so that nothing can be compared.")
    typer.echo(f"Engine:    {overall.candidate.percent()} of {overall.words:,} words wrong")
    typer.echo(f"float32:   {overall.baseline.percent()}")
    typer.echo(f"Loss:      {signed_points(overall.difference, 2)} points; {margin:+g} is allowed")
    answer = allowed(overall.difference, margin)
    typer.echo(f"Verdict:   {answer}")
    if answer.startswith("rejected"):
        raise typer.Exit(REJECTED)


def explain_engine(domain: str, *, as_json: bool) -> None:
    """Which engine the last run of a domain chose, beside the others, and what its champion has."""
    from lifecycle.engine_choice import explained
    from lifecycle.workspace import open_workspace

    workspace = open_workspace(domain)
    choice, champion = explained(workspace), _champion(workspace)
    if as_json:
        typer.echo(json.dumps({**choice.as_dict(), "champion": champion}, indent=2))
        return
    _show_choice(choice)
    typer.echo(choice.reason)
    typer.echo(f"Champion:  {champion}")


def _champion(workspace: Workspace) -> str:
    """What serves now: the champion's engine, which need not be the last run's."""
    from lifecycle import engine
    from lifecycle.model_registry import open_registry
    from serving.engines import engine_sha256
    from serving.engines.description import read_description
    from serving.engines.offered import engine_name
    from serving.registry import CHAMPION

    registry, name = open_registry(workspace.settings), workspace.domain.name
    version = registry.get_alias(name, CHAMPION)
    if version is None:
        return "none yet: nothing serves"
    folder = registry.model_folder(name, version)
    last = engine.engine_folder(workspace.current(engine.STAGE))
    which = "that engine" if engine_sha256(folder) == engine_sha256(last) else "another engine"
    return f"version {version}, {engine_name(read_description(folder))}, {which}"


def _show_choice(choice: Choice) -> None:
    from rich.table import Table

    from lifecycle.engine_choice import figures

    table = Table()
    columns = ("engine", "word error rate", "loss in points", "ms a clip", "batches", "MB", "")
    for column in columns:
        table.add_column(column)
    for one, row in zip(choice.engines, figures(choice), strict=True):
        table.add_row(
            one.name,
            one.word_error_rate.percent() if one.word_error_rate else "",
            signed_points(one.loss, 2) if one.loss else "",
            f"{1000 * one.seconds:.0f}" if one.seconds else "",
            f"{one.audio_per_second:.0f} x" if one.audio_per_second else "",
            f"{one.size / 1e6:.0f}" if one.size else "",
            str(row["result"]),
        )
    show_table(table)
