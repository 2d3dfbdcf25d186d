"""What an evaluation's report says of terms, numbers and names, BLEU, replacements, forgetting."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from typing import Any

import pytest
import sacrebleu

from data.utterance import Utterance
from evaluation.prediction import Prediction
from evaluation.replacements import Replacements, replacing_identity
from evaluation.reports.evaluation import EvaluationReport, evaluation_report
from evaluation.reports.evaluation_page import About, render_evaluation
from evaluation.scanned import Question
from evaluation.slices import Resampling
from evaluation.text import normaliser_identity
from tests.evaluation.conftest import row

ABOUT = About("calls", [], {})
NAMES = ["Anna", "Berg", "Carla", "Dunn", "Edgar", "Falk"]


def calls(count: int, speakers: int, *, synthetic: bool = False) -> list[Utterance]:
    """Each says a term, a number and a name; every fourth a date."""
    chance = random.Random(7)
    texts = []
    for n in range(count):
        day = f" on March {1 + n % 28}" if n % 4 == 0 else ""
        name = f"{chance.choice(NAMES)} {chance.choice(NAMES)}"
        texts.append(f"Please send {100 + n} Zelvora filters to {name}{day}.")
    return [
        row(f"u{n:03}", text, "en-gb", f"s{n % speakers}", synthetic=synthetic and n % 2 == 1)
        for n, text in enumerate(texts)
    ]


def heard(rows: Sequence[Utterance], wrong: float, seed: int) -> list[Prediction]:
    """A term, a number or a name in so many of the texts is another."""
    chance = random.Random(seed)
    found = []
    for n, one in enumerate(rows):
        said = one.text
        if chance.random() < wrong:
            said = said.replace("Zelvora", "so Laura")
        if chance.random() < wrong:
            said = said.replace(f"{100 + n}", f"{900 + n}")
        if chance.random() < wrong:
            said = said.split(" to ")[0]
        found.append(Prediction(one.id, one.text, said, (-0.1,), one.duration, 0.1))
    return found


def report(
    rows: Sequence[Utterance], ours: Sequence[Prediction], theirs: Sequence[Prediction] | None,
    language: str = "en", **more: Any,
) -> EvaluationReport:  # fmt: skip
    return evaluation_report(
        ours, theirs, rows, names=("new", "old"),
        normaliser=normaliser_identity("whisper-english" if language == "en" else "whisper-basic"),
        language=language, resampling=Resampling(0.95, 500, 1), **more,
    )  # fmt: skip


@pytest.fixture(scope="module")
def judged() -> EvaluationReport:
    rows = calls(200, 4, synthetic=True)
    return report(
        rows, heard(rows, 0.1, 1), heard(rows, 0.4, 2),
        terms=["Zelvora", "Brimtok"], terms_from="terms.txt",
    )  # fmt: skip


def test_terms_have_recall_precision_gain_and_lines(judged: EvaluationReport) -> None:
    found = judged.terms
    assert found is not None
    assert [part.name for part in found.parts] == ["all speech", "people", "machines"]
    whole = found.parts[0]
    ours = heard(calls(200, 4), 0.1, 1)
    missed = sum("so Laura" in one.hypothesis for one in ours)
    assert whole.candidate.recall is not None and whole.candidate.recall.low is not None
    assert whole.candidate.recall.value == 1 - missed / 200
    assert whole.candidate.recall.low < whole.candidate.recall.value
    assert whole.candidate.precision is not None and whole.candidate.precision.value == 1.0
    assert whole.gain is not None and whole.gain.surely == 1
    (line,) = found.lines
    assert (line.term, line.occurrences, line.missed, line.invented) == ("Zelvora", 200, missed, 0)
    assert line.baseline_found is not None and line.baseline_found < line.found
    assert found.absent == ("Brimtok",)


def test_terms_that_nobody_says_are_said_to_be_absent() -> None:
    rows = calls(30, 1)
    said = [Prediction(one.id, one.text, one.text + " brimtok", (), 1.0, 0.1) for one in rows]
    found = report(rows, said, None, terms=["Brimtok", "Quandle"], terms_from="terms.txt")
    assert found.terms is not None
    assert found.terms.parts[0].candidate.recall is None
    assert [(one.term, one.invented) for one in found.terms.lines] == [("Brimtok", 30)]
    page = render_evaluation(found, ABOUT)
    assert "Nobody says any of these 2 terms" in page
    assert "They were heard all the same 30 times" in page


def test_entities_are_counted_for_both_models_and_the_worst_are_listed(
    judged: EvaluationReport,
) -> None:
    kinds = {one.kind: one for one in judged.entities.kinds}
    assert list(kinds) == ["number", "date", "name", "together"]
    ours = heard(calls(200, 4), 0.1, 1)
    changed = sum(f"send {900 + n}" in one.hypothesis for n, one in enumerate(ours))
    number = kinds["number"]
    assert (number.candidate.changed, number.candidate.kept) == (changed, 200 - changed)
    assert number.baseline is not None and number.baseline.errors > number.candidate.errors
    assert number.gain is not None and number.gain.surely == 1
    assert kinds["date"].candidate.lost > 0
    first = judged.entities.wrong[0]
    assert (first.kind, first.outcome, first.baseline) == ("number", "changed", "kept")
    assert first.heard == str(int(first.said) + 800)
    assert judged.entities.errors == sum(
        kinds[kind].candidate.errors for kind in ("number", "date", "name")
    )


def test_few_entities_and_languages_that_cannot_be_read_say_so() -> None:
    rows = [row(f"u{n}", f"Call {n} now.", "en", "kim") for n in range(12)]
    said = [Prediction(one.id, one.text, one.text, (), 1.0, 0.1) for one in rows]
    found = report(rows, said, said)
    (number,) = [one for one in found.entities.kinds if one.kind == "number"]
    assert number.candidate.recall.too_few and number.gain and number.gain.too_few
    assert found.entities.none == ("date", "name")
    page = render_evaluation(found, ABOUT)
    assert "too few to judge" in page and "No dates and no names in the references." in page
    russian = report(rows, said, None, language="ru")
    assert russian.entities.kinds == ()
    assert "cannot be read in 'ru'" in russian.entities.remark
    german = report(rows, said, None, language="de")
    assert "every noun has a capital" in german.entities.remark and german.entities.kinds


def test_bleu_is_sacrebleu_of_the_texts_as_written(judged: EvaluationReport) -> None:
    rows = calls(200, 4)
    for model, said in (
        (judged.candidate, heard(rows, 0.1, 1)), (judged.baseline, heard(rows, 0.4, 2)),
    ):  # fmt: skip
        assert model is not None
        texts = [one.hypothesis for one in said]
        theirs = sacrebleu.corpus_bleu(texts, [[one.text for one in rows]])
        assert model.bleu.score == pytest.approx(theirs.score)
        assert "tok:13a" in model.bleu.signature and "version:" in model.bleu.signature
    page = render_evaluation(judged, ABOUT)
    assert "<td>BLEU</td>" in page and judged.candidate.bleu.signature in page


def test_replacements_count_everywhere_and_are_part_of_the_identity() -> None:
    rows = calls(60, 2)
    said = heard(rows, 0.3, 3)
    ours = Replacements([(("so", "laura"), ("zelvora",))])
    plain = report(rows, said, None, terms=["Zelvora"])
    found = report(rows, said, None, terms=["so laura"], replacements=ours)
    assert found.normaliser == replacing_identity("whisper-english", ours)
    assert found.normaliser["sha256"] != plain.normaliser["sha256"]
    assert found.terms is not None and plain.terms is not None
    assert found.terms.lines[0].missed == 0 < plain.terms.lines[0].missed
    assert found.candidate.words.errors < plain.candidate.words.errors
    assert all("laura" not in one.hypothesis for one in found.listed)


@pytest.mark.parametrize(
    ("wrong", "margin", "outcome"),
    [((0.02, 0.4), 0.005, "improved"), ((0.4, 0.02), 0.005, "forgot"),
     ((0.1, 0.1), 0.0001, "cannot tell"), ((0.1, 0.1), 0.2, "kept")],
)  # fmt: skip
def test_general_speech_beside_a_baseline_is_kept_or_forgotten(
    wrong: tuple[float, float], margin: float, outcome: str
) -> None:
    rows = calls(200, 4)
    said = heard(rows, wrong[0], 1), heard(rows, wrong[1], 2)
    found = report(rows, *said, is_general=True, question=Question(margin=margin))
    assert found.forgetting is not None and found.forgetting.outcome == outcome
    assert found.forgetting.languages[0].difference == found.scan.overall.difference
    page = render_evaluation(found, About("general:en", [], {}, margin=margin))
    assert "<h2>Forgetting</h2>" in page and f"en: {outcome}" in page
    alone = report(rows, said[0], None, is_general=True)
    assert alone.forgetting is None and report(rows, *said).forgetting is None


@pytest.mark.parametrize("wrong", [0, 1])
def test_one_speaker_without_an_error_or_with_nothing_else_is_no_certainty(wrong: int) -> None:
    rows = calls(60, 1)
    said = [Prediction(one.id, one.text, "" if wrong else one.text, (), 1.0, 0.1) for one in rows]
    found = report(rows, said, None, terms=["Zelvora"], terms_from="t")
    overall = found.scan.overall
    assert overall.candidate is not None and overall.candidate.value == wrong
    assert wrong or overall.candidate.high > 0.0
    assert "holds for this one speaker and says nothing of others" in overall.claim
    assert found.terms is not None and found.terms.parts[0].candidate.recall is not None
    recall = found.terms.parts[0].candidate.recall
    assert recall.value == 1 - wrong and recall.low != recall.high
    page = render_evaluation(found, ABOUT)
    assert "says nothing of others" in page
    assert ("no interval: the same in all resamples<" in page) == bool(wrong)
    assert json.dumps(found.as_dict())
