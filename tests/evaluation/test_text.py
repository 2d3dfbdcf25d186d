"""Normalisers against OpenAI's own rules, as transformers carries them."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.resources import files

import pytest
from hypothesis import given
from hypothesis import strategies as st
from transformers.models.whisper.english_normalizer import (
    BasicTextNormalizer,
    EnglishTextNormalizer,
)

from evaluation.text import NORMALISERS, normalise, normaliser_identity

SPELLINGS = json.loads(files("whisper_normalizer").joinpath("normalizers/english.json").read_text())
ENGLISH = EnglishTextNormalizer(SPELLINGS)
TRICKY = (
    "one oh one twenty hundred thousand and a half $20 million 3.5% can't won't it's 'cause cause "
    "because kinda dunno colour Mr. Dr uh mm [noise] (laughs) £5 double seven 1,000 2nd first "
    "minus point two per cent o'clock naïve café don't gonna -- ... ? O ones sixes"
)
LETTERS = [
    *"abmhuo'.,%$£€¢()[]<>012 \t½é①²٣ſßœ\u0301İΣﬁ-",
    "and a half",
    "..and a half",
    " 'd been",
]
SENTENCES = st.lists(st.sampled_from(TRICKY.split()), max_size=8).map(" ".join)


JUMBLES = st.lists(st.sampled_from([*TRICKY.split(), *LETTERS]), max_size=12).map("".join)


def squeezed(text: str) -> str:
    return " ".join(text.split())


@given(SENTENCES | JUMBLES | st.text(max_size=40))
def test_english_equals_openais(text: str) -> None:
    assert normalise(text, "whisper-english", "en") == squeezed(ENGLISH(text))


@given(SENTENCES | JUMBLES | st.text(max_size=40), st.sampled_from(["it", "es", "ru", "ja", "th"]))
def test_basic_equals_openais(text: str, language: str) -> None:
    theirs = BasicTextNormalizer(remove_diacritics=False, split_letters=language in ("ja", "th"))
    assert normalise(text, "whisper-basic", language) == squeezed(theirs(text))


def test_basic_keeps_accent_marks_and_drops_case_and_punctuation() -> None:
    assert normalise("Perché no? È già L'ora!", "whisper-basic", "it") == "perché no è già l ora"


def test_words_that_the_package_would_change_beyond_openai_stay() -> None:
    assert normalise("The cause is kinda odd", "whisper-english", "en") == "the cause is kinda odd"


def test_raw_only_composes_and_squeezes() -> None:
    assert normalise("  Cafe\u0301,\tNO ", "raw", "fr") == "Café, NO"


@given(st.text(max_size=40), st.sampled_from(NORMALISERS))
def test_words_are_separated_by_single_spaces(text: str, name: str) -> None:
    found = normalise(text, name, "en")
    assert found == squeezed(found)


@pytest.mark.parametrize("name", ["whisper", "", "Whisper-English"])
def test_unknown_normaliser_names_the_known_ones(name: str) -> None:
    with pytest.raises(ValueError, match="whisper-basic"):
        normalise("x", name, "en")
    with pytest.raises(ValueError, match="whisper-basic"):
        normaliser_identity(name)


def test_english_normaliser_refuses_other_languages() -> None:
    with pytest.raises(ValueError, match="whisper-basic"):
        normalise("ciao", "whisper-english", "it")


def test_identities_differ_between_normalisers_and_stay_between_calls() -> None:
    identities = [normaliser_identity(name) for name in NORMALISERS]
    assert len({identity["sha256"] for identity in identities}) == len(NORMALISERS)
    assert identities == [normaliser_identity(name) for name in NORMALISERS]
    assert identities[0]["version"].startswith("whisper_normalizer ")


def test_importing_the_pure_modules_loads_nothing_slow() -> None:
    code = (
        "import sys, evaluation.text, evaluation.metrics, experiments.gates;"
        "import experiments.certificate; print(*sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    slow = {"whisper_normalizer", "rapidfuzz", "jinja2", "torch", "pandas", "pyarrow", "scipy"}
    assert not slow & set(done.stdout.split())
