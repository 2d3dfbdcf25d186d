"""Reports as self-contained HTML: style and plots are inline, nothing is fetched."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from evaluation.comparison import Comparison
from evaluation.estimate import Estimate
from evaluation.metrics import align
from evaluation.reports.accent import AccentReport
from evaluation.reports.accuracy import AccuracyReport, SliceAccuracy
from evaluation.reports.latency import LatencyReport
from evaluation.reports.plots import Bar, ForestRow, forest, paired_bars
from evaluation.reports.terms import TermRate, TermReport
from evaluation.resampling import Interval

if TYPE_CHECKING:
    from jinja2 import Environment


@dataclass(frozen=True, slots=True)
class Section:
    """A part of a page: anchor, title for the table of contents, its HTML, and what it wants to
    say at the very top of the page."""

    name: str
    title: str
    html: Markup
    banner: str = ""


def render_page(title: str, subtitle: str, sections: Sequence[Section]) -> str:
    """A whole HTML page."""
    return str(render_template("page.html", title=title, subtitle=subtitle, sections=sections))


def render_report(
    accuracy: AccuracyReport,
    accent: AccentReport,
    latency: LatencyReport | None,
    terms: TermReport | None = None,
    *,
    certificate: Section | None = None,
    title: str = "",
    further: Mapping[str, str] | None = None,
) -> str:
    """One page with everything: the verdict on top, then accuracy, terms, accents and latency.

    Args:
        terms: of a domain with a vocabulary.
        certificate: from `experiments.certificate.certificate_section`.
        title: the page's; the candidate's name where it is "".
        further: pages that say more: title -> address, relative to this one.
    """
    sections = [key_figures_section(accuracy, latency)]
    sections += [certificate] if certificate else []
    sections += [accuracy_section(accuracy)]
    sections += [terms_section(terms)] if terms else []
    sections += [accent_section(accent)]
    sections += [latency_section(latency)] if latency else []
    sections += [further_section(further)] if further else []
    return render_page(title or accuracy.candidate, f"beside {accuracy.baseline}", sections)


def render_accuracy(report: AccuracyReport) -> str:
    """The accuracy report as a page of its own."""
    return render_page("Accuracy", _against(report), [accuracy_section(report)])


def render_accent(report: AccentReport) -> str:
    """The accent report as a page of its own."""
    return render_page("Accents", _against(report), [accent_section(report)])


def render_latency(report: LatencyReport) -> str:
    """The latency report as a page of its own."""
    return render_page("Latency", _against(report), [latency_section(report)])


def key_figures_section(accuracy: AccuracyReport, latency: LatencyReport | None) -> Section:
    """The few figures that most readers come for."""
    html = render_template("key_figures.html", accuracy=accuracy, latency=latency)
    return Section("key-figures", "Key figures", html)


def accuracy_section(report: AccuracyReport) -> Section:
    """Word error rates of people and synthetic speech, and the utterances worth a look."""
    plot = forest([_row(part) for part in report.slices], unit="word error rate, %")
    html = render_template("accuracy.html", report=report, plot=plot)
    return Section("accuracy", "Accuracy", html)


def terms_section(report: TermReport) -> Section:
    """Recall and precision of the domain's vocabulary."""
    return Section("terms", "Terms", render_template("terms.html", report=report))


def accent_section(report: AccentReport) -> Section:
    """Word error rates accent by accent."""
    rows = [_row(part) for part in report.slices]
    plot = forest(rows, unit="word error rate, %") if rows else Markup("")
    return Section("accents", "Accents", render_template("accent.html", report=report, plot=plot))


