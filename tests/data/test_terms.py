"""Custom vocabulary as a source: who says which term in which sentence, and in which split."""

from __future__ import annotations

from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import pytest

from data.corpus import recording_key
from data.sources import open_sources, render
from data.sources.base import Plan, Reach, Speech
from data.sources.carriers import BUILT_IN, PLACE, carriers
from data.sources.terms import Terms, speaker_splits_of
from data.split_hash import hash_split, text_key
from data.splits import assign_splits, check_splits
from data.utterance import Utterance
from data.vocabulary import read_terms
from voiceforge.errors import UsageError
from voiceforge.params import DomainParams, TermsSource, VocabularyParams, domain_params

TERMS = ["Zelvora", "Corvid Lattice", "Quorvex | kwor vecks"]
VOICES = {"train": ["m1", "f1"], "dev": ["m5"], "test": ["m6", "f5"]}
COUNTS = {"train": 10, "dev": 2, "test": 6}


def _domain(project: Path, **more: Any) -> DomainParams:
    shipped = domain_params(project / "params.yaml", "telephony-en").model_dump()
    source = {
        "kind": "terms", "language": "en", "accents": ["en-us", "en-gb"], "voices": VOICES,
        "clips_per_term": COUNTS, **more,
    }  # fmt: skip
    return DomainParams.model_validate(
        {**shipped, "vocabulary": {"terms": TERMS}, "sources": [source]}
    )


def _source(domain: DomainParams, project: Path) -> Terms:
    (source,) = open_sources(domain, project)
    assert isinstance(source, Terms)
    return source


@pytest.fixture(scope="module")
def reach(cache: Path) -> Reach:
    return Reach(cache, offline=False, timeout=10.0)


def _rows(plan: Plan) -> list[Utterance]:
    return [
        Utterance(
            one.id, "", 1.0, one.text, one.language, one.accent, one.speaker, "d", one.source,
            one.licence, one.consent, "", one.is_synthetic, one.id,
        )
        for one in plan.recordings
    ]  # fmt: skip


@pytest.mark.parametrize("texts", [None, "prompts"])
def test_neither_a_sentence_nor_a_voice_of_what_is_held_out_is_trained_on(
    project: Path, reach: Reach, texts: str | None
) -> None:
    domain = _domain(project, texts=texts)
    source = _source(domain, project)
    rows = _rows(source.plan(reach))
    declared = speaker_splits_of(source.params)
    split = assign_splits(rows, domain.splits, declared)
    assert check_splits(split, domain.splits, declared) == []
    assert Counter(row.split for row in split) == {
        name: count * len(TERMS) for name, count in COUNTS.items()
    }
    spoken: dict[str, set[str]] = defaultdict(set)
    for row in split:
        bare = row.text
        for term in ("Zelvora", "Corvid Lattice", "Quorvex"):
            bare = bare.replace(term, PLACE)
        assert PLACE in bare and row.is_synthetic
        spoken[bare].add(row.split)
    # A carrier is in one split with every term, so the words around a held-out term are new too.
    assert all(len(splits) == 1 for splits in spoken.values())


def test_a_carrier_made_from_a_text_of_the_domain_is_where_that_text_is(project: Path) -> None:
    splits = domain_params(project / "params.yaml", "telephony-en").splits
    texts = [f"Please enter conference number {number} now" for number in range(40)]
    made = {one.text: one.split for one in carriers("en", texts, splits)}
    for text in texts:
        assert made[text.replace("conference", PLACE)] == hash_split(text_key(text), splits)


def test_a_placed_term_stays_where_it_was_put_and_short_texts_carry_none(project: Path) -> None:
    splits = domain_params(project / "params.yaml", "telephony-en").splits
    texts = ["Take {term} home", "yes please", "a b c d e", "{term} or {term}"]
    made = {one.text for one in carriers("en", texts, splits)} - set(BUILT_IN["en"])
    assert made == {"Take {term} home"}


@pytest.mark.parametrize("language", sorted(BUILT_IN))
def test_built_in_sentences_leave_each_split_some(project: Path, language: str) -> None:
    splits = domain_params(project / "params.yaml", "telephony-en").splits
    made = carriers(language, [], splits)
    assert len(made) == len(BUILT_IN[language])
    assert all(one.text.count(PLACE) == 1 for one in made)


def test_a_language_without_sentences_asks_for_some(project: Path) -> None:
    splits = domain_params(project / "params.yaml", "telephony-en").splits
    with pytest.raises(UsageError, match=r"in 'fi' leave none for train and dev and test\. Name"):
        carriers("fi", [], splits)


