"""Replacements of one's own, applied to both texts after a named normaliser.

A file says what is written instead of what: one replacement a line (TSV: the words, a tab, what
they become) or one key and value of a YAML mapping. Nothing behind the tab, or an empty value,
takes the words out. In TSV, blank lines and lines that begin with # are passed over.

Replacements are of whole words, the longest first, from left to right, once: none is applied to
what another has written. Both sides stand as the normaliser leaves them, and no replacement makes
what another replaces. Otherwise a line would silently do nothing, or what comes out would depend on
an order that nobody wrote down; such a file is refused.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from evaluation.text import normalise, normaliser, normaliser_identity
from voiceforge.errors import UsageError

Words = tuple[str, ...]


class Replacements:
    """Whole words and what they become.

    Args:
        pairs: (words, other words, maybe none); the first words are all different.
    """

    def __init__(self, pairs: Sequence[tuple[Words, Words]]) -> None:
        self.pairs = tuple(sorted(pairs))
        self._by_first: dict[str, list[tuple[Words, Words]]] = {}
        for old, new in sorted(pairs, key=lambda pair: -len(pair[0])):
            self._by_first.setdefault(old[0], []).append((old, new))

    def __call__(self, text: str) -> str:
        """Replace in a normalised text."""
        words = text.split()
        if self._by_first.keys().isdisjoint(words):
            return " ".join(words)
        return " ".join(self._replaced(words))

    def _replaced(self, words: Sequence[str]) -> Iterator[str]:
        at = 0
        while at < len(words):
            for old, new in self._by_first.get(words[at], ()):
                if tuple(words[at : at + len(old)]) == old:
                    yield from new
                    at += len(old)
                    break
            else:
                yield words[at]
                at += 1


def text_rules(name: str, language: str, replacements: Replacements | None) -> Callable[[str], str]:
    """What both texts of a score go through: a named normaliser and, if any, replacements behind
    it; remembers texts, as `evaluation.text.normalise` does.

    Raises:
        ValueError: as `normaliser`.
    """
    normaliser(name, language)
    if replacements is None:
        return lambda text: normalise(text, name, language)
    return lambda text: replacements(normalise(text, name, language))


def replacing_identity(name: str, replacements: Replacements | None) -> dict[str, str]:
    """As `normaliser_identity`: what the file says counts, not its name, form, order or comments.

    Without replacements it is the normaliser's own.

    Raises:
        ValueError: an unknown normaliser.
    """
    base = normaliser_identity(name)
    if replacements is None:
        return base
    content = json.dumps([base["sha256"], replacements.pairs])
    return {
        "name": rules_name(name, replacements),
        "version": f"{base['version']}, {len(replacements.pairs)} replacements",
        "sha256": hashlib.sha256(content.encode()).hexdigest(),
    }


def read_replacements(path: Path, name: str, language: str) -> Replacements:
    """Read replacements that are to be applied after a named normaliser.

    Args:
        path: a file .tsv, .yaml or .yml, UTF-8.
        name: of the normaliser.
        language: ISO 639 code of the texts.

    Raises:
        UsageError: the file is missing or empty, or a line of it does not do what it says; names
            the file and the line.
        ValueError: as `normaliser`.
    """
    named = normaliser(name, language)
    entries = _read(path)
    first: dict[Words, int] = {}
    for one in entries:
        old = tuple(one.old.split())
        for said in (one.old, one.new):
            if (kept := named(said)) != " ".join(said.split()):
                raise one.error(
                    f"{said!r} never stands in a text after {name}, which makes it {kept!r}",
                    "Write it as the normaliser leaves it.",
                )
        if not old:
            raise one.error("there are no words to replace", "Write them, or take the line out.")
        if old in first:
            raise one.error(f"{one.old!r} is already replaced in line {first[old]}", "Keep one.")
        first[old] = one.line
    found = Replacements([(tuple(one.old.split()), tuple(one.new.split())) for one in entries])
    for one in entries:
        if (again := found(one.new)) != " ".join(one.new.split()):
            raise one.error(
                f"it makes {one.new!r}, which the file replaces in its turn with {again!r}",
                "Write the last form in every line.",
            )
    return found


def rules_name(name: str, replacements: Replacements | None) -> str:
    """What reports call a normaliser, with replacements or without."""
    return name if replacements is None else f"{name} + replacements"


@dataclass(frozen=True, slots=True)
class _Entry:
    path: Path
    line: int
    old: str
    new: str

    def error(self, what: str, remedy: str) -> UsageError:
        return _refused(self.path, self.line, what, remedy)


def _refused(path: Path, line: int, what: str, remedy: str) -> UsageError:
    return UsageError(f"{path}, line {line}: {what}. {remedy}")


def _read(path: Path) -> list[_Entry]:
    readers = {".tsv": _read_tsv, ".yaml": _read_yaml, ".yml": _read_yaml}
    if path.suffix not in readers:
        raise UsageError(
            f"{path} is no file of replacements: these are named {', '.join(readers)}. Rename it."
        )
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}. Check the path.") from error
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise _refused(path, line, "it is not UTF-8", "Save the file as UTF-8.") from error
    if entries := readers[path.suffix](path, text):
        return entries
    raise UsageError(f"{path} replaces nothing. Add a replacement, or do without the file.")


def _read_tsv(path: Path, text: str) -> list[_Entry]:
    entries = []
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip() or line.startswith("#"):
            continue
        if line.count("\t") != 1:
            raise _refused(
                path, number, f"it has {line.count(chr(9))} tabs",
                "Write the words, one tab, and what they become.",
            )  # fmt: skip
        old, new = line.split("\t")
        entries.append(_Entry(path, number, old.strip(), new.strip()))
    return entries


def _read_yaml(path: Path, text: str) -> list[_Entry]:
    import yaml

    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        raise _refused(
            path, mark.line + 1 if mark else 1, f"it is no YAML: {error.problem}", "Correct it."
        ) from error
    except yaml.YAMLError as error:
        raise _refused(path, 1, f"it is no YAML: {error}", "Correct it.") from error
    if root is None:
        return []
    remedy = "Write words: what they become."
    if not isinstance(root, yaml.MappingNode):
        raise _refused(path, root.start_mark.line + 1, "it is no mapping", remedy)
    entries = []
    for key, value in root.value:
        line = key.start_mark.line + 1
        if not (isinstance(key, yaml.ScalarNode) and isinstance(value, yaml.ScalarNode)):
            raise _refused(path, line, "one text should become one other", remedy)
        # What is written counts, whatever YAML would read in it: no, 1.50, 12:30.
        nothing = value.tag == "tag:yaml.org,2002:null"
        entries.append(_Entry(path, line, key.value, "" if nothing else value.value))
    return entries