def latency_section(report: LatencyReport) -> Section:
    """Seconds per clip and throughput."""
    own, other = report.candidate_latency.seconds, report.baseline_latency.seconds
    rows = [
        ForestRow(
            label=label,
            note="",
            bars=(
                _duration(getattr(own, field), "candidate"),
                _duration(getattr(other, field), "baseline"),
            ),
        )
        for label, field in (("median clip", "p50"), ("95 of 100", "p95"), ("99 of 100", "p99"))
    ]
    plot = paired_bars(rows, unit="milliseconds per clip, one clip at a time")
    html = render_template("latency.html", report=report, plot=plot)
    return Section("latency", "Latency", html)


def further_section(pages: Mapping[str, str]) -> Section:
    """Links to other pages: title -> address."""
    return Section("further", "Further pages", render_template("further.html", pages=pages))


def render_template(name: str, **values: Any) -> Markup:
    """Render one of the package's templates."""
    return Markup(_environment().get_template(name).render(**values))  # noqa: S704 (autoescaped)


def template_macros(name: str) -> Any:
    """The macros of one of the package's templates, to be called as functions."""
    return _environment().get_template(name).module


def _row(part: SliceAccuracy) -> ForestRow:
    bars = [rate_bar(part.word_error_rate, "candidate")]
    if part.comparison:
        bars.append(rate_bar(part.comparison.baseline, "baseline"))
    label = part.slice.name.removeprefix("accent ")
    return ForestRow(label, f"{part.word_error_rate.words:,} words", tuple(bars))


def rate_bar(rate: Estimate | Interval, style: str) -> Bar:
    """A rate with its interval, in percent."""
    return Bar(100 * rate.value, 100 * rate.low, 100 * rate.high, style, rate.percent())


def _duration(seconds: float, style: str) -> Bar:
    return Bar(1000 * seconds, 0.0, 0.0, style, f"{1000 * seconds:.0f} ms")


def _against(report: AccuracyReport | AccentReport | LatencyReport) -> str:
    return f"{report.candidate} beside {report.baseline}"


def points(difference: Estimate | TermRate | Interval) -> str:
    """For example "−1.7 [−2.4, −1.0]", in points."""
    value, low, high = (_signed(100 * end) for end in _ends(difference))
    if isinstance(difference, Estimate) and difference.has_no_interval:
        return f"{value} (no interval)"
    return f"{value} [{low}, {high}]"


def _reduced(comparison: Comparison) -> str:
    """For example "79% fewer [74, 83]", the share of the baseline's errors that are avoided."""
    return f"{_reduced_value(comparison)} {_reduced_interval(comparison)}".strip()


def _reduced_value(comparison: Comparison) -> str:
    if comparison.reduction is None:
        return "–"
    value = 100 * comparison.reduction.value
    return f"{value:.0f}% fewer" if value >= 0 else f"{-value:.0f}% more"


def _reduced_interval(comparison: Comparison) -> str:
    """The interval in the words of the value: "more" turns its signs and order round."""
    if comparison.reduction is None or comparison.reduction.low == comparison.reduction.high:
        return ""
    value, low, high = (100 * end for end in _ends(comparison.reduction))
    if value < 0:
        low, high = -high, -low
    return f"[{low:.0f}, {high:.0f}]".replace("-", "−")


def _ends(estimate: Estimate | TermRate | Interval) -> tuple[float, float, float]:
    return estimate.value, estimate.low, estimate.high


def _signed(value: float) -> str:
    return f"{round(value, 1) + 0.0:+.1f}".replace("-", "−").replace("+0.0", "0.0")


def _support(estimate: Estimate) -> str:
    """For example "1,344 words, 201 utterances, 1 speaker"."""
    parts = (
        (estimate.words, "word"),
        (estimate.utterances, "utterance"),
        (estimate.speakers, "speaker"),
    )
    return ", ".join(f"{count:,} {noun}{'' if count == 1 else 's'}" for count, noun in parts)


@lru_cache
def _environment() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("evaluation.reports"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        points=points,
        reduced=_reduced,
        reduced_value=_reduced_value,
        reduced_interval=_reduced_interval,
        support=_support,
    )
    environment.globals.update(align=align)
    return environment
