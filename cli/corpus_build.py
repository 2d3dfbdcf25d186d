"""`voiceforge corpus add|validate|quarantine|release|freeze`: what changes a corpus."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import yaml
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from cli.console import person, say, show_table
from cli.progress import stages_shown
from voiceforge.errors import StageError, UsageError
from voiceforge.settings import Settings, load_settings

if TYPE_CHECKING:
    from lifecycle.workspace import Workspace


def add_to_corpus(
    name: str,
    kind: str,
    fields: Mapping[str, Any],
    options: Sequence[str],
    *,
    language: str | None,
    base_model: str | None,
    build: bool,
) -> None:
    """Add a source to params.yaml, then build and validate the corpus."""
    from cli.sources import add_source

    settings = load_settings()
    own = {**{key: str(value) for key, value in fields.items()}, **_options(options)}
    added = add_source(settings, name, kind, own, language=language, base_model=base_model)
    done = "There is already this" if added.was_there else "Added a"
    say(
        f"{done} source of kind {kind} {'in' if added.was_there else 'to'} {name}"
        f"{' (a new domain)' if added.is_new else ''}: {added.recordings:,} recordings, "
        f"{added.rejects:,} that cannot be used."
    )
    if build:
        validate_corpus(name)
    else:
        say(f"`voiceforge corpus validate {name}` decodes and validates them.")


def validate_corpus(name: str) -> None:
    """Build, validate and split a corpus, and print its quarantine by reason.

    Raises:
        StageError: more than `quarantine_limit` of the recordings are in quarantine, or the test
            split is not the frozen gate set.
    """
    from lifecycle.base_engine import make_base_engine
    from lifecycle.checks import GATE_ADVICE, few_quarantined, gate_is_sealed, required
    from lifecycle.corpus import corpus_version, make_corpus
    from lifecycle.corpus_page import length
    from lifecycle.splits import make_splits
    from lifecycle.validation import QUARANTINE_ADVICE, make_validation
    from lifecycle.workspace import domain_lock, open_workspace

    settings = load_settings()
    workspace = open_workspace(name, settings)
    with domain_lock(settings, name), stages_shown():
        make_corpus(workspace)
        version = corpus_version(workspace)
        if workspace.domain.validation.agreement.enabled:
            make_base_engine(workspace)
        make_validation(workspace)
        check = few_quarantined(workspace)
        if check.passed:
            make_splits(workspace)
    view = _view(workspace)
    console = Console(soft_wrap=True)
    if view.rejects:
        show_table(_by_reason(view.rejects))
    seconds = sum(row.duration for row in view.utterances)
    released = f", {view.released:,} of them released" if view.released else ""
    console.print(
        f"{name}: {len(view.utterances):,} utterances ({length(seconds)}) may be used{released}; "
        f"{view.quarantined:,} recordings ({view.quarantined_share:.1%}) are in quarantine.\n"
        f"Version:   {name}@{version['md5']}\n"
        f"Data Docs: {view.data_docs}",
        highlight=False,
    )
    if not check.passed:
        raise StageError(f"{name}: {check.sentence} {QUARANTINE_ADVICE}")
    required(gate_is_sealed, GATE_ADVICE)(workspace)


def list_quarantine(name: str, reason: str | None, *, as_json: bool = False) -> None:
    """Print every recording in quarantine: id, reason, where it is and what is wrong.

    One with several reasons has a row for each.
    """
    from data.sources.base import recordings_in

    view = _view(_workspace(name))
    wanted = [one for one in view.rejects if reason in (None, one.reason)]
    if reason is not None and not wanted:
        known = ", ".join(sorted({one.reason for one in view.rejects})) or "nothing"
        raise UsageError(f"Nothing of {name} is in quarantine for {reason!r}; there is: {known}.")
    if as_json:
        # Not through rich, which would wrap long lines.
        print(json.dumps([asdict(one) for one in wanted], indent=2, ensure_ascii=False))  # noqa: T201
        return
    table = Table(box=box.SIMPLE_HEAD)
    for column in ("id", "reason", "where", "what is wrong"):
        table.add_column(column, overflow="fold")
    for one in wanted:
        table.add_row(*map(escape, (one.id, one.reason, one.where, one.detail)))
    if wanted:
        show_table(table)
    count = recordings_in(wanted)
    noun, verb = ("recording", "is") if count == 1 else ("recordings", "are")
    why = f" for {reason}" if reason is not None else ""
    say(f"{count:,} {noun} of {name} {verb} in quarantine{why}.")


def release_utterances(
    name: str, utterances: Sequence[str], reason: str | None, why: str, by: str | None
) -> None:
    """Let utterances out of quarantine, from one reason or from every one, then validate again.

    Raises:
        UsageError: one is not in quarantine, nobody may release it from its reason, or it would do
            harm; then none is released.
    """
    from data.reasons import REASONS
    from data.releases import read_releases
    from lifecycle import releases
    from lifecycle.workspace import domain_lock

    settings = load_settings()
    workspace = _workspace(name, settings)
    codes: dict[str, set[str]] = {}
    for one in _view(workspace).rejects:
        codes.setdefault(one.id, set()).add(one.reason)
    chosen = [
        (utterance, code)
        for utterance in dict.fromkeys(utterances)
        for code in (sorted(codes.get(utterance, ())) if reason is None else [reason])
    ]
    released = {one.id: one.reason for one in read_releases(workspace.ledgers)}
    problems = [
        f"{one} is released from {released[one]} already"
        if one in released
        else f"{one} is not in quarantine"
        for one in utterances
        if one not in codes
    ]
    for utterance, code in chosen:
        if utterance in codes and code not in codes[utterance]:
            problems.append(f"{utterance} is not there for {code}")
        elif utterance in codes and not REASONS[code].releasable:
            problems.append(f"nobody may release {utterance} from {code}")
    if problems:
        raise UsageError(
            f"Nothing was released: {'; '.join(problems)}. `voiceforge corpus quarantine {name}` "
            "lists what is there, docs/corpora.md what can be released."
        )
    with domain_lock(settings, name):
        for one in releases.release_utterances(workspace, chosen, why, person(by)):
            say(f"Released {one.id} from {one.reason}.")
    validate_corpus(name)


def withdraw_releases(
    name: str, utterances: Sequence[str], reason: str | None, why: str, by: str | None
) -> None:
    """Take back releases of utterances, from one reason or from every one, then validate again.

    Raises:
        UsageError: one is not released; then nothing is withdrawn.
    """
    from data.releases import read_releases, withdraw
    from lifecycle.workspace import domain_lock

    settings = load_settings()
    workspace = _workspace(name, settings)
    with domain_lock(settings, name):
        chosen = sorted(
            {
                (one.id, one.reason)
                for one in read_releases(workspace.ledgers)
                if one.id in utterances and reason in (None, one.reason)
            }
        )
        if missing := [one for one in utterances if one not in dict(chosen)]:
            of = "" if reason is None else f" from {reason}"
            raise UsageError(
                f"Nothing was withdrawn: {', '.join(missing)} "
                f"{'is' if len(missing) == 1 else 'are'} not released{of}."
            )
        for utterance, code in chosen:
            withdraw(workspace.ledgers, id=utterance, code=code, why=why, who=person(by))
            say(f"Withdrew the release of {utterance} from {code}.")
    validate_corpus(name)


def freeze_gate(name: str, *, new_version: bool, why: str, by: str | None) -> None:
    """Freeze the test split of a corpus as its gate set."""
    from lifecycle.gate import freeze

    with stages_shown():
        gate = freeze(_workspace(name), by=person(by), reason=why, new_version=new_version)
    Console(soft_wrap=True).print(
        f"gate-{gate.version} of {name} is frozen: {len(gate.members):,} utterances, sha256 "
        f"{gate.sha256}. Commit data/ledgers/{name} to git.",
        highlight=False,
    )


def _by_reason(rejects: Sequence[Any]) -> Table:
    from data.reasons import REASONS

    table = Table(box=box.SIMPLE_HEAD, title="Quarantine", title_justify="left")
    table.add_column("reason")
    table.add_column("recordings", justify="right")
    table.add_column("meaning", overflow="fold")
    table.add_column("for example", overflow="fold")
    first = {one.reason: one for one in reversed(rejects)}
    for code, count in Counter(one.reason for one in rejects).most_common():
        table.add_row(code, f"{count:,}", REASONS[code].sentence, first[code].id)
    return table


def _workspace(name: str, settings: Settings | None = None) -> Workspace:
    from lifecycle.workspace import open_workspace

    return open_workspace(name, settings or load_settings())


def _view(workspace: Workspace) -> Any:
    from lifecycle.corpus_view import view_corpus

    return view_corpus(workspace)


def _options(given: Sequence[str]) -> dict[str, Any]:
    """`KEY=VALUE` with YAML values; a dotted key goes into blocks, such as `voices.train`."""
    result: dict[str, Any] = {}
    for one in given:
        key, equals, value = one.partition("=")
        if not equals or not key:
            raise UsageError(f"--set {one!r} is no KEY=VALUE, such as table=speech.csv.")
        *blocks, last = key.split(".")
        place = result
        for block in blocks:
            place = place.setdefault(block, {})
            if not isinstance(place, dict):
                raise UsageError(f"--set {one!r}: {block} has a value of its own already.")
        try:
            place[last] = yaml.safe_load(value)
        except yaml.YAMLError as error:
            raise UsageError(f"--set {one!r}: the value is no YAML ({error}).") from error
    return result
