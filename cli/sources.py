"""Adding and removing the sources of a domain: what `voiceforge init` and `corpus add` share."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import filelock

from voiceforge.errors import UsageError
from voiceforge.files import storage_errors, write_text
from voiceforge.params import DOMAIN_NAME, KINDS, DomainParams, Source, load_params, parse_params
from voiceforge.params.editing import with_domain, with_source
from voiceforge.settings import PARAMS_FILE, Settings, from_project

if TYPE_CHECKING:
    from data.sources.base import Plan

_ENGLISH, _MULTILINGUAL = "whisper-tiny.en", "whisper-base"


@dataclass(frozen=True, slots=True)
class Added:
    """What adding a source found in it: recordings, and those that will be in quarantine.

    `was_there` says that the domain had this very source already, so that nothing was changed.
    """

    domain: str
    is_new: bool
    was_there: bool
    recordings: int
    rejects: int


def add_source(
    settings: Settings,
    domain: str,
    kind: str,
    fields: Mapping[str, Any],
    *,
    language: str | None,
    base_model: str | None,
) -> Added:
    """Add a source to a domain of params.yaml, comments and all kept, after a look at it.

    Args:
        domain: an existing one, or the name of a new one, which needs `language`.
        fields: the source's other keys; a `path` starts where the user stands.
        language: ISO 639-1 code; an existing domain's own where None.
        base_model: of a new domain; by default one that knows the language.

    Raises:
        UsageError: a bad name, kind or key, or a source that holds no usable recording.
        SourceError: a source that cannot be reached.
    """
    path = settings.project / PARAMS_FILE
    known = load_params(path)
    if kind not in KINDS:
        raise UsageError(f"There is no kind of source {kind!r}. There are: {', '.join(KINDS)}.")
    is_new = domain not in known
    entry = new_domain(settings, domain, language, base_model) if is_new else {}
    if base_model is not None and not is_new:
        raise UsageError(
            f"{domain} has its base model in {path}; --base-model is for a new domain."
        )
    own = language or (str(entry["language"]) if is_new else known[domain].language)
    if not is_new:
        spoken = str(fields.get("language", own))
        if spoken != known[domain].language:
            _refuse_unheard(settings, known[domain], spoken)
    source = {"kind": kind, **_source_fields(settings, kind, fields, own)}

    def change(text: str) -> str:
        if is_new:
            return with_domain(text, domain, {**entry, "sources": [source]})
        return with_source(text, domain, source)

    changed = parse_params(change(path.read_bytes().decode()), path)[domain]
    was_there = not is_new and changed.sources[-1] in known[domain].sources
    if not is_new and changed.sources[:-1] != known[domain].sources:
        raise UsageError(
            f"{domain} takes its sources from the defaults of {path}. Name them in the domain "
            "itself, then add another."
        )
    recordings, rejects = _look(settings, changed, was_there=was_there)
    if not was_there:
        change_params(settings, change)
    return Added(domain, is_new, was_there, recordings, rejects)


def change_params(settings: Settings, change: Callable[[str], str]) -> None:
    """Change params.yaml as it is now: others may have changed it while somebody was asked.

    Raises:
        UsageError: the change cannot be made, or leaves what cannot be meant.
    """
    path = settings.project / PARAMS_FILE
    with storage_errors(path):
        settings.locks.mkdir(parents=True, exist_ok=True)
    with filelock.FileLock(settings.locks / "params.lock"):
        text = change(path.read_bytes().decode())
        parse_params(text, path)
        write_text(path, text)


def new_domain(
    settings: Settings, domain: str, language: str | None, base_model: str | None
) -> dict[str, Any]:
    """The entry of a new domain but for its sources.

    Raises:
        UsageError: a bad name or language, no such base model, or one that cannot hear it.
    """
    from data.catalogue import CATALOGUE
    from training.base_models import own_path

    if not re.fullmatch(DOMAIN_NAME, domain):
        raise UsageError(
            f"{domain!r} is no name for a domain: use lower-case letters, digits and hyphens."
        )
    if language is None:
        raise UsageError(f"{domain} is a new domain and needs --language, such as en or it.")
    if not re.fullmatch(r"[a-z]{2,3}", language):
        raise UsageError(f"{language!r} is no ISO 639-1 language code, such as en or it.")
    model = base_model or (_ENGLISH if language == "en" else _MULTILINGUAL)
    own = own_path(model)
    english_only = _english_only(model, own)  # a model of one's own is looked at in any case
    if english_only and language != "en":
        raise UsageError(
            f"{model} knows English only. For {language!r} name a multilingual base model, such as "
            f"{_MULTILINGUAL}."
        )
    if own is not None:
        inside = str(in_project(own, settings.project))
        model = str(own) if inside in CATALOGUE else inside
    entry: dict[str, Any] = {"language": language, "base_model": model}
    if language != "en":
        entry["evaluation"] = {"normaliser": "whisper-basic"}
    return entry


def _english_only(model: str, own: Path | None) -> bool:
    """Whether a base model knows no other language; `own` is its path if it is of no catalogue."""
    from training.base_models import describe_path

    return model.endswith(".en") if own is None else not describe_path(own).multilingual


def _refuse_unheard(settings: Settings, domain: DomainParams, language: str) -> None:
    """Raise a UsageError where the base model of an existing domain does not know a language."""
    from training.base_models import own_path

    own = own_path(domain.base_model, settings.project, domain.training.backend)
    if language != "en" and _english_only(domain.base_model, own):
        raise UsageError(
            f"{domain.base_model}, the base model of {domain.name}, knows English only, so speech "
            f"in {language!r} cannot be added to it. Add it to a domain of its own: another name "
            f"and --language {language}."
        )


def in_project(folder: Path, project: Path) -> Path:
    """As params.yaml names a folder: paths there start at the project."""
    return folder.relative_to(project) if folder.is_relative_to(project) else folder


def _source_fields(
    settings: Settings, kind: str, fields: Mapping[str, Any], language: str
) -> dict[str, Any]:
    """The keys of a source as params.yaml holds them: paths resolved, its language named."""
    model = KINDS[kind]
    result = dict(fields)
    needed = "path" in model.model_fields and model.model_fields["path"].is_required()
    if needed and "path" not in result:
        raise UsageError(f"A source of kind {kind} needs --path: where its recordings lie.")
    if "path" in result:
        if "path" not in model.model_fields:
            raise UsageError(f"A source of kind {kind} has no path. Leave --path out.")
        path = Path(str(result["path"])).expanduser().resolve()
        result["path"] = str(in_project(path, settings.project))
    if "language" in model.model_fields and "language" not in result:
        result["language"] = language
    return result


def _look(settings: Settings, domain: DomainParams, *, was_there: bool) -> tuple[int, int]:
    """How many recordings the domain's last source has, and how many it rejects.

    Raises:
        UsageError: it has none; or an earlier source has the same name, or reads the same.
    """
    from data.forgotten import read_forgotten
    from data.sources import open_sources
    from lifecycle.corpus import reach_of

    reach = reach_of(settings, read_forgotten(settings.ledgers / domain.name))
    # All of them, since what they are called is compared.
    *others, last = open_sources(domain, settings.project)
    plan = last.plan(reach)
    if not was_there:
        place = _place(settings, domain.sources[-1])
        ids = _ids(plan)
        for number, (params, other) in enumerate(zip(domain.sources, others, strict=False), 1):
            if place is None or _place(settings, params) != place:
                continue
            if both := ids & _ids(other.plan(reach)):
                remove = f"`voiceforge corpus remove {domain.name}"
                remove += f" --source {number}`" if others[1:] else "`, as it is the only one"
                raise UsageError(
                    f"Source {number} of {domain.name} (kind {params.kind}) reads {place[1]} "
                    f"already: {len(both):,} ids would be there twice, such as {min(both)}. To "
                    f"change its keys, edit source {number} in {settings.project / PARAMS_FILE}, "
                    f"or take it out and add it anew: {remove}."
                )
    if not plan.recordings and not plan.rejects:
        place = _place(settings, domain.sources[-1])
        where = f" in {place[1]}" if place else ""
        raise UsageError(
            f"The source of kind {domain.sources[-1].kind} has no rows: nothing{where} names a "
            "recording with its text."
        )
    if not plan.recordings:
        first = (
            f" The first: {plan.rejects[0].where}: {plan.rejects[0].detail}" if plan.rejects else ""
        )
        raise UsageError(
            f"The source of kind {domain.sources[-1].kind} names no recording that is there with "
            f"its text ({len(plan.rejects)} were rejected).{first}"
        )
    return len(plan.recordings), len(plan.rejects)


def _place(settings: Settings, source: Source) -> tuple[str, str] | None:
    """What a source reads: its kind, and its path or dataset; None where it has neither."""
    path = getattr(source, "path", None)
    if path is None:
        dataset = getattr(source, "dataset", None)
        return None if dataset is None else (source.kind, dataset)
    return source.kind, str(from_project(settings.project, path).resolve())


def _ids(plan: Plan) -> set[str]:
    return {one.id for one in plan.recordings} | {one.id for one in plan.rejects}
