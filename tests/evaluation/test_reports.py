"""What reports say, what they rest on, and that their pages stand alone."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any

import pytest

from data.utterance import Utterance
from evaluation.latency import LatencyMeasurement, Percentiles, percentiles
from evaluation.metrics import word_errors
from evaluation.prediction import Prediction
from evaluation.reports.accent import AccentReport, accent_report
from evaluation.reports.accuracy import AccuracyReport, accuracy_report, word_error_rate
from evaluation.reports.latency import LatencyReport, latency_report
from evaluation.reports.page import (
    render_accent,
    render_accuracy,
    render_latency,
    render_report,
)
from evaluation.reports.plots import Bar, ForestRow, forest
from evaluation.runners import stratified_sample

Hear = Callable[[Sequence[Utterance], float], list[Prediction]]
RATES: dict[str, Any] = {
    "normaliser": "whisper-english",
    "language": "en",
    "confidence": 0.95,
    "resamples": 400,
    "seed": 1,
}
NAMES = {"candidate_name": "tuned", "baseline_name": "base"}
VOID = {"meta", "br", "rect", "line", "link"}


class Page(HTMLParser):
    """Checks that tags are balanced and that nothing is fetched; gathers the text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.text = ""
        self.feed(html)
        assert self.open == []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        for name, value in attributes:
            assert name not in ("src", "onload", "onclick")
            assert name != "href" or (value or "").startswith("#")
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attributes)
        assert tag in VOID

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture(scope="module")
def reports(many: list[Utterance], hear: Hear) -> tuple[AccuracyReport, AccentReport]:
    """The candidate heard everything, the baseline a sample of it."""
    candidate, baseline = hear(many, 0.05), hear(stratified_sample(many, 250, seed=1), 0.3)
    return (
        accuracy_report(candidate, baseline, many, **NAMES, **RATES),
        accent_report(candidate, baseline, many, **NAMES, **RATES, minimum_words=200),
    )


def test_people_and_synthetic_speech_stand_apart(
    reports: tuple[AccuracyReport, AccentReport], many: list[Utterance]
) -> None:
    accuracy, accents = reports
    assert [part.slice.name for part in accuracy.slices] == [
        "overall",
        "human speech",
        "synthetic speech",
    ]
    assert {part.slice.name for part in accents.slices} == {
        "accent en-us",
        "accent en-gb",
        "accent en-us, human speech",
    }
    words = [part.word_error_rate.words for part in accuracy.slices]
    assert words[0] == words[1] + words[2]
    human = accuracy.slices[1].word_error_rate
    assert (human.utterances, human.speakers) == (70, 1)
    assert accuracy.slices[2].word_error_rate.speakers == 6
    assert sum(part.word_error_rate.words for part in accents.slices) == words[0]


def test_own_figures_use_everything_and_comparisons_what_both_heard(
    reports: tuple[AccuracyReport, AccentReport], many: list[Utterance]
) -> None:
    overall = reports[0].overall
    assert overall.comparison is not None
    sample = stratified_sample(many, 250, seed=1)
    assert overall.word_error_rate.utterances == len(many)
    assert overall.comparison.candidate.utterances == len(sample)
    assert overall.comparison.baseline.words == overall.comparison.candidate.words
    assert overall.comparison.texts == len({row.text for row in sample})
    assert overall.comparison.difference.value == pytest.approx(
        overall.comparison.candidate.value - overall.comparison.baseline.value
    )
    assert overall.comparison.difference.high < 0


def test_intervals_rest_on_texts_not_on_utterances(
    reports: tuple[AccuracyReport, AccentReport], many: list[Utterance]
) -> None:
    assert reports[0].overall.word_error_rate.method == (
        f"BCa bootstrap, 400 resamples of {len({row.text for row in many})} texts"
    )


def test_counts_are_those_of_the_rate(reports: tuple[AccuracyReport, AccentReport]) -> None:
    for part in (*reports[0].slices, *reports[1].slices):
        assert part.counts.rate == pytest.approx(part.word_error_rate.value)
        assert part.counts.words == part.word_error_rate.words


def test_accents_are_ranked_and_small_ones_are_not_judged(
    many: list[Utterance], hear: Hear
) -> None:
    few = [row for row in many if row.accent == "en-gb"][:10]
    rows = [row for row in many if row.accent == "en-us" and row.is_synthetic] + few
    report = accent_report(
        hear(rows, 0.1), hear(rows, 0.2), rows, **NAMES, **RATES, minimum_words=200
    )
    rates = [part.word_error_rate.value for part in report.slices]
    assert rates == sorted(rates, reverse=True)
    assert [part.slice.accent for part in report.judged] == ["en-us"]
    assert report.worst is report.best
    assert report.gap == 0.0
    assert "fewer than 200 words: too few to judge" in Page(render_accent(report)).text


def test_examples_are_one_a_text_and_losses_are_worse_than_the_baseline(
    reports: tuple[AccuracyReport, AccentReport],
) -> None:
    accuracy, _ = reports
    assert len({row.reference for row in accuracy.worst}) == len(accuracy.worst) > 0
    assert accuracy.worst[0].errors == max(row.errors for row in accuracy.worst)
    for row in accuracy.worst:
        assert word_errors([row.reference], [row.hypothesis]).errors == row.errors
    for row in accuracy.losses:
        assert row.baseline_errors is not None
        assert row.errors > row.baseline_errors


