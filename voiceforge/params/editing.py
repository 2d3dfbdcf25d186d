"""Changing the text of a params.yaml: domains and sources come and go, every other byte stays.

YAML's own writers would drop the comments; here the parser only says where things lie.
"""

from __future__ import annotations

import json
import textwrap
from collections.abc import Mapping
from typing import Any

import yaml

from voiceforge.errors import UsageError


def with_domain(text: str, domain: str, entry: Mapping[str, object]) -> str:
    """The text of a params.yaml with one more domain.

    Args:
        text: YAML that `parse_params` accepts.

    Raises:
        UsageError: the text is written in a way that cannot be changed by machine.
    """
    wanted = _load(text)
    wanted["domains"] = {**(wanted.get("domains") or {}), domain: dict(entry)}
    return _proven(_with_domain(text, domain, entry), wanted)


def with_source(text: str, domain: str, source: Mapping[str, object]) -> str:
    """The text with one more source at the end of a domain's own list.

    Raises:
        UsageError: the domain is not in the text or has no keys, or as `with_domain`.
    """
    _domain(text, domain)
    wanted = _load(text)
    entry = wanted["domains"][domain]
    entry["sources"] = [*(entry.get("sources") or []), dict(source)]
    return _proven(_with_source(text, domain, source), wanted)


def without_source(text: str, domain: str, number: int) -> str:
    """The text without the domain's own source of that number, counted from 0.

    Raises:
        UsageError: the domain has no such source of its own, or as `with_domain`.
    """
    _domain(text, domain)
    wanted = _load(text)
    known = wanted["domains"][domain].get("sources")
    if not isinstance(known, list) or not 0 <= number < len(known):
        raise UsageError(f"{domain} has no source number {number + 1} of its own in params.yaml.")
    del known[number]
    return _proven(_without_source(text, domain, number), wanted)


def without_domain(text: str, domain: str) -> str:
    """The text without a domain; comments above it stay.

    Raises:
        UsageError: there is no such domain, or as `with_domain`.
    """
    _domain(text, domain)
    wanted = _load(text)
    del wanted["domains"][domain]
    return _proven(_without_domain(text, domain), wanted)


def _load(text: str) -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load(text) or {}
    return content


def _proven(text: str, wanted: Mapping[str, Any]) -> str:
    """The text, which must mean what is wanted: anchors, for one, can stand in the way."""
    try:
        if yaml.safe_load(text) == wanted:
            return text
    except yaml.YAMLError:
        pass
    raise UsageError(
        "params.yaml is written in a way that this command cannot change without changing more. "
        "Edit it by hand; docs/parameters.md has the keys."
    )


def _with_domain(text: str, domain: str, entry: Mapping[str, object]) -> str:
    line = _line_end(text)
    keys = _keys(yaml.compose(text, yaml.SafeLoader))
    at = next((index for index, (key, _) in enumerate(keys) if key.value == "domains"), None)
    if at is None:
        return _ended(text, line) + _block({"domains": {domain: entry}}, 0, line)
    value = keys[at][1]
    if not value.value or not isinstance(value, yaml.MappingNode):  # `domains:` or `domains: {}`
        before, after = text[: value.start_mark.index], text[value.end_mark.index :]
        return f"{before.rstrip(' ')}{line}{_block({domain: entry}, 2, line).rstrip()}{after}"
    if value.flow_style:
        return _into_flow(text, value, json.dumps({domain: entry}, ensure_ascii=False)[1:-1])
    block = _block({domain: entry}, value.value[0][0].start_mark.column, line)
    if at + 1 == len(keys):
        return f"{_ended(text, line)}{line}{block}"
    # Before the next key and the comments that stand above it.
    head = text[: keys[at + 1][0].start_mark.index].splitlines(keepends=True)
    while head and (head[-1].startswith("#") or not head[-1].strip()):
        head.pop()
    start = len("".join(head))
    return f"{text[:start]}{line}{block}{text[start:]}"


