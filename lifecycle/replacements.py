"""The replacements of a domain: words of its texts that become others before they are counted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lifecycle.workspace import Workspace
from voiceforge.errors import UsageError
from voiceforge.settings import from_project

if TYPE_CHECKING:
    from evaluation.replacements import Replacements


def replacements_of(workspace: Workspace) -> Replacements | None:
    """What `evaluation.replacements` of params.yaml names; None for nothing.

    Raises:
        UsageError: the file is missing or empty, or a line of it does nothing; or the domain's
            normaliser is not for its language.
    """
    from evaluation.replacements import read_replacements

    domain = workspace.domain
    if domain.evaluation.replacements is None:
        return None
    path = from_project(workspace.settings.project, domain.evaluation.replacements)
    try:
        return read_replacements(path, domain.evaluation.normaliser, domain.language)
    except ValueError as error:
        raise UsageError(f"evaluation.normaliser of {domain.name}: {error}") from error


def normaliser_of(workspace: Workspace) -> dict[str, str]:
    """Identity of what a domain's texts go through before words are counted."""
    from evaluation.replacements import replacing_identity

    return replacing_identity(workspace.domain.evaluation.normaliser, replacements_of(workspace))