def test_every_term_is_said_as_often_by_varied_voices(project: Path, reach: Reach) -> None:
    plan = _source(_domain(project), project).plan(reach)
    assert len({one.id for one in plan.recordings}) == len(plan.recordings) == 3 * 18
    by_term = Counter(one.where.split(",")[0] for one in plan.recordings)
    assert by_term == {"Zelvora": 18, "Corvid Lattice": 18, "Quorvex": 18}
    assert len({one.speaker for one in plan.recordings}) == 2 * 5
    assert plan == _source(_domain(project), project).plan(reach)


def test_a_pronunciation_is_spoken_and_the_term_is_written(project: Path, reach: Reach) -> None:
    plan = _source(_domain(project), project).plan(reach)
    (one, *_) = [item for item in plan.recordings if "Quorvex" in item.text]
    assert isinstance(one.audio, Speech)
    assert one.audio.spoken == one.text.replace("Quorvex", "kwor vecks")
    plain = _domain(project).model_copy(update={"vocabulary": VocabularyParams(terms=("Quorvex",))})
    (same, *_) = _source(plain, project).plan(reach).recordings
    assert isinstance(same.audio, Speech) and same.id == one.id
    assert recording_key(same) != recording_key(one)
    heard, other = render(one, 30.0).samples, render(same, 30.0).samples
    assert len(heard) != len(other) or (heard != other).any()


def test_a_voice_of_piper_is_heard_in_training_alone(project: Path, reach: Reach) -> None:
    pytest.importorskip("piper")
    domain = _domain(project, piper_voices=["piper-joe-en-us"])
    plan = _source(domain, project).plan(reach)
    source = domain.sources[0]
    assert isinstance(source, TermsSource)
    declared = speaker_splits_of(source)
    heard = Counter(declared[one.speaker] for one in plan.recordings if "piper" in one.speaker)
    assert set(heard) == {"train"} and heard["train"] >= 3
    assert all(one.audio.voice.endswith(".onnx") for one in plan.recordings
               if isinstance(one.audio, Speech) and one.audio.synthesizer == "piper")  # fmt: skip


def test_the_fingerprint_follows_terms_texts_and_pronunciations(
    project: Path, tmp_path: Path
) -> None:
    texts = tmp_path / "texts.txt"
    texts.write_text("We deliver {term} on Monday.\n")
    prints = []
    for terms, content in (
        (["Zelvora"], "We deliver {term} on Monday.\n"),
        (["Zelvora | zel"], "We deliver {term} on Monday.\n"),
        (["Zelvora"], "We deliver {term} on Tuesday.\n"),
    ):
        texts.write_text(content)
        domain = _domain(project, texts=str(texts))
        params = VocabularyParams(terms=tuple(terms))
        prints.append(
            repr(_source(domain.model_copy(update={"vocabulary": params}), project).fingerprint())
        )
    assert len(set(prints)) == 3


def test_terms_come_from_params_and_file_in_order(tmp_path: Path) -> None:
    (tmp_path / "terms.txt").write_text("# products\nBrimtok\n\nQuorvex | kwor vecks \n")
    found = read_terms(VocabularyParams(terms=("Zelvora",), file="terms.txt"), tmp_path)
    assert [(one.text, one.spoken) for one in found] == [
        ("Zelvora", "Zelvora"), ("Brimtok", "Brimtok"), ("Quorvex", "kwor vecks"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"Zelvora\n\n...\n", "line 3: '...' needs letters or digits"),
        (b"Brimtok\nZELVORA\nzelvora\n", "line 3: the term 'zelvora' is named twice"),
        (b"one two three four five six seven\n", "line 1: .* more than 6 words"),
        (b"a | b | c\n", "line 1: .* more than one bar"),
        (b"\xff\xfe", "cannot be read as UTF-8 text"),
    ],
)
def test_a_line_that_is_no_term_is_named(tmp_path: Path, content: bytes, said: str) -> None:
    (tmp_path / "terms.txt").write_bytes(content)
    with pytest.raises(UsageError, match=said):
        read_terms(VocabularyParams(file="terms.txt"), tmp_path)


def test_a_missing_file_an_empty_vocabulary_and_an_unknown_voice_are_named(
    project: Path, tmp_path: Path, reach: Reach
) -> None:
    with pytest.raises(UsageError, match=r"none\.txt cannot be read"):
        read_terms(VocabularyParams(file="none.txt"), tmp_path)
    domain = _domain(project)
    empty = domain.model_copy(update={"vocabulary": VocabularyParams()})
    with pytest.raises(UsageError, match="`vocabulary`, which is empty"):
        _source(empty, project).plan(reach)
    with pytest.raises(UsageError, match="no accent 'en-au'"):
        _source(_domain(project, accents=["en-au"]), project).plan(reach)
