"""How the texts of an evaluation are compared: a normaliser, replacements, and terms to count.

evaluation.json keeps all of it, so that a report is derived again without the user's files.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lifecycle.replacements import replacements_of
from voiceforge.errors import UsageError
from voiceforge.settings import PARAMS_FILE, Settings, from_project

if TYPE_CHECKING:
    from evaluation.replacements import Replacements
    from lifecycle.workspace import Workspace
    from voiceforge.params import DomainParams


@dataclass(frozen=True)
class Texts:
    """What texts go through before they are compared, and what is looked for in them.

    Attributes:
        normaliser: name of it (`evaluation.text`).
        replacements: applied behind it; None for none.
        replaced_by: path of their file, as the user wrote it; "" for none.
        terms: as they are written; none where nothing is to be counted.
        terms_from: file or domain that they are from, as the user named it.
    """

    normaliser: str
    replacements: Replacements | None = None
    replaced_by: str = ""
    terms: tuple[str, ...] = ()
    terms_from: str = ""

    @property
    def identity(self) -> dict[str, str]:
        """Name, version and sha256 of normaliser and replacements."""
        from evaluation.replacements import replacing_identity

        return replacing_identity(self.normaliser, self.replacements)

    def described(self) -> dict[str, Any]:
        """The fields of evaluation.json."""
        replaced, terms = self.replacements, None
        if self.terms:
            terms = {"source": self.terms_from, "terms": list(self.terms)}
        return {
            "normaliser": self.identity,
            "replacements": replaced
            and {
                "after": self.normaliser,
                "file": self.replaced_by,
                "pairs": [[" ".join(side) for side in pair] for pair in replaced.pairs],
            },
            "terms": terms,
        }

    @classmethod
    def of(cls, described: Mapping[str, Any]) -> Texts:
        """Read back from evaluation.json."""
        from evaluation.replacements import Replacements

        found, terms = described.get("replacements"), described.get("terms") or {}
        listed = tuple(terms.get("terms", ())), str(terms.get("source", ""))
        if not found:
            return cls(str(described["normaliser"]["name"]), None, "", *listed)
        pairs = [(tuple(old.split()), tuple(new.split())) for old, new in found["pairs"]]
        return cls(str(found["after"]), Replacements(pairs), str(found["file"]), *listed)


def read_texts(
    settings: Settings,
    speech: str,
    *,
    language: str,
    normaliser: str | None,
    replacements: Path | None,
    terms: str | None,
) -> Texts:
    """Read what the user names; a domain that is heard brings what the user does not name.

    Args:
        speech: as in `lifecycle.evaluated_speech.read_speech`.
        language: ISO 639 code of the speech.
        normaliser: of `evaluation.text`; None for the domain's, or OpenAI's of the language.
        replacements: file of them (`evaluation.replacements`); None for the domain's, unless
            another normaliser is named, or for none.
        terms: a file with a term a line, or a domain with a vocabulary; None for that of the
            domain that is heard, if it is one.

    Raises:
        UsageError: language or normaliser is none; a file is missing or empty or a line of it
            cannot be meant; a domain has no vocabulary; or the normaliser leaves nothing of a
            term, or makes two of them one.
    """
    from evaluation.replacements import read_replacements, text_rules

    domain = _domain_heard(settings, speech)
    own = domain.evaluation if domain else None
    if own and own.replacements and replacements is None and normaliser in (None, own.normaliser):
        replacements = from_project(settings.project, own.replacements)
    if normaliser is None:
        normaliser = own.normaliser if own else default_normaliser(language)
    try:
        replaced = read_replacements(replacements, normaliser, language) if replacements else None
        rules = text_rules(normaliser, language, replaced)
    except ValueError as error:
        raise UsageError(str(error)) from error
    listed, source = _terms(settings, domain, terms)
    file = "" if replacements is None else str(replacements)
    found = Texts(normaliser, replaced, file, listed, source if listed else "")
    _check_terms(found, rules, "--normaliser")
    return found


def domain_texts(workspace: Workspace) -> Texts:
    """What a domain's reports and certificate count with, as params.yaml says.

    Raises:
        UsageError: as `lifecycle.replacements.replacements_of` and `data.vocabulary.read_terms`; or
            normaliser and replacements leave nothing of a term, or make two of them one.
    """
    from data.vocabulary import read_terms
    from evaluation.replacements import text_rules

    domain = workspace.domain
    own, replaced = domain.evaluation, replacements_of(workspace)
    terms = tuple(term.text for term in read_terms(domain.vocabulary, workspace.settings.project))
    found = Texts(
        own.normaliser, replaced, own.replacements or "", terms, domain.name if terms else ""
    )
    if terms:
        try:
            rules = text_rules(own.normaliser, domain.language, replaced)
        except ValueError as error:
            raise UsageError(f"evaluation.normaliser of {domain.name}: {error}") from error
        _check_terms(found, rules, "evaluation.normaliser")
    return found


def _check_terms(texts: Texts, rules: Callable[[str], str], key: str) -> None:
    """Refuse terms that cannot be told apart, or found at all.

    Args:
        key: where the normaliser was chosen, as the user calls it.
    """
    after = f"the normaliser {texts.normaliser}"
    if texts.replacements is not None:
        after += f" and the replacements of {texts.replaced_by}"
    seen: dict[str, str] = {}
    for term in texts.terms:
        words = rules(term)
        if not words:
            raise UsageError(
                f"{texts.terms_from}: {after} leave{'s' if texts.replacements is None else ''} "
                f"nothing of the term {term!r}, so that it cannot be found. Take it out, or choose "
                f"another {key}."
            )
        if words in seen:
            raise UsageError(
                f"{texts.terms_from}: the terms {seen[words]!r} and {term!r} are the same after "
                f"{after} ({words!r}). Keep one of them."
            )
        seen[words] = term


def default_normaliser(language: str) -> str:
    """OpenAI's of a language."""
    return "whisper-english" if language == "en" else "whisper-basic"


def _domain_heard(settings: Settings, speech: str) -> DomainParams | None:
    """The domain that `speech` names, should it be one."""
    from voiceforge.params import load_params

    return load_params(settings.project / PARAMS_FILE).get(speech)


def _terms(
    settings: Settings, domain: DomainParams | None, given: str | None
) -> tuple[tuple[str, ...], str]:
    from data.vocabulary import read_terms
    from voiceforge.params import VocabularyParams, load_params

    if given is None:
        known = read_terms(domain.vocabulary, settings.project) if domain else ()
        return tuple(term.text for term in known), domain.name if domain else ""
    if Path(given).is_file() or _looks_like_a_file(given):
        # Relative to where the command runs, unlike a file that params.yaml names.
        found = read_terms(VocabularyParams(file=str(Path(given).absolute())), settings.project)
        if not found:
            raise UsageError(f"{given} holds no term. Write one a line.")
        return tuple(term.text for term in found), given
    domains = load_params(settings.project / PARAMS_FILE)
    if given not in domains:
        raise UsageError(
            f"--terms is {given!r}, and there is no such file or domain. Name a text file with a "
            f"term a line, or a domain of params.yaml ({', '.join(domains) or 'which has none'})."
        )
    found = read_terms(domains[given].vocabulary, settings.project)
    if not found:
        raise UsageError(f"The domain {given} of params.yaml has no terms under `vocabulary`.")
    return tuple(term.text for term in found), given


def _looks_like_a_file(given: str) -> bool:
    return "/" in given or Path(given).suffix != ""
