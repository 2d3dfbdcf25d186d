"""The page of an evaluation in a real browser: from the disk, without a network, at any width."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from data.audio import decode, write_flac
from data.sources.base import FileAudio, Reach
from data.sources.prompts import Prompts
from tests.system.projects import new_project, small_params
from tests.system.test_up import screenshots
from voiceforge.files import read_json

if TYPE_CHECKING:
    from types import ModuleType

    from playwright.sync_api import Page

__all__ = ["screenshots"]

CLIPS = 21
LARGEST = 5_000_000
"""Bytes of a page."""
WIDTHS = (390, 768, 1400)
"""Pixels: a phone, a tablet, a desk."""

SIDEWAYS = """
() => {
  const wide = document.documentElement.clientWidth, found = [];
  for (const node of document.querySelectorAll("body *")) {
    const box = node.getBoundingClientRect();
    if (box.right > wide + 1 && !node.closest(".scroll")) found.push(node.outerHTML.slice(0, 80));
  }
  return found;
}
"""
"""What reaches out of the window and is not in a box that scrolls by itself."""


@dataclass
class Opened:
    """A page, and what went wrong while it was open."""

    page: Page
    problems: list[str] = field(default_factory=list)
    fetched: list[str] = field(default_factory=list)


@pytest.fixture(scope="module")
def report(cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Prompts of one real voice, every third with words in its reference that nobody said."""
    project = new_project(tmp_path_factory.mktemp("page") / "project", cache, small_params())
    folder = project.path / "calls"
    plan = Prompts("en").plan(Reach(cache, offline=False, timeout=60.0))
    lines = [["audio", "text", "speaker", "accent"]]
    for number, recording in enumerate(plan.recordings[: 4 * CLIPS : 4]):
        assert isinstance(recording.audio, FileAudio)
        write_flac(folder / f"{number}.flac", decode(recording.audio.path))
        text = f"{'quite another text ' * (number % 3 == 0)}{recording.text}"
        accent = ("en-us", "en-gb")[number % 2]
        lines.append([f"{number}.flac", text, f"{accent} {number % 5}", accent])
    with (folder / "calls.csv").open("w", newline="") as stream:
        csv.writer(stream).writerows(lines)
    # Two engines of one model would be heard alike: the other language model hears worse.
    project.voiceforge(
        "evaluate", "calls", "--model", "base:whisper-tiny.en", "--baseline", "base:whisper-base",
        "--out", "var/evaluation",
    )  # fmt: skip
    return project.path / "var" / "evaluation"


@pytest.fixture
def opened(report: Path, screenshots: ModuleType) -> Iterator[Callable[[int], Opened]]:
    """Opens the page at a width, the network cut, noting every complaint and every request."""
    with screenshots.browser_page() as page:
        found = Opened(page)
        page.context.set_offline(True)
        page.on("console", lambda message: found.problems.append(message.text))
        page.on("pageerror", lambda error: found.problems.append(str(error)))
        page.on("requestfailed", lambda request: found.problems.append(f"failed: {request.url}"))
        page.on("request", lambda request: found.fetched.append(request.url))

        def show(width: int) -> Opened:
            page.set_viewport_size({"width": width, "height": 900})
            page.goto((report / "report.html").as_uri())
            return found

        yield show


def test_it_opens_from_the_disk_without_a_network(
    report: Path, opened: Callable[[int], Opened]
) -> None:
    assert (report / "report.html").stat().st_size < LARGEST
    shown = opened(1400)
    assert shown.page.title() == "base:whisper-tiny.en · VoiceForge"
    assert shown.page.get_by_role("heading", name="Confidence").is_visible()
    # The page is one file: recordings are fetched when somebody plays them.
    assert shown.fetched == [(report / "report.html").as_uri()]
    assert shown.problems == []


def test_the_filters_show_what_they_say(report: Path, opened: Callable[[int], Opened]) -> None:
    page = opened(1400).page
    listed = read_json(report / "report.json")["listed"]
    british = [one for one in listed if one["places"]["accent"] == "en-gb"]
    assert 0 < len(british) < len(listed)
    rows, status = page.locator("#listed > .example:visible"), page.locator("#shown")
    assert rows.count() == len(listed)
    page.get_by_label("accent").select_option("en-gb")
    assert rows.count() == len(british)
    assert status.inner_text() == f"{len(british)} of {len(listed)} shown"
    ids = rows.locator(".who").all_inner_texts()
    assert all(one["utterance_id"] in said for one, said in zip(british, ids, strict=True))
    page.get_by_label("only where").check()
    lost = [one for one in british if one["errors"] > one["baseline_errors"]]
    assert rows.count() == len(lost)
    page.get_by_label("only where").uncheck()
    page.get_by_label("accent").select_option("all")
    assert rows.count() == len(listed)


def test_the_first_recording_plays(report: Path, opened: Callable[[int], Opened]) -> None:
    shown = opened(1400)
    first = read_json(report / "report.json")["listed"][0]
    player = shown.page.locator("#listed audio").first
    player.evaluate("node => node.play()")
    shown.page.wait_for_function("() => document.querySelector('#listed audio').currentTime > 0.1")
    seconds = player.evaluate("node => node.duration")
    assert seconds == pytest.approx(first["seconds"], abs=0.05) and seconds > 0
    host = {address.partition("://")[0] for address in shown.fetched}
    assert host == {"file"} and shown.problems == []


@pytest.mark.parametrize("width", WIDTHS)
def test_nothing_overflows_sideways(
    opened: Callable[[int], Opened], tmp_path: Path, width: int
) -> None:
    page = opened(width).page
    assert page.evaluate(SIDEWAYS) == []
    for details in page.locator("details").all():
        details.evaluate("node => { node.open = true }")
    assert page.evaluate(SIDEWAYS) == []
    assert page.evaluate("() => document.documentElement.scrollWidth") == width


def test_what_is_written_small_can_be_read(opened: Callable[[int], Opened]) -> None:
    """No text of the page, plots on a phone included, is below 8 pixels high."""
    page = opened(WIDTHS[0]).page
    least = page.evaluate(
        """() => Math.min(...[...document.querySelectorAll("body *")]
          .filter(node => [...node.childNodes].some(
            one => one.nodeType === 3 && one.textContent.trim()))
          .filter(node => node.tagName !== "SCRIPT" && node.getClientRects().length)
          .map(node => {
            const svg = node.closest("svg");
            const scale = svg ? svg.getBoundingClientRect().width / svg.viewBox.baseVal.width : 1;
            return scale * parseFloat(getComputedStyle(node).fontSize);
          }))"""
    )
    assert least >= 8.0
