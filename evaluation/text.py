"""Text normalisers: what is taken out of a transcript before its words are counted.

Reference and hypothesis go through the same normaliser, by name:

- `whisper-english`: OpenAI's English normaliser (contractions, numbers, spelling, fillers).
- `whisper-basic`: OpenAI's for every other language (case, punctuation, brackets); accent marks
  stay, and languages written without spaces are split into letters.
- `raw`: Unicode NFC and single spaces, nothing else.

A normaliser's identity is its name, the versions of what it stands on, and a sha256 of the code and
tables that decide what it does: the package's files that it reads, byte by byte; our own code as
Python parses it, without comments, docstrings and layout; and the version of Unicode's tables. It
is the same on every machine with the same versions, and another one where a rule is another.
A list of replacements of one's own comes on top (`evaluation.replacements`).

Source: Radford et al. 2022, "Robust Speech Recognition via Large-Scale Weak Supervision",
appendix C, by the package whisper_normalizer.
"""

from __future__ import annotations

import ast
import hashlib
import inspect
import json
import textwrap
import unicodedata
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

from evaluation import quick
from evaluation.languages import SPLIT_INTO_LETTERS, check_language
from evaluation.quick import QuickBasic, QuickEnglish

NORMALISERS = ("whisper-english", "whisper-basic", "raw")

# whisper_normalizer adds these to OpenAI's rules; "cause" -> "because" would change real words.
_NOT_OPENAI = (r"\bkinda\b", r"\bsorta\b", r"\bdunno\b", r"\bcause\b")
_PACKAGE_FILES = {
    "whisper-english": ("basic.py", "english.py", "normalizers/english.json"),
    "whisper-basic": ("basic.py",),
}
"""Files of whisper_normalizer that decide what a normaliser does."""


def normalise(text: str, name: str, language: str) -> str:
    """Normalise a transcript.

    Args:
        text: a transcript, as a person or a model wrote it.
        name: one of `NORMALISERS`.
        language: ISO 639-1 code of the transcript.

    Returns:
        The text with single spaces between words and none at its ends.

    Raises:
        ValueError: an unknown normaliser or language, or the English one for another language.
    """
    return _normalised(text, name, language)


def normaliser(name: str, language: str) -> Callable[[str], str]:
    """The same as a function of the text alone, which remembers nothing: for very many texts.

    Raises:
        ValueError: as `normalise`.
    """
    _check(name, language)
    chosen = _normaliser(name, language in SPLIT_INTO_LETTERS)
    return lambda text: " ".join(chosen(text).split())


def normaliser_identity(name: str) -> dict[str, str]:
    """A normaliser's `name`, its `version`, and the `sha256` of what decides its output.

    Raises:
        ValueError: an unknown normaliser.
    """
    _check(name, "en")
    versions = {"Unicode": unicodedata.unidata_version}
    decisive: dict[str, Any] = {"name": name, "code": [_digest(normaliser), _digest(_normaliser)]}
    if name != "raw":
        from importlib.metadata import version
        from importlib.resources import files

        # regex splits texts into letters, by its own tables.
        packages = ["whisper_normalizer", *(["regex"] if name == "whisper-basic" else [])]
        versions = {package: version(package) for package in packages} | versions
        package = files("whisper_normalizer")
        decisive["package"] = {
            path: hashlib.sha256(package.joinpath(path).read_bytes()).hexdigest()
            for path in _PACKAGE_FILES[name]
        }
        decisive["code"].append(_digest(quick))
        decisive["tables"] = [_NOT_OPENAI, sorted(SPLIT_INTO_LETTERS)]
    decisive["versions"] = versions
    return {
        "name": name,
        "version": ", ".join(f"{of} {number}" for of, number in versions.items()),
        "sha256": hashlib.sha256(json.dumps(decisive, sort_keys=True).encode()).hexdigest(),
    }


def identity_text(identity: Mapping[str, str]) -> str:
    """An identity as it stands beside a figure, the sha256 cut to 12 letters."""
    return f"{identity['name']} ({identity['version']}; sha256 {identity['sha256'][:12]})"


def _digest(code: Any) -> str:
    """sha256 of a module's or function's syntax: comments, docstrings and layout say nothing."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(code)))
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list):
            node.body = [one for one in body if not _is_text(one)]  # type: ignore[attr-defined]
    return hashlib.sha256(ast.dump(tree).encode()).hexdigest()


def _is_text(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )


@lru_cache(maxsize=1 << 15)
def _normalised(text: str, name: str, language: str) -> str:
    return normaliser(name, language)(text)


@lru_cache
def _normaliser(name: str, letters: bool) -> Callable[[str], str]:
    if name == "whisper-english":
        return QuickEnglish(_NOT_OPENAI)
    if name == "whisper-basic":
        return QuickBasic(letters)
    return lambda text: unicodedata.normalize("NFC", text)


def _check(name: str, language: str) -> None:
    if name not in NORMALISERS:
        raise ValueError(f"There is no normaliser {name!r}. There are: {', '.join(NORMALISERS)}.")
    check_language(language)
    if name == "whisper-english" and language != "en":
        raise ValueError(
            f"The normaliser whisper-english is for English and would mangle {language!r}. "
            "Use whisper-basic for this language."
        )
