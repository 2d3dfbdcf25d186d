"""A model beside its base on general speech of several languages: each evaluated by itself, and one
verdict over all of them.

The folder holds the evaluation of each language, with its report, below LANGUAGE/, and report.json
and report.html about them together.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lifecycle.evaluate import Asked, evaluate, texts_of
from lifecycle.evaluated import BASELINE, CANDIDATE, FILE, Evaluated
from lifecycle.evaluated_speech import GENERAL
from lifecycle.evaluated_texts import Texts
from lifecycle.evaluation_report import (
    JSON,
    PAGE,
    SCHEMA,
    Written,
    finite,
    model_titles,
    write_report,
)
from voiceforge.errors import UsageError
from voiceforge.files import write_json, write_text
from voiceforge.settings import Settings

if TYPE_CHECKING:
    from evaluation.forgetting import Forgetting
    from evaluation.scanned import Question
    from evaluation.slices import Resampling


@dataclass(frozen=True)
class Suite:
    """A standing suite, evaluated.

    Attributes:
        reports: of each language.
        forgetting: the verdict; None without a baseline.
    """

    folder: Path
    reports: Mapping[str, Written]
    forgetting: Forgetting | None

    @property
    def is_worse(self) -> bool:
        """Whether the candidate is worse than the baseline in a language, by its interval."""
        return any(one.report.answer == "worse" for one in self.reports.values())


def evaluate_suite(
    settings: Settings,
    asked: Asked,
    languages: Sequence[str],
    out: Path,
    *,
    confidence: float = 0.95,
    resamples: int = 10_000,
    seed: int = 20,
    margin: float | None = None,
) -> Suite:
    """Evaluate each language into a folder of its own, and write what they say together.

    Args:
        asked: as of one language; its speech and language are replaced by each.
        languages: of `lifecycle.evaluated_speech.general_languages`.
        confidence, resamples, seed, margin: as in `lifecycle.evaluation_report.write_report`.

    Raises:
        UsageError: as `lifecycle.evaluate.evaluate`, before anything is heard where the normaliser
            is not for one of the languages; or `out` holds an evaluation of one speech.
    """
    from evaluation.scanned import Question
    from evaluation.slices import Resampling

    if (out / FILE).is_file():
        raise UsageError(
            f"{out} holds the evaluation of one speech, whose report would be overwritten. Give "
            "another --out."
        )
    each = {
        language: replace(asked, speech=f"{GENERAL}{language}", language=language)
        for language in languages
    }
    for one in each.values():
        texts_of(settings, one)
    heard = {language: evaluate(settings, one, out / language) for language, one in each.items()}
    reports = {
        language: write_report(
            one, out / language,
            confidence=confidence, resamples=resamples, seed=seed, margin=margin,
        )
        for language, one in heard.items()
    }  # fmt: skip
    question = Question() if margin is None else Question(margin=margin)
    found = (
        None
        if asked.baseline is None
        else _forgetting(heard, Resampling(confidence, resamples, seed), question)
    )
    suite = Suite(out, reports, found)
    _write(suite, heard, question)
    return suite


def _forgetting(
    heard: Mapping[str, Evaluated], resampling: Resampling, question: Question
) -> Forgetting:
    from evaluation.forgetting import forgetting
    from evaluation.slices import score

    rows = {}
    for language, one in heard.items():
        texts = Texts.of(one.described)
        candidate, baseline = (
            score(
                one.predictions[role], one.utterances, normaliser=texts.normaliser,
                language=language, replacements=texts.replacements,
            )
            for role in (CANDIDATE, BASELINE)
        )  # fmt: skip
        rows[language] = candidate, baseline
    return forgetting(rows, resampling=resampling, question=question)


def _write(suite: Suite, heard: Mapping[str, Evaluated], question: Question) -> None:
    from evaluation.reports.page import render_page
    from evaluation.reports.text_sections import forgetting_section, suite_section

    one = next(iter(heard.values()))
    fields: dict[str, Any] = {
        "schema": SCHEMA,
        "suite": list(suite.reports),
        "models": one.described["models"],
        "margin": question.margin,
        "forgetting": None if suite.forgetting is None else asdict(suite.forgetting),
        "languages": {
            language: {
                "report": f"{language}/{JSON}",
                "answer": written.report.answer,
                "answered": written.report.answered,
                "overall": asdict(written.report.scan.overall),
            }
            for language, written in suite.reports.items()
        },
    }
    write_json(suite.folder / JSON, finite(fields))
    titles = model_titles(one)
    names = titles[CANDIDATE], titles.get(BASELINE, "")
    section = (
        suite_section({name: written.report for name, written in suite.reports.items()})
        if suite.forgetting is None
        else forgetting_section(suite.forgetting, question.margin, names, pages=True)
    )
    beside = f", beside {names[1]}" if names[1] else ""
    page = render_page(names[0], f"on general speech of {len(heard)} languages{beside}", [section])
    write_text(suite.folder / PAGE, page)
