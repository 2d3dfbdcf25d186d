"""Normalisers against OpenAI's own rules, as transformers carries them."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from importlib.resources import files
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from transformers.models.whisper.english_normalizer import (
    BasicTextNormalizer,
    EnglishTextNormalizer,
)
from transformers.models.whisper.tokenization_whisper import LANGUAGES

import evaluation.text
from evaluation.text import NORMALISERS, identity_text, normalise, normaliser_identity

PROJECT = Path(__file__).resolve().parents[2]
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


def test_identity_is_the_same_in_another_process_and_folder(tmp_path: Path) -> None:
    code = (
        "from evaluation.text import *;"
        "print(*(normaliser_identity(name)['sha256'] for name in NORMALISERS))"
    )
    environment = {"PYTHONPATH": str(PROJECT), "PYTHONHASHSEED": "7", "LC_ALL": "C"}
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == [normaliser_identity(name)["sha256"] for name in NORMALISERS]


def test_identity_follows_code_and_tables_and_not_comments(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a copy of the package `evaluation`, changed."""
    source = (PROJECT / "evaluation" / "quick.py").read_text()
    changed = {
        "as it is": source,
        "commented": source.replace('"""', '"""Otherwise said. ', 1) + "\n# a comment\n",
        "another rule": source.replace('_SYMBOLS = ".%$', '_SYMBOLS = ".$'),
    }
    shas = {name: _shas_with(text, tmp_path / name) for name, text in changed.items()}
    assert shas["as it is"] == [normaliser_identity(name)["sha256"] for name in NORMALISERS]
    assert shas["commented"] == shas["as it is"]
    english, basic, raw = zip(shas["as it is"], shas["another rule"], strict=True)
    assert english[0] != english[1] and basic[0] != basic[1] and raw[0] == raw[1]
    monkeypatch.setattr(evaluation.text, "_NOT_OPENAI", (r"\bkinda\b",))
    assert normaliser_identity("whisper-english")["sha256"] != shas["as it is"][0]


def _shas_with(quick: str, folder: Path) -> list[str]:
    package = folder / "evaluation"
    shutil.copytree(PROJECT / "evaluation", package)
    (package / "quick.py").write_text(quick)
    code = (
        "from evaluation.text import *;"
        "print(*(normaliser_identity(name)['sha256'] for name in NORMALISERS))"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True,
                          env={"PYTHONPATH": str(folder)})  # fmt: skip
    return done.stdout.split()


def test_identity_is_said_in_a_line() -> None:
    identity = normaliser_identity("raw")
    said = identity_text(identity)
    assert said == f"raw ({identity['version']}; sha256 {identity['sha256'][:12]})"


def test_languages_of_whisper_are_known_and_others_refused() -> None:
    for language in LANGUAGES:
        normalise("a", "whisper-basic", language)
    for unknown in ("cn", "en-US", "EN", "english", ""):
        with pytest.raises(ValueError, match=f"no language '{unknown}'.* ISO 639 code, in small"):
            normalise("a", "whisper-basic", unknown)
    with pytest.raises(ValueError, match=r"Those in e are ee, el, en, eo, es, et, eu\."):
        normalise("a", "whisper-basic", "english")
