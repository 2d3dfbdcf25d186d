"""Text normalisers: what is taken out of a transcript before its words are counted.

Reference and hypothesis go through the same normaliser, by name:

- `whisper-english`: OpenAI's English normaliser (contractions, numbers, spelling, fillers).
- `whisper-basic`: OpenAI's for every other language (case, punctuation, brackets); accent marks
  stay, and languages written without spaces are split into letters.
- `raw`: Unicode NFC and single spaces, nothing else.

Source: Radford et al. 2022, "Robust Speech Recognition via Large-Scale Weak Supervision",
appendix C, by the package whisper_normalizer.
"""

from __future__ import annotations

import hashlib
import json
import unicodedata
from collections.abc import Callable
from functools import lru_cache

from evaluation.quick import QuickBasic, QuickEnglish

NORMALISERS = ("whisper-english", "whisper-basic", "raw")

# whisper_normalizer adds these to OpenAI's rules; "cause" -> "because" would change real words.
_NOT_OPENAI = (r"\bkinda\b", r"\bsorta\b", r"\bdunno\b", r"\bcause\b")
# Appendix C splits these into letters, since they are written without spaces.
_LETTERS = frozenset({"zh", "yue", "ja", "th", "lo", "my"})


def normalise(text: str, name: str, language: str) -> str:
    """Normalise a transcript.

    Args:
        text: a transcript, as a person or a model wrote it.
        name: one of `NORMALISERS`.
        language: ISO 639-1 code of the transcript.

    Returns:
        The text with single spaces between words and none at its ends.

    Raises:
        ValueError: an unknown normaliser, or the English one for another language.
    """
    return _normalised(text, name, language)


def normaliser(name: str, language: str) -> Callable[[str], str]:
    """The same as a function of the text alone, which remembers nothing: for very many texts.

    Raises:
        ValueError: as `normalise`.
    """
    _check(name, language)
    chosen = _normaliser(name, language in _LETTERS)
    return lambda text: " ".join(chosen(text).split())


def normaliser_identity(name: str) -> dict[str, str]:
    """What decides a normaliser's output: its `name`, the `version` and the `sha256` of its rules.

    Raises:
        ValueError: an unknown normaliser.
    """
    _check(name, "en")
    digest = hashlib.sha256(json.dumps([name, _NOT_OPENAI, sorted(_LETTERS)]).encode())
    version = f"Unicode {unicodedata.unidata_version}"
    if name != "raw":
        from importlib.metadata import version as package_version
        from importlib.resources import files

        version = f"whisper_normalizer {package_version('whisper_normalizer')}, {version}"
        for path in ("basic.py", "english.py", "normalizers/english.json"):
            digest.update(files("whisper_normalizer").joinpath(path).read_bytes())
    return {"name": name, "version": version, "sha256": digest.hexdigest()}


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
    if name == "whisper-english" and language != "en":
        raise ValueError(
            f"The normaliser whisper-english is for English and would mangle {language!r}. "
            "Use whisper-basic for this language."
        )
