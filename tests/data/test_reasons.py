"""Every code that quarantine can hold is explained."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from data.reasons import REASONS, reason, reasons_table
from data.validation_rules import copy_rules, correction_rules, row_rules, transcript_rules
from voiceforge.errors import UsageError
from voiceforge.params import load_params

CODE = re.compile(r"[a-z]+(-[a-z]+)*")


def emitted(path: Path) -> Iterator[tuple[str, str]]:
    """Codes in a module: `reason="..."`, and strings that are followed by a sentence about them."""
    for node in ast.walk(ast.parse(path.read_text())):
        line = f"{path.name}:{getattr(node, 'lineno', 0)}"
        if isinstance(node, ast.Call):
            if getattr(node.func, "attr", "") == "error":  # a column of a table and its problem
                continue
            if getattr(node.func, "id", "") == "Reject":
                yield from ((line, code) for code in map(text, node.args[3:4]) if code)
            for keyword in node.keywords:
                if keyword.arg == "reason" and (code := text(keyword.value)):
                    yield line, code
        parts = node.args if isinstance(node, ast.Call) else getattr(node, "elts", [])
        for code, sentence in pairwise(parts):
            name = text(code)
            if name and CODE.fullmatch(name) and is_sentence(sentence):
                yield line, name


def text(node: ast.AST) -> str:
    return str(node.value) if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


def is_sentence(node: ast.AST) -> bool:
    words = text(node) or "".join(map(text, getattr(node, "values", [])))
    return isinstance(node, ast.Constant | ast.JoinedStr) and words.count(" ") >= 2


def test_every_code_that_data_emits_is_listed(project: Path) -> None:
    modules = [path for path in (project / "data").rglob("*.py") if "corpora" not in path.parts]
    # The list itself, and figures.py, which names values and their units in the same way.
    own = {"reasons.py", "figures.py"}
    found = {code: line for path in modules if path.name not in own for line, code in emitted(path)}
    assert {"missing", "truncated", "empty-text", "duplicate-id", "synthesis"} <= found.keys()
    assert {code: line for code, line in found.items() if code not in REASONS} == {}


def test_every_rule_of_validation_has_a_code_found_by_validation(project: Path) -> None:
    params = load_params(project / "params.yaml")["telephony-en"].validation
    params = params.model_copy(update={"require_consent": True, "licences": ("CC0-1.0",)})
    rules = [
        *row_rules(params), *correction_rules(), *transcript_rules(params), *copy_rules()
    ]  # fmt: skip
    by_validation = {code for code, one in REASONS.items() if "validation" in one.found_by}
    assert {rule.reason for rule in rules} == by_validation


def test_what_cannot_be_decoded_or_must_not_be_used_cannot_be_released() -> None:
    for code, one in REASONS.items():
        if "validation" not in one.found_by:
            assert not one.releasable, code
    for code in ("refused-consent", "no-consent", "licence", "empty-text", "corrected"):
        assert not REASONS[code].releasable


def test_an_unknown_code_is_an_error_that_lists_the_known() -> None:
    with pytest.raises(UsageError, match=r"no reason code 'loud'.*clipped"):
        reason("loud")


def test_the_table_has_a_row_a_code_with_an_example() -> None:
    head, rule, *rows = reasons_table().splitlines()
    assert head.count("|") == rule.count("|") == 7
    assert [row.split("|")[1].strip(" `") for row in rows] == list(REASONS)
    for row in rows:
        cells = re.split(r"(?<!\\)\|", row)
        assert len(cells) == 8 and all(cell.strip() for cell in cells[1:-1]), row
