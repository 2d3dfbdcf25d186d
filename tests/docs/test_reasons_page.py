"""docs/corpora.md holds the table of reason codes that the code has."""

from __future__ import annotations

import runpy
from pathlib import Path


def test_the_table_of_reasons_is_up_to_date(project: Path) -> None:
    written = runpy.run_path(str(project / "docs" / "reasons.py"))
    assert written["PAGE"].read_text() == written["page"](), (
        "docs/corpora.md is out of date. Run `python docs/reasons.py`."
    )