def test_reports_come_back_from_json(reports: tuple[AccuracyReport, AccentReport]) -> None:
    for report in (*reports, timings()):
        again = type(report).from_dict(json.loads(json.dumps(report.as_dict(), allow_nan=False)))
        assert again == report


def test_baseline_that_heard_nothing_is_said_so(many: list[Utterance], hear: Hear) -> None:
    report = accuracy_report(hear(many, 0.1), [], many, **NAMES, **RATES)
    assert report.comparisons == ()
    assert "base heard none of these" in Page(render_accuracy(report)).text


def test_perfect_models_have_intervals_and_a_page(many: list[Utterance], hear: Hear) -> None:
    report = accuracy_report(hear(many, 0.0), hear(many, 0.0), many, **NAMES, **RATES)
    assert report.overall.word_error_rate.low == 0.0 < report.overall.word_error_rate.high
    assert report.comparisons[0].reduction is None
    assert (report.worst, report.losses) == ((), ())
    assert "0.0% [0.0," in Page(render_accuracy(report)).text


def test_empty_references_are_errors_without_words(many: list[Utterance], hear: Hear) -> None:
    silent = replace(many[0], id="silence", text="", accent="none")
    said = Prediction("silence", "", "thank you", (), 1.0, 0.1)
    rows = [*many, silent]
    report = accuracy_report([*hear(many, 0.0), said], [], rows, **NAMES, **RATES)
    assert report.overall.counts.insertions == 2
    accents = accent_report([*hear(many, 0.0), said], [], rows, **NAMES, **RATES, minimum_words=200)
    assert "none" not in {part.slice.accent for part in accents.slices}


def test_predictions_of_another_corpus_are_refused(many: list[Utterance], hear: Hear) -> None:
    with pytest.raises(ValueError, match="different versions"):
        word_error_rate(hear(many, 0.1), many[1:], **RATES)
    with pytest.raises(ValueError, match="more than one prediction"):
        word_error_rate(hear(many, 0.1) * 2, many, **RATES)
    with pytest.raises(ValueError, match="no predictions"):
        accuracy_report([], [], many, **NAMES, **RATES)
    changed = [replace(row, reference="something else") for row in hear(many, 0.1)]
    with pytest.raises(ValueError, match="different references"):
        accuracy_report(hear(many, 0.1), changed, many, **NAMES, **RATES)


def test_pages_stand_alone_and_carry_their_support(
    reports: tuple[AccuracyReport, AccentReport],
) -> None:
    accuracy, accents = reports
    page = Page(render_report(accuracy, accents, timings(), title="telephony-en"))
    for part in (*accuracy.slices, *accents.slices):
        assert part.word_error_rate.percent() in page.text
        assert f"{part.word_error_rate.words:,} words" in page.text
    assert page.tags.count("svg") == 3
    assert "there are few here" in page.text
    assert "7.9×" in page.text
    for single in (render_accuracy(accuracy), render_accent(accents), render_latency(timings())):
        assert Page(single).tags.count("svg") == 1


def test_hostile_transcripts_are_text_and_not_markup(many: list[Utterance]) -> None:
    rows = [replace(many[0], text="<b>hello</b> there", accent="<i>en</i>")]
    said = [Prediction(rows[0].id, rows[0].text, "<script>alert(1)</script>", (), 1.0, 0.1)]
    report = accuracy_report(said, said, rows, **NAMES, **{**RATES, "normaliser": "raw"})
    accents = accent_report(
        said, said, rows, **NAMES, **{**RATES, "normaliser": "raw"}, minimum_words=1
    )
    page = Page(render_report(report, accents, None, title="<u>x</u>"))
    assert not {"script", "b", "i", "u"} & set(page.tags)
    assert "<script>alert(1)</script>" in page.text


def test_one_text_has_a_rate_and_no_interval(many: list[Utterance], hear: Hear) -> None:
    found = word_error_rate(hear(many[:1], 0.5), many[:1], **RATES)
    assert found.low == found.value == found.high
    assert found.method == "no interval: a single text"


def timings(machine: str = "two cores") -> LatencyReport:
    own = LatencyMeasurement(
        Percentiles(0.042, 0.093, 0.12), 0.2, 63.0, 112.0, 8, 48, 2, 170.0, 3.4, 2, machine
    )
    base = replace(own, seconds=Percentiles(0.355, 0.546, 0.6), rtfx=8.0, rtfx_batch=9.4)
    return latency_report(
        own, replace(base, machine="two cores"), candidate_name="tuned", baseline_name="base"
    )


def test_ratios_need_the_same_machine() -> None:
    assert timings().speedup == pytest.approx(63 / 8)
    assert timings().speedup_batch == pytest.approx(112 / 9.4)
    elsewhere = Page(render_latency(timings("four cores"))).text
    assert "Not side by side" in elsewhere
    assert "×" not in elsewhere
    assert "times as fast" not in elsewhere


def test_percentiles_are_interpolated() -> None:
    assert percentiles([1.0, 2.0, 3.0]) == Percentiles(2.0, pytest.approx(2.9), pytest.approx(2.98))


def test_plot_places_values_on_its_axis() -> None:
    bar = Bar(10.0, 5.0, 20.0, "pass", "10 [5, 20]")
    plot = forest([ForestRow("a & b", "", (bar,), margin=2.0)], unit="points", signed=True)
    assert "a &amp; b" in plot
    left, right = 230.0, 900.0 - 170.0
    assert f'x1="{left + (right - left) * 5 / 20:.1f}"' in plot
    assert f'x2="{right:.1f}"' in plot
