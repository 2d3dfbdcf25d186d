"""Writes the table of reason codes in docs/corpora.md from the code.

Run it as `python docs/reasons.py`; a test checks that the page holds what it writes.
"""

from __future__ import annotations

import re
from pathlib import Path

from data.reasons import reasons_table

PAGE = Path(__file__).resolve().parent / "corpora.md"
_BLOCK = re.compile(r"(<!-- reasons -->\n).*?(<!-- /reasons -->)", re.DOTALL)


def page() -> str:
    """The whole page with today's table.

    Raises:
        ValueError: the page lacks the table's markers.
    """
    text, replaced = _BLOCK.subn(
        lambda match: f"{match[1]}{reasons_table()}{match[2]}", PAGE.read_text()
    )
    if replaced != 1:
        raise ValueError(f"{PAGE} must hold the table's markers once.")
    return text


if __name__ == "__main__":
    from voiceforge.files import write_text

    write_text(PAGE, page())
