"""Replacements behind a normaliser: what they do, what they are called, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluation.replacements import (
    Replacements,
    read_replacements,
    replacing_identity,
    text_rules,
)
from evaluation.text import normaliser_identity
from voiceforge.errors import UsageError

TSV = "# our names\nvoice forge\tvoiceforge\n\nok\tokay\ner\t\n"
YAML = "er:\nok: okay  # as written\nvoice forge: voiceforge\n"
WORDS = st.lists(st.sampled_from("abcd"), max_size=8)


def written(folder: Path, text: str | bytes, suffix: str = ".tsv") -> Path:
    path = folder / f"mapping{suffix}"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


@pytest.mark.parametrize(("text", "suffix"), [(TSV, ".tsv"), (YAML, ".yaml"), (YAML, ".yml")])
def test_replaces_whole_words_after_the_normaliser(tmp_path: Path, text: str, suffix: str) -> None:
    found = read_replacements(written(tmp_path, text, suffix), "whisper-english", "en")
    normalise = text_rules("whisper-english", "en", found)
    assert normalise("OK, er... Voice  Forge's book!") == "okay voiceforge is book"
    assert normalise("Voices, forge; token") == "voices forge token"


def test_both_forms_of_a_file_are_the_same_normaliser(tmp_path: Path) -> None:
    read = [
        read_replacements(written(tmp_path, text, suffix), "raw", "en")
        for text, suffix in ((TSV, ".tsv"), (YAML, ".yaml"), ("\ufeff" + TSV, ".tsv"))
    ]
    identities = [replacing_identity("raw", one) for one in read]
    assert identities[0] == identities[1] == identities[2]
    assert identities[0]["name"] == "raw + replacements"
    assert identities[0]["version"].endswith(", 3 replacements")


def test_another_replacement_or_normaliser_has_another_identity() -> None:
    one, other = Replacements([(("a",), ("b",))]), Replacements([(("a",), ("c",))])
    shas = {
        normaliser_identity("raw")["sha256"],
        replacing_identity("raw", one)["sha256"],
        replacing_identity("raw", other)["sha256"],
        replacing_identity("whisper-basic", one)["sha256"],
        replacing_identity("raw", Replacements([(("a", "b"), ())]))["sha256"],
        replacing_identity("raw", Replacements([(("a",), ("b", ""))]))["sha256"],
    }
    assert len(shas) == 6


def test_the_longest_words_go_first_and_nothing_is_replaced_twice() -> None:
    rules = Replacements([(("a",), ("x",)), (("a", "b"), ("b", "a")), (("b", "a"), ("y",))])
    assert rules("a b a") == "b a x"
    assert rules("b a b") == "y b"


@given(WORDS, st.dictionaries(st.sampled_from("abcd"), st.sampled_from("wxyz")))
def test_single_words_are_replaced_wherever_they_stand(
    words: list[str], mapping: dict[str, str]
) -> None:
    rules = Replacements([((old,), (new,)) for old, new in mapping.items()])
    assert rules(" ".join(words)).split() == [mapping.get(word, word) for word in words]


def test_yaml_takes_what_is_written(tmp_path: Path) -> None:
    path = written(tmp_path, "no: nay\n1.50: '1.5'\n'12': ~\n", ".yaml")
    assert text_rules("raw", "en", read_replacements(path, "raw", "en"))("no 1.50 12 x") == (
        "nay 1.5 x"
    )


@pytest.mark.parametrize(
    ("text", "suffix", "said"),
    [
        ("ok\tokay\ncolour\tcolor\n", ".tsv", r"mapping.tsv, line 2: 'colour' never stands"),
        ("ok\tOkay!\n", ".tsv", r"line 1: 'Okay!' never stands .* makes it 'okay'"),
        ("ok okay\n", ".tsv", r"line 1: it has 0 tabs"),
        ("a\tb\tc\n", ".tsv", r"line 1: it has 2 tabs"),
        ("# x\n\tokay\n", ".tsv", r"line 2: there are no words to replace"),
        ("ok\tokay\nfine\tgood\nok\tyes\n", ".tsv", r"line 3: 'ok' is already .* line 1"),
        ("alpha\tbeta\nbeta\tgamma\n", ".tsv", r"line 1: it makes 'beta', .* with 'gamma'"),
        (b"ok\tokay\nn\xe4\tnah\n", ".tsv", r"line 2: it is not UTF-8"),
        ("# nothing\n", ".tsv", r"replaces nothing"),
        ("", ".yaml", r"replaces nothing"),
        ("a: b\n\nok: [okay]\n", ".yaml", r"mapping.yaml, line 3: one text should become one"),
        ("- ok\n", ".yaml", r"line 1: it is no mapping"),
        ("a: b\nc: 'd\n", ".yaml", r"it is no YAML"),
        ("a: b\x07\n", ".yaml", r"it is no YAML"),
        ("ok\tokay\n", ".txt", r"\.tsv, \.yaml, \.yml"),
    ],
)
def test_a_file_that_does_not_do_what_it_says_is_refused_by_line(
    tmp_path: Path, text: str | bytes, suffix: str, said: str
) -> None:
    with pytest.raises(UsageError, match=said):
        read_replacements(written(tmp_path, text, suffix), "whisper-english", "en")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"none.tsv cannot be read: No such file"):
        read_replacements(tmp_path / "none.tsv", "raw", "en")
