"""Changing params.yaml: it comes to mean what was asked, and nothing else of it moves."""

from __future__ import annotations

import copy
import json
import re
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from voiceforge.errors import UsageError
from voiceforge.params.editing import with_domain, with_source, without_domain, without_source

SOURCE = {"kind": "folder", "path": "è x", "language": "fr"}
ENTRY = {"language": "fr", "sources": [SOURCE]}
COMMENTED = """\
# top
defaults: {x: 1}
domains:
  # about a
  a:
    language: en  # why
    sources:
      # the first
      - kind: prompts
        language: en
      - {kind: folder, path: "p # q"}
    # after the list
    training:
      steps: 4
  # about b
  b:
    sources:
    - kind: prompts  # only

# end
"""


@pytest.mark.parametrize(
    "text",
    [
        "",
        "domains:\n",
        "domains: {}\n# end\n",
        "domains: # none yet\ndefaults: {a: 1}\n",
        "domains:\n  a: {b: 1}  # c\n  # tail\n\n# about defaults\ndefaults:\n  x: 1\n",
        "defaults: {x: 1}\n",
        "domains: {a: {b: 1}}\n",
        "domains: {a: {b: 1},}\n",
        "domains:\n    a: |\n      text\n      # no comment\n\ndefaults: {}",
        "domains:\r\n  a: {b: 1}\r\n",
        "domains:\n  a: {b: 1}",
    ],
)
def test_a_domain_fits_into_any_params_file(text: str) -> None:
    out = with_domain(text, "123", ENTRY)
    before = yaml.safe_load(text) or {}
    domains = {**(before.get("domains") or {}), "123": ENTRY}
    assert yaml.safe_load(out) == {**before, "domains": domains}
    comments = re.findall("#.*", text)
    assert re.findall("#.*", out) == comments
    assert out.count("\r") == (out.count("\n") if "\r" in text else 0)


@pytest.mark.parametrize("domain", ["a", "b"])
@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_a_source_is_added_and_taken_away_again(domain: str, ending: str) -> None:
    text = COMMENTED.replace("\n", ending)
    more = with_source(text, domain, SOURCE)
    assert more != text
    assert re.findall("#.*", more) == re.findall("#.*", text)
    last = len(yaml.safe_load(text)["domains"][domain]["sources"])
    assert without_source(more, domain, last) == text


def test_a_source_takes_its_own_lines_with_it() -> None:
    first = without_source(COMMENTED, "a", 0)
    assert first == COMMENTED.replace("      - kind: prompts\n        language: en\n", "")
    only = without_source(COMMENTED, "b", 0)
    assert yaml.safe_load(only)["domains"]["b"] == {"sources": []}
    assert "# end" in only


def test_a_domain_takes_its_own_lines_with_it() -> None:
    out = without_domain(COMMENTED, "b")
    assert out == COMMENTED.replace("  b:\n    sources:\n    - kind: prompts  # only\n", "")
    assert yaml.safe_load(without_domain(out, "a")) == {"defaults": {"x": 1}, "domains": {}}


@pytest.mark.parametrize(
    "text",
    [
        "domains: {a: {sources: [{kind: prompts}]}}\n",
        "domains:\n  a: {language: en}\n",
        "domains:\n  a:\n    sources:\n    language: en\n",
        "domains:\n  a:\n    sources: []  # none\n    language: en\n",
        "domains:\n  a:\n    language: en",
        "domains:\n  a:\n    note: |\n      text\n      # no comment\n\ndefaults: {}",
    ],
)
def test_a_source_fits_into_any_domain(text: str) -> None:
    out = with_source(text, "a", SOURCE)
    wanted = yaml.safe_load(text)
    entry = wanted["domains"]["a"]
    entry["sources"] = [*(entry.get("sources") or []), SOURCE]
    assert yaml.safe_load(out) == wanted
    assert re.findall("#.*", out) == re.findall("#.*", text)


def test_what_cannot_be_changed_alone_is_refused() -> None:
    shared = "x: &s\n  - {kind: prompts}\ndomains:\n  a:\n    sources: *s\n"
    with pytest.raises(UsageError, match="Edit it by hand"):
        with_source(shared, "a", SOURCE)
    with pytest.raises(UsageError, match="no source number 3 of its own"):
        without_source(COMMENTED, "a", 2)
    with pytest.raises(UsageError, match="no domain 'c'"):
        without_domain(COMMENTED, "c")


names = st.text("abcdef", min_size=1, max_size=4)
plain = st.one_of(st.integers(0, 9), st.text("xyz :#-é", max_size=6), st.booleans())
sources = st.lists(st.dictionaries(names, plain, min_size=1, max_size=3), min_size=1, max_size=3)
entries = st.fixed_dictionaries(
    {"language": st.just("en")}, optional={"sources": sources, "training": st.just({"steps": 4})}
)


@given(
    st.dictionaries(names, entries, min_size=1, max_size=3),
    st.booleans(),
    st.integers(0, 5),
    st.data(),
)
def test_any_change_means_what_was_asked(
    domains: dict[str, Any], flow: bool, indent: int, data: Any
) -> None:
    # Through JSON, since equal objects would be written as anchors.
    whole = json.loads(json.dumps({"defaults": {"x": 1}, "domains": domains, "tail": 1}))
    text = (
        yaml.safe_dump(whole, sort_keys=False, default_flow_style=False, indent=2 + indent)
        if not flow
        else json.dumps(whole) + "\n"
    )
    name = data.draw(st.sampled_from(sorted(domains)))
    wanted = copy.deepcopy(whole)
    known = wanted["domains"][name]
    known["sources"] = [*known.get("sources", []), SOURCE]
    more = with_source(text, name, SOURCE)
    assert yaml.safe_load(more) == wanted
    number = data.draw(st.integers(0, len(known["sources"]) - 1))
    less = without_source(more, name, number)
    del known["sources"][number]
    assert yaml.safe_load(less) == wanted
    del wanted["domains"][name]
    assert yaml.safe_load(without_domain(less, name)) == wanted
