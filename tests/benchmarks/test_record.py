"""A benchmark's parts are printed as they are measured, and written each under its own title."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.record import Part, Row, measure_parts


def rows(value: str) -> Iterator[Row]:
    yield Row("word error rate", value, "30 words")


def test_chosen_parts_are_printed_and_replace_their_sections_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def parts(value: str) -> dict[str, Part]:
        return {
            name: Part(name.title(), f"python -m benchmarks.x {name}", lambda: rows(value))
            for name in ("speech", "memory")
        }

    (tmp_path / "docs").mkdir()
    measure_parts(parts("7%"), ["speech", "memory"], tmp_path, "")
    measure_parts(parts("8%"), ["speech"], tmp_path, "Once more.")
    measure_parts(parts("9%"), ["memory"], None, "")
    page = (tmp_path / "docs" / "benchmarks.md").read_text()
    _, memory, speech = page.split("\n## ")
    assert memory.startswith("Memory\n")
    assert "`python -m benchmarks.x memory`.\n" in memory
    assert "| word error rate | 7% | 30 words |" in memory
    assert "GiB, Python 3." in speech
    assert "`python -m benchmarks.x speech`. Once more.\n" in speech
    assert "| word error rate | 8% | 30 words |" in speech
    printed = capsys.readouterr().out.splitlines()
    assert [line.split()[3] for line in printed] == ["7%", "7%", "8%", "9%"]