def _with_source(text: str, domain: str, source: Mapping[str, object]) -> str:
    line = _line_end(text)
    entry = _domain(text, domain)
    sources = next((value for key, value in entry.value if key.value == "sources"), None)
    if sources is None:
        if entry.flow_style:
            return _into_flow(
                text, entry, json.dumps({"sources": [source]}, ensure_ascii=False)[1:-1]
            )
        end = _line_after(text, _end(entry))
        block = _block({"sources": [source]}, entry.value[0][0].start_mark.column, line)
        return _ended(text[:end], line) + block + text[end:]
    if not isinstance(sources, yaml.SequenceNode) or not sources.value or sources.flow_style:
        known = yaml.safe_load(text[sources.start_mark.index : sources.end_mark.index]) or []
        flow = json.dumps([*known, source], ensure_ascii=False)
        return _replaced(text, sources, flow)
    end = _line_after(text, _end(sources))
    dash = text.rfind("-", 0, sources.value[-1].start_mark.index)
    column = dash - _line_start(text, dash)
    return _ended(text[:end], line) + _block([source], column, line) + text[end:]


def _without_source(text: str, domain: str, number: int) -> str:
    entry = _domain(text, domain)
    sources = _value(entry, "sources")
    if sources.flow_style:
        known = yaml.safe_load(text[sources.start_mark.index : sources.end_mark.index])
        del known[number]
        return _replaced(text, sources, json.dumps(known, ensure_ascii=False))
    end = _line_after(text, _end(sources.value[number]))
    if len(sources.value) == 1:
        key = next(key for key, _ in entry.value if key.value == "sources")
        return f"{text[: key.end_mark.index]}: []{_line_end(text)}{text[end:]}"
    start = _line_start(text, text.rfind("-", 0, sources.value[number].start_mark.index))
    return text[:start] + text[end:]


def _without_domain(text: str, domain: str) -> str:
    root = yaml.compose(text, yaml.SafeLoader)
    domains = _value(root, "domains")
    if domains.flow_style:
        left = {name: value for name, value in _load(text)["domains"].items() if name != domain}
        return _replaced(text, domains, json.dumps(left, ensure_ascii=False))
    key, value = next(pair for pair in domains.value if pair[0].value == domain)
    end = _line_after(text, max(_end(value), key.end_mark.index))
    if len(domains.value) == 1:
        head = next(one for one, _ in _keys(root) if one.value == "domains")
        return f"{text[: head.end_mark.index]}: {{}}{_line_end(text)}{text[end:]}"
    return text[: _line_start(text, key.start_mark.index)] + text[end:]


def _domain(text: str, domain: str) -> Any:
    domains = _value(yaml.compose(text, yaml.SafeLoader), "domains")
    found = _value(domains, domain)
    if not isinstance(found, yaml.MappingNode) or not found.value:
        raise UsageError(f"params.yaml has no domain {domain!r} with keys of its own.")
    return found


def _keys(node: yaml.Node | None) -> list[tuple[Any, Any]]:
    return list(node.value) if isinstance(node, yaml.MappingNode) else []


def _value(node: yaml.Node | None, name: str) -> Any:
    return next((value for key, value in _keys(node) if key.value == name), None)


def _end(node: yaml.Node) -> int:
    """Where a node's own text ends; a block's mark lies behind the comments that follow it."""
    block = isinstance(node, yaml.CollectionNode) and not node.flow_style
    if not block or not node.value:
        end: int = node.end_mark.index
        return end
    last = node.value[-1]
    return max(_end(part) for part in last) if isinstance(last, tuple) else _end(last)


def _line_start(text: str, at: int) -> int:
    return text.rfind("\n", 0, at) + 1


def _line_after(text: str, at: int) -> int:
    """Where the line after the one with `at` begins; a block scalar's end is there already."""
    if at and text[at - 1] == "\n":
        return at
    found = text.find("\n", at)
    return len(text) if found < 0 else found + 1


def _into_flow(text: str, node: yaml.Node, content: str) -> str:
    end = node.end_mark.index - 1
    comma = "" if text[:end].rstrip().endswith((",", "{")) else ", "
    return f"{text[:end]}{comma}{content}{text[end:]}"


def _replaced(text: str, node: yaml.Node, flow: str) -> str:
    before, after = text[: node.start_mark.index], text[node.end_mark.index :]
    space = "" if not before or before[-1] in " \n" else " "
    return f"{before}{space}{flow}{after}"


def _block(content: object, indent: int, line: str) -> str:
    text = yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=1000)
    return textwrap.indent(text, " " * indent).replace("\n", line)


def _line_end(text: str) -> str:
    return "\r\n" if "\r\n" in text else "\n"


def _ended(text: str, line: str) -> str:
    return text if not text or text.endswith("\n") else text + line
