"""`voiceforge corpus ...`: the commands and their options; each imports its work when it runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

corpus_app = typer.Typer(
    help="Corpora: sources in, every recording accounted for.", no_args_is_help=True
)

Name = Annotated[str, typer.Argument(help="A corpus, named as its domain in params.yaml.")]
By = Annotated[str | None, typer.Option(help="Who decides this; the user of this machine.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


@corpus_app.command("add")
def add(
    name: Annotated[str, typer.Argument(help="A domain of params.yaml, or a new one.")],
    source: Annotated[
        str,
        typer.Option(
            metavar="KIND",
            help="folder, common-voice, librispeech, nemo-manifest, huggingface, corrections, "
            "prompts, espeak or piper.",
        ),
    ],
    path: Annotated[Path | None, typer.Option(help="Where the recordings lie.")] = None,
    language: Annotated[
        str | None, typer.Option(metavar="CODE", help="ISO 639-1 code; a new domain needs it.")
    ] = None,
    licence: Annotated[str | None, typer.Option(help="Licence of rows that name none.")] = None,
    consent: Annotated[
        str | None, typer.Option(help="granted, unknown or refused, of rows that say nothing.")
    ] = None,
    base_model: Annotated[
        str | None, typer.Option(help="Catalogue name or model folder of a new domain.")
    ] = None,
    options: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="KEY=VALUE", help="Any other key of the source, its value as YAML."
        ),
    ] = None,
    build: Annotated[
        bool, typer.Option(help="Decode and validate the recordings right away.")
    ] = True,
) -> None:
    """Add a source of recordings to a corpus, then decode and validate what is new."""
    from cli.corpus_build import add_to_corpus

    given = {"path": path, "licence": licence, "consent": consent}
    add_to_corpus(
        name,
        source,
        {key: value for key, value in given.items() if value is not None},
        options or [],
        language=language,
        base_model=base_model,
        build=build,
    )


@corpus_app.command("list")
def list_(
    as_json: Annotated[bool, typer.Option("--json", help="The same, for programs.")] = False,
) -> None:
    """List the corpora: how much of what, and their newest version."""
    from cli.corpus import list_corpora

    list_corpora(as_json=as_json)


@corpus_app.command("show")
def show(
    name: Name,
    as_json: Annotated[bool, typer.Option("--json", help="The same, for programs.")] = False,
) -> None:
    """Show a corpus: counts, hours, speakers, accents; writes a page with players."""
    from cli.corpus import show_corpus

    show_corpus(name, as_json=as_json)


@corpus_app.command("validate")
def validate(name: Name) -> None:
    """Decode what is new, validate every utterance, and print what is in quarantine and why."""
    from cli.corpus_build import validate_corpus

    validate_corpus(name)


@corpus_app.command("quarantine")
def quarantine(
    name: Name,
    reason: Annotated[str | None, typer.Option(metavar="CODE", help="Only this reason.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="The same, for programs.")] = False,
) -> None:
    """List the recordings in quarantine, one by one, with a row for each reason."""
    from cli.corpus_build import list_quarantine

    list_quarantine(name, reason, as_json=as_json)


@corpus_app.command("release")
def release(
    name: Name,
    utterances: Annotated[list[str], typer.Argument(help="Ids as `corpus quarantine` lists them.")],
    why: Annotated[
        str, typer.Option(help="Why they are right as they are, or are not; it is kept.")
    ],
    reason: Annotated[
        str | None, typer.Option(metavar="CODE", help="Only from this reason; from all by default.")
    ] = None,
    by: By = None,
    withdraw: Annotated[
        bool, typer.Option("--withdraw", help="Take back releases that were wrong.")
    ] = False,
) -> None:
    """Let utterances out of quarantine; the reason is written down."""
    from cli.corpus_build import release_utterances, withdraw_releases

    change = withdraw_releases if withdraw else release_utterances
    change(name, utterances, reason, why, by)


@corpus_app.command("freeze")
def freeze(
    name: Name,
    why: Annotated[str, typer.Option(help="Why now, or why a new version; it is kept.")],
    new_version: Annotated[
        bool, typer.Option("--new-version", help="A gate set is there already: make the next one.")
    ] = False,
    by: By = None,
) -> None:
    """Freeze the test split as the gate set: it refuses change from then on."""
    from cli.corpus_build import freeze_gate

    freeze_gate(name, new_version=new_version, why=why, by=by)


@corpus_app.command("diff")
def diff(
    before: Annotated[str, typer.Argument(help="NAME or NAME@HASH.")],
    after: Annotated[str, typer.Argument(help="NAME or NAME@HASH.")],
    as_json: Annotated[bool, typer.Option("--json", help="The same, for programs.")] = False,
) -> None:
    """Compare two corpora, or two versions of one: what came, went and changed."""
    from cli.corpus_diff import show_diff

    show_diff(before, after, as_json=as_json)


@corpus_app.command("remove")
def remove(
    name: Name,
    source: Annotated[
        int | None,
        typer.Option(min=1, metavar="NUMBER", help="Only this source, as `corpus show` counts."),
    ] = None,
    yes: Yes = False,
) -> None:
    """Remove a corpus with its domain, or one of its sources; recorded versions stay."""
    from cli.corpus_remove import remove_corpus

    remove_corpus(name, source, yes=yes)


@corpus_app.command("checkout")
def checkout(
    version: Annotated[str, typer.Argument(help="NAME@HASH, as a run or MLflow recorded it.")],
) -> None:
    """Restore any recorded version of a corpus from DVC's cache or remote."""
    from cli.corpus import checkout

    checkout(version)


@corpus_app.command("preview")
def preview(
    name: Name,
    clips: Annotated[int, typer.Option(min=1, max=40, help="How many clips to show.")] = 4,
    out: Annotated[
        Path | None, typer.Option(help="Folder of the page; VOICEFORGE_HOME/previews/NAME.")
    ] = None,
    effect: Annotated[
        list[str] | None,
        typer.Option(help="Only this effect, such as noise, gsm or chain; may be repeated."),
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Another choice; the training's.")] = None,
) -> None:
    """Write a page on which augmentation can be heard and seen, clip by clip."""
    from cli.preview import preview_corpus

    preview_corpus(name, clips=clips, out=out, effects=effect or [], seed=seed)


@corpus_app.command("forget")
def forget(
    name: Name,
    speaker: Annotated[str, typer.Option(help="The speaker's exact id, as `corpus show` has it.")],
    why: Annotated[
        str | None,
        typer.Option(help="The reason, kept in the ledger; needed unless it is a dry run."),
    ] = None,
    by: By = None,
    dry_run: Annotated[bool, typer.Option(help="Only say what would be removed.")] = False,
    yes: Yes = False,
) -> None:
    """Remove a speaker from a corpus, its old versions, its caches and its future, for good."""
    from cli.forget import forget_speaker

    forget_speaker(name, speaker, why=why, by=by, dry_run=dry_run, yes=yes)
