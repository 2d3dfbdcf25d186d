"""A domain's split ledger and gate sets, and what makes two of its texts one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from lifecycle.workspace import Workspace

if TYPE_CHECKING:
    from data.gate import Gate
    from data.ledger import Ledger


def ledger_path(workspace: Workspace) -> Path:
    """Where the domain's split ledger lies."""
    from data.ledger import FILE

    return workspace.ledgers / FILE


def read_ledger(workspace: Workspace) -> Ledger | None:
    """The domain's split ledger; None where nothing was split yet.

    Raises:
        IntegrityError: it is damaged.
    """
    from data.ledger import read_ledger

    return read_ledger(ledger_path(workspace))


def read_gates(workspace: Workspace) -> tuple[Gate, ...]:
    """Every version of the domain's gate set, oldest first.

    Raises:
        IntegrityError: one was changed after it was frozen, or removed.
    """
    from data.gate_files import read_gates

    return read_gates(workspace.ledgers)


def same_text(workspace: Workspace) -> Callable[[str], str]:
    """What makes two texts one: what word errors are counted on, letters and digits of it."""
    from data.splits import text_key
    from evaluation.text import normaliser

    scored = normaliser(workspace.domain.evaluation.normaliser, workspace.domain.language)
    return lambda text: text_key(scored(text)) or text_key(text)
