"""A domain's terms, from params.yaml and the file that it names."""

from __future__ import annotations

import unicodedata
from pathlib import Path

from voiceforge.errors import UsageError
from voiceforge.params import Term, VocabularyParams
from voiceforge.params.vocabulary import check_once, parse_term
from voiceforge.settings import from_project


def read_terms(params: VocabularyParams, project: Path) -> tuple[Term, ...]:
    """The terms of a domain in order, those of params.yaml first; Unicode NFC.

    Args:
        project: folder that a relative `file` starts at.

    Raises:
        UsageError: the file is missing or no text, a line of it is no term, or a term is there
            twice; names file and line.
    """
    entries = [(unicodedata.normalize("NFC", term), "params.yaml") for term in params.terms]
    if params.file is not None:
        path = from_project(project, params.file)
        entries += [(line, f"{path}, line {number}") for number, line in read_lines(path)]
    terms: list[Term] = []
    for entry, where in entries:
        try:
            terms.append(parse_term(entry))
            check_once(tuple(terms))
        except ValueError as error:
            raise UsageError(f"{where}: {error}. One line is one term.") from error
    return tuple(terms)


def read_lines(path: Path) -> list[tuple[int, str]]:
    """Lines of a text file and their numbers, without comments and empty ones; Unicode NFC.

    Raises:
        UsageError: the file is missing or not UTF-8 text.
    """
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(
            f"{path} cannot be read as UTF-8 text ({error}). It was named for a vocabulary: write "
            "it, or correct the path."
        ) from error
    lines = enumerate(unicodedata.normalize("NFC", text).splitlines(), start=1)
    stripped = ((number, line.strip()) for number, line in lines)
    return [(number, line) for number, line in stripped if line and not line.startswith("#")]
