"""The speech that somebody names to evaluate models on: a domain, a corpus or a table."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from voiceforge.errors import UsageError
from voiceforge.settings import PARAMS_FILE, Settings

if TYPE_CHECKING:
    from data.sources.base import Reject
    from data.utterance import Utterance
    from lifecycle.workspace import Workspace
    from voiceforge.params import DomainParams

CORPUS, GENERAL, EVERY = "corpus", "general:", "all"
_SEED = 20
LONGEST = 3600.0
"""Seconds that a recording of a table may last; what is trained on may last 30."""
_TABLES = {".csv": "folder", ".tsv": "folder", ".json": "nemo-manifest", ".jsonl": "nemo-manifest"}


@dataclass(frozen=True)
class Speech:
    """Utterances with their references, ready to be heard.

    Attributes:
        name: what the user named, as reports show it.
        rows: the utterances.
        corpus: folder that their `audio` is relative to.
        rejects: recordings of a table that could not be used, with their reasons.
        left_out: utterances of a corpus or domain that are in other splits.
    """

    name: str
    rows: Sequence[Utterance]
    corpus: Path
    rejects: Sequence[Reject] = ()
    left_out: int = 0


def read_speech(
    settings: Settings,
    given: str,
    out: Path,
    *,
    language: str,
    split: str | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
    accept: Callable[[Speech], None] = lambda speech: None,
) -> Speech:
    """Find or build what `given` names.

    Args:
        given: a domain of params.yaml (its held-out split), a corpus folder, a CSV or TSV of
            `audio,text[,speaker,accent,...]`, a NeMo manifest, a folder that holds one table, or
            "general:LANGUAGE" for readings by people of other packages (one language;
            `general_languages` tells several apart). The name of a domain is that domain, also
            where a file or folder is called so: see `also_there`.
        out: folder in which the corpus of a table is built; found there again.
        language: of a table's rows that name none.
        split: of a domain or a corpus folder; a domain's is "test" without it, a corpus is taken
            whole. A table has no splits.
        progress: of a table's recordings, (done, total).
        accept: raises where the speech is not to be heard, before its corpus takes the place of
            one that `out` may hold.

    Raises:
        UsageError: it names nothing, a table that cannot be meant or of which no recording can be
            used, or a split with no rows.
    """
    from data.tables import UTTERANCES, read_utterances

    path = Path(given)
    if given.startswith(GENERAL):
        built = _build(settings, given, _general(settings, given), out / CORPUS, progress, accept)
        return replace(built, rejects=())
    domains = _domains(settings)
    if given in domains:
        from lifecycle.workspace import open_workspace

        chosen = domain_speech(open_workspace(given, settings), split or "test")
        accept(chosen)
        return chosen
    if (path / UTTERANCES).is_file():
        chosen = _chosen(given, read_utterances(path / UTTERANCES), path, split)
        accept(chosen)
        return chosen
    if path.exists():
        if split is not None:
            raise UsageError(f"--split is {split!r}, and {given} is a table, which has no splits.")
        table = _table(settings, path, language)
        return _build(settings, given, table, out / CORPUS, progress, accept)
    raise UsageError(
        f"There is no file, folder or domain {given!r}. Name a CSV or TSV with the columns "
        "audio and text, a NeMo manifest, a corpus folder, or a domain of params.yaml"
        f" ({', '.join(domains) or 'which has none'})."
    )


def domain_speech(workspace: Workspace, split: str = "test") -> Speech:
    """A split of a domain's corpus.

    Raises:
        UsageError: it has no utterances.
        StageError: the domain has no splits yet.
    """
    from lifecycle import splits

    name, rows = workspace.domain.name, splits.read_splits(workspace)
    return _chosen(name, rows, workspace.corpus, split)


def also_there(settings: Settings, given: str) -> str:
    """What to tell of a domain that a file or folder is called like; "" where there is none."""
    if given not in _domains(settings) or not Path(given).exists():
        return ""
    kind = "folder" if Path(given).is_dir() else "file"
    return (
        f"{given} is a domain of params.yaml and is heard as that. There is a {kind} of that name, "
        f"too: for it write ./{given}."
    )


def general_languages(given: str) -> tuple[str, ...]:
    """The languages that "general:en", "general:it,es" or "general:all" names; none for other
    speech.

    Raises:
        UsageError: a language is named twice, or has no general speech.
    """
    from voiceforge.params.sources import READINGS

    if not given.startswith(GENERAL):
        return ()
    known = sorted({one for languages in READINGS.values() for one in languages})
    named = [one.strip() for one in given.removeprefix(GENERAL).split(",")]
    if named == [EVERY]:
        return tuple(known)
    for language in named:
        if language not in known:
            raise UsageError(
                f"There is no general speech in {language!r}. There is in: {', '.join(known)}."
            )
        if named.count(language) > 1:
            raise UsageError(f"{given} names {language!r} twice.")
    return tuple(named)


def language_of(settings: Settings, given: str) -> str:
    """The language that speech is in, where its name says it: general speech, a domain; else
    English."""
    from voiceforge.params import load_params

    if given.startswith(GENERAL):
        return given.removeprefix(GENERAL)
    domain = load_params(settings.project / PARAMS_FILE).get(given)
    return domain.language if domain else "en"


def drawn(rows: Iterable[Utterance], longest: float = math.inf) -> list[Utterance]:
    """The utterances with words of at most so many seconds, by a hash of their ids.

    The first of them are a sample that depends on the ids alone, and more of them only add to it.
    """
    fit = [row for row in rows if row.text.strip() and row.duration <= longest]
    return sorted(fit, key=lambda row: hashlib.sha256(f"{_SEED}:{row.id}".encode()).digest())


def _chosen(name: str, rows: Sequence[Utterance], corpus: Path, split: str | None) -> Speech:
    kept = [row for row in rows if split is None or row.split == split]
    if not kept:
        has = ", ".join(sorted({row.split or "none" for row in rows})) or "no utterances at all"
        raise UsageError(f"{name} has no utterances of the split {split!r}. It has: {has}.")
    return Speech(name, kept, corpus, left_out=len(rows) - len(kept))


def _build(
    settings: Settings,
    given: str,
    domain: DomainParams,
    out: Path,
    progress: Callable[[int, int], None],
    accept: Callable[[Speech], None],
) -> Speech:
    """The speech of such a domain; a corpus that was built from the same files is found again."""
    from data.corpus import NothingUsableError, source_fingerprint
    from data.tables import QUARANTINE, UTTERANCES, read_rejects, read_utterances
    from lifecycle.corpus import build_here
    from voiceforge.files import new_folder, read_json, write_json

    def speech_in(folder: Path) -> Speech:
        rows = read_utterances(folder / UTTERANCES)
        return Speech(given, rows, out, read_rejects(folder / QUARANTINE))

    fingerprint = {"sources": source_fingerprint(domain, project=settings.project)}
    mark = out / "built_from.json"
    if mark.is_file() and read_json(mark) == fingerprint:
        accept(speech := speech_in(out))
        return speech
    with new_folder(out) as folder:
        try:
            build_here(settings, domain, folder, progress=progress, longest=LONGEST)
        except NothingUsableError as error:
            raise UsageError(f"{given} holds no recording that can be used {error.why}") from error
        accept(speech := speech_in(folder))
        write_json(folder / mark.name, fingerprint)
    return speech


def _general(settings: Settings, given: str) -> DomainParams:
    """Readings by people that the registries have in a language."""
    from voiceforge.params.sources import READINGS

    (language,) = general_languages(given)
    sets = [name for name, languages in READINGS.items() if language in languages]
    return _domain(
        settings,
        language,
        [{"kind": "readings", "set": name, "language": language} for name in sets],
    )


def _table(settings: Settings, path: Path, language: str) -> DomainParams:
    """A user's recordings."""
    source: dict[str, object] = {"language": language}
    if path.is_dir():
        source |= {"kind": "folder", "path": str(path.resolve())}
    else:
        kind = _TABLES.get(path.suffix.lower())
        if kind is None:
            raise UsageError(
                f"{path} is no table: a name that ends in {', '.join(_TABLES)} says what it is."
            )
        where = path.resolve()
        source |= {"kind": kind, "path": str(where if kind == "nemo-manifest" else where.parent)}
        source |= {"table": path.name} if kind == "folder" else {}
    return _domain(settings, language, [source])


def _domain(
    settings: Settings, language: str, sources: Sequence[Mapping[str, object]]
) -> DomainParams:
    """A domain of these sources alone; nothing is written to params.yaml."""
    from voiceforge.params import parse_params
    from voiceforge.params.editing import with_domain

    params = settings.project / PARAMS_FILE
    name = "evaluated"
    while name in _domains(settings):
        name += "-speech"
    text = with_domain(params.read_text(), name, {"language": language, "sources": [*sources]})
    return parse_params(text, params)[name]


def _domains(settings: Settings) -> Sequence[str]:
    from voiceforge.params import load_params

    return list(load_params(settings.project / PARAMS_FILE))
