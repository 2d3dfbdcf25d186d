"""Pictures for the documentation, from a running `voiceforge up`: `python docs/screenshots.py`.

Writes dagster-assets.png, mlflow-version.png, report.png and certificate.png; with
`--evaluation FOLDER` evaluation.png alone, of a folder of `voiceforge evaluate`.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Page

_SIZE = {"width": 1400, "height": 900}
_PATIENCE = 120_000
_STAGES = 15
_ARGUMENTS = ("--no-sandbox", "--disable-gpu", "--disable-background-networking",
              "--disable-component-update", "--no-first-run")  # fmt: skip


@contextmanager
def browser_page() -> Iterator[Page]:
    """A page of Debian's Chromium, 1400 x 900.

    Raises:
        RuntimeError: there is no Chromium; `make browser` installs it.
    """
    from playwright.sync_api import sync_playwright

    chromium = shutil.which("chromium")
    if chromium is None:
        raise RuntimeError("There is no chromium. `make browser` installs it.")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=_ARGUMENTS)
        try:
            page = browser.new_page(viewport=_SIZE)
            page.set_default_timeout(_PATIENCE)
            yield page
        finally:
            browser.close()


def open_asset_graph(page: Page, dagster: str) -> None:
    """Dagster's graph of the lifecycle, laid out and fitted to a window without navigation."""
    page.goto(f"{dagster}/asset-groups")
    _wait_for_graph(page)
    _hide_navigation(page)
    # Dagster fits the graph when it is opened, and remembers that its navigation is closed.
    page.reload()
    _wait_for_graph(page)
    _settle(page)


def open_version(page: Page, mlflow: str, domain: str, version: str) -> None:
    """MLflow's page of a model version."""
    page.goto(f"{mlflow}/#/models/{domain}/versions/{version}")
    page.get_by_text("engine_sha256").first.wait_for()
    assistant = page.locator("[data-component-id='mlflow.assistant.chat_panel.close']")
    if assistant.count():
        assistant.click()
    _settle(page)


def open_report(page: Page, report: Path, section: str = "") -> None:
    """The report of a certificate, from its top or from one of its sections."""
    page.goto(report.as_uri())
    if section:
        page.locator(f"#{section}").evaluate("node => node.scrollIntoView()")
    _settle(page)


def take_all(
    page: Page, project: Path, domain: str, dagster: str, mlflow: str, folder: Path
) -> list[Path]:
    """Take every picture; returns their paths."""
    home = project / "var"
    current = home / "artifacts" / domain / "current"
    pointers = {path.stem: json.loads(path.read_text()) for path in current.glob("*.json")}
    stage = {name: Path(os.path.normpath(home / p["path"])) for name, p in pointers.items()}
    report = stage["certificate"] / "report.html"
    version = json.loads((stage["model_version"] / "version.json").read_text())["version"]
    folder.mkdir(parents=True, exist_ok=True)
    pictures: dict[str, Callable[[], None]] = {
        "dagster-assets": lambda: open_asset_graph(page, dagster),
        "mlflow-version": lambda: open_version(page, mlflow, domain, version),
        "report": lambda: open_report(page, report),
        "certificate": lambda: open_report(page, report, "certificate"),
    }
    written = []
    for name, show in pictures.items():
        show()
        written.append(folder / f"{name}.png")
        page.screenshot(path=written[-1])
    return written


def take_evaluation(page: Page, evaluation: Path, folder: Path) -> Path:
    """Take the page of an evaluation, with its utterances below its headline; returns the path."""
    page.goto((evaluation / "report.html").resolve().as_uri())
    page.evaluate(
        """() => { const shown = new Set(["headline", "accent", "utterances"]);
          for (const one of document.querySelectorAll("section")) one.hidden = !shown.has(one.id);
          document.querySelector("#accent table").hidden = true;
          for (const one of [...document.querySelectorAll("#listed > .example")].slice(3))
            one.hidden = true; }"""
    )
    page.set_viewport_size({"width": 1080, "height": 900})
    _settle(page)
    folder.mkdir(parents=True, exist_ok=True)
    written = folder / "evaluation.png"
    page.screenshot(path=written, full_page=True)
    return written


def _wait_for_graph(page: Page) -> None:
    page.wait_for_function(
        "least => document.querySelectorAll('svg foreignObject').length >= least", arg=_STAGES
    )


def _hide_navigation(page: Page) -> None:
    button = page.get_by_role("button", name="Hide navigation")
    if button.count():
        button.click()


def _settle(page: Page) -> None:
    """Wait until the picture stays the same: layouts, fonts and animations have come to rest."""
    before = b""
    for _ in range(60):
        page.wait_for_timeout(1000)
        now = page.screenshot()
        if now == before:
            return
        before = now


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--project", type=Path, default=Path())
    parser.add_argument("--domain", default="telephony-en")
    parser.add_argument("--dagster", default="http://127.0.0.1:3000")
    parser.add_argument("--mlflow", default="http://127.0.0.1:5000")
    parser.add_argument("--evaluation", type=Path)
    parser.add_argument("--out", type=Path, default=Path("docs/images"))
    return parser.parse_args()


if __name__ == "__main__":
    given = _arguments()
    with browser_page() as opened:
        if given.evaluation:
            take_evaluation(opened, given.evaluation, given.out)
        else:
            project = given.project.resolve()
            take_all(opened, project, given.domain, given.dagster, given.mlflow, given.out)
