"""What became of numbers, dates and names: cases judged by hand, and a search of all alignments."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from functools import cache as remembered

import pytest
from hypothesis import given
from hypothesis import strategies as st
from transformers.models.whisper.english_normalizer import BasicTextNormalizer

from evaluation.dates import MONTHS, Dates
from evaluation.entities import KINDS, OUTCOMES, EntityReader, entity_table
from evaluation.metrics import per_utterance_errors
from evaluation.names import capitalised_names
from evaluation.numbers import LANGUAGES, numbers_as_digits

Judged = list[tuple[str, str, str]]

reader = remembered(EntityReader)


def judged(reference: str, hypothesis: str, language: str = "en") -> Judged:
    """Words, outcome and what was heard of each entity."""
    found = reader(language).compare(reference, hypothesis)
    return [(one.words, one.outcome, one.heard) for one in found]


@pytest.mark.parametrize(
    ("reference", "hypothesis", "expected"),
    [
        ("twenty one apples", "21 apples", [("21", "kept", "21")]),
        ("5 dogs", "five dogs", [("5", "kept", "5")]),
        ("5 dogs", "fine dogs", [("5", "changed", "fine")]),
        ("5 dogs", "dogs", [("5", "lost", "")]),
        ("$20 million", "twenty million dollars", [("$20000000", "kept", "$20000000")]),
        ("3.5 percent", "three point five percent", [("3.5%", "kept", "3.5%")]),
        ("it is -5", "it is minus five", [("-5", "kept", "-5")]),
        ("it is -5", "it is 5", [("-5", "changed", "5")]),
        # How digits are grouped cannot be heard.
        ("at 9:30", "at nine thirty", [("9 30", "kept", "930")]),
        ("at 9:05", "at nine oh five", [("905", "kept", "905")]),
        ("room 007", "room double o seven", [("007", "kept", "007")]),
        ("555-0199", "five five five oh one nine nine", [("5550199", "kept", "5550199")]),
        ("555-0199", "five five five one nine nine", [("5550199", "changed", "555199")]),
        # A digit more is another number, whether it is one more error or not.
        ("5 dogs", "56 dogs", [("5", "changed", "56")]),
        ("5 dogs", "56", [("5", "changed", "56")]),
        ("9 dogs", "29 dogs", [("9", "changed", "29")]),
        ("2 men 3 dogs", "2 3 dogs", [("2", "kept", "2"), ("3", "kept", "3")]),
        # Of two alignments with as many errors, the one that sets a number against a number.
        ("call 5 now", "call at 6 now", [("5", "changed", "6")]),
        # One in words counts where the reference writes a 1.
        ("no one knows", "nobody knows", []),
        ("press 1", "press one", [("one", "kept", "one")]),
        ("press 1", "press on", [("one", "changed", "on")]),
    ],
)
def test_numbers(reference: str, hypothesis: str, expected: Judged) -> None:
    assert judged(reference, hypothesis) == expected


@pytest.mark.parametrize(
    ("reference", "hypothesis", "outcome"),
    [
        ("on March 3rd, 2024", "on the third of march twenty twenty four", "kept"),
        ("on 2024-03-04", "on the fourth of march 2024", "kept"),
        ("on 2024-03-04", "on the fifth of march 2024", "changed"),
        ("on March 3", "on march 3rd 2024", "changed"),
        ("in March 2024", "in march twenty twenty four", "kept"),
        ("in March 2024", "in march twenty twenty five", "changed"),
        ("on 1 May", "on the first of may", "kept"),
        ("on May 1, 2024", "on may first twenty twenty four", "kept"),
        ("on May 1", "on may one", "changed"),
        ("on 1 May we met", "we met", "lost"),
    ],
)
def test_dates(reference: str, hypothesis: str, outcome: str) -> None:
    (found,) = reader("en").compare(reference, hypothesis)
    assert (found.kind, found.outcome) == ("date", outcome)


@pytest.mark.parametrize(
    ("language", "date", "spoken"),
    [
        ("da", "3. maj 2020", "tredje maj to tusind tyve"),
        ("de", "am 1. Mai 2020", "am ersten mai zweitausendzwanzig"),
        ("es", "el 3 de mayo de 2020", "el tres de mayo de dos mil veinte"),
        ("fr", "le 1er août 2005", "le premier août deux mille cinq"),
        ("it", "il 3 maggio 2020", "il tre maggio duemilaventi"),
        ("nl", "21 maart 2005", "eenentwintig maart tweeduizend vijf"),
        ("pt", "21 de março de 2005", "vinte e um de março de dois mil e cinco"),
    ],
)
def test_dates_and_numbers_of_other_languages(language: str, date: str, spoken: str) -> None:
    found = EntityReader(language, names=[]).compare(date, spoken)
    assert [(one.kind, one.outcome) for one in found] == [("date", "kept")]


def test_months_pass_their_languages_normaliser() -> None:
    assert set(MONTHS) == set(LANGUAGES)
    for language, months in MONTHS.items():
        assert len(set(months.split())) == 12
        assert BasicTextNormalizer()(months).split() == months.split(), language


@given(st.dates(min_value=date(1000, 1, 1), max_value=date(2999, 12, 31)))
def test_an_iso_date_is_read_as_itself(day: date) -> None:
    normalise = numbers_as_digits("en")
    words = normalise(Dates("en").spell_out(f"on {day}.")).split()
    found = Dates("en").at(words, 1)
    assert found is not None and (found.value, found.stop) == (str(day), len(words))


def test_what_is_no_date_is_left_as_it_is() -> None:
    assert Dates("en").spell_out("2024-13-04 12024-03-04 555-01-99") == (
        "2024-13-04 12024-03-04 555-01-99"
    )
    for words in (
        ["may"],
        ["may", "i"],
        ["one", "may", "go"],
        ["march", "45"],
        ["99", "of", "march"],
        ["5", "dogs"],
    ):
        assert Dates("en").at(words, 0) is None


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("We met John Smith, Anna and I'm in New York.", ["John Smith", "Anna", "New York"]),
        ("John met Paul. Anna's cat and Bob's left.", ["Paul", "Bob"]),
        ("Ask Mr. Jones or Dr. J. Smith", ["Jones", "J Smith"]),
        ('He said: "Hello Anna!" - "Yes?"', ["Anna"]),
        ("THE MAN IN NEW YORK", []),
        ("the man in new york", []),
        ("", []),
        ("- ... -", []),
    ],
)
def test_names_are_words_with_capitals_inside_sentences(text: str, names: list[str]) -> None:
    assert [" ".join(word for _, word in run) for run in capitalised_names(text)] == names
    for place, word in (pair for run in capitalised_names(text) for pair in run):
        assert word in text.split()[place]


def test_names_are_found_however_the_hypothesis_writes_them() -> None:
    reference = "We called John Smith in New York"
    assert judged(reference, "we called john smith in new york") == [
        ("john smith", "kept", "john smith"),
        ("new york", "kept", "new york"),
    ]
    assert judged(reference, "We called John Smyth in Newark.") == [
        ("john smith", "changed", "john smyth"),
        ("new york", "changed", "newark"),
    ]
    assert judged(reference, "we called john a smith") == [
        ("john smith", "changed", "john a smith"),
        ("new york", "lost", ""),
    ]


def test_a_word_is_a_name_only_where_it_has_its_capital() -> None:
    assert judged("Then the band The Who saw the cat", "then the band the who saw a cat") == [
        ("the who", "kept", "the who")
    ]
    assert judged("I may ask why Mark made the mark", "i may ask why marc made the mark") == [
        ("mark", "changed", "marc")
    ]
    assert judged("It's, um, Zoë's cat; can't Bob?", "it is zoe is cat can not rob") == [
        ("zoe", "kept", "zoe"),
        ("bob", "changed", "rob"),
    ]


def test_a_list_of_names_takes_the_place_of_capitals() -> None:
    listed = EntityReader("en", names=["Boeing 747", "zelvora"])
    found = listed.compare("take zelvora on a boeing 747 to Rome", "take silvora on a boeing 747")
    assert [(one.words, one.outcome) for one in found] == [
        ("zelvora", "changed"),
        ("boeing 747", "kept"),
    ]


def test_languages_that_cannot_be_judged_say_which_can() -> None:
    with pytest.raises(ValueError, match=r"'ru'.*en, da, de, es, fr, it, nl, pt"):
        EntityReader("ru")
    with pytest.raises(ValueError, match=r"'ru'.*da, de, en"):
        Dates("ru")
    with pytest.raises(ValueError, match=r"'de' all nouns have capitals.*Give a list"):
        EntityReader("de")


def alignments(
    left: list[str], right: list[str], errors: int, i: int = 0, j: int = 0
) -> Iterator[list[tuple[str, str]]]:
    """Every alignment with exactly so many errors, as pairs of words."""
    if i == len(left) and j == len(right):
        if errors == 0:
            yield []
        return
    if i < len(left) and j < len(right):
        wrong = left[i] != right[j]
        if errors >= wrong:
            for rest in alignments(left, right, errors - wrong, i + 1, j + 1):
                yield [(left[i], right[j]), *rest]
    if errors and i < len(left):
        yield from alignments(left, right, errors - 1, i + 1, j)
    if errors and j < len(right):
        yield from alignments(left, right, errors - 1, i, j + 1)


WORDS = st.lists(st.sampled_from(["anna", "bob", "went", "home"]), max_size=6)


@given(WORDS, WORDS)
def test_an_alignment_with_the_fewest_errors_keeps_as_many_names_as_any(
    left: list[str], right: list[str]
) -> None:
    found = EntityReader("en", names=["Anna", "Bob"]).compare(" ".join(left), " ".join(right))
    errors = int(per_utterance_errors([" ".join(left)], [" ".join(right)])[0, 0])
    most = max(
        sum(one == other and one in ("anna", "bob") for one, other in pairs)
        for pairs in alignments(left, right, errors)
    )
    assert [one.words for one in found] == [word for word in left if word in ("anna", "bob")]
    assert sum(one.outcome == "kept" for one in found) == most


@given(st.lists(st.integers(0, 10**6), max_size=4))
def test_every_number_of_a_text_is_kept_by_itself_and_lost_by_silence(numbers: list[int]) -> None:
    text = " apples ".join(map(str, [*numbers, ""]))
    assert all(one.outcome == "kept" for one in reader("en").compare(text, text.upper()))
    found = reader("en").compare(text, "")
    assert [one.outcome for one in found] == ["lost"] * len(numbers)


def test_a_table_counts_kinds_and_outcomes_of_each_utterance() -> None:
    compare = reader("en").compare
    table = entity_table(
        [
            compare("Ask Anna and Bob on May 3rd for 5 of 6", "ask anna and rob on may 3rd for 5"),
            compare("nothing here", "nothing"),
        ]
    )
    assert (KINDS, OUTCOMES) == (("number", "date", "name"), ("kept", "changed", "lost"))
    assert table.tolist() == [[[1, 0, 1], [1, 0, 0], [1, 1, 0]], [[0, 0, 0]] * 3]
    assert entity_table([]).shape == (0, 3, 3)
