"""Live progress: in a terminal a line for each finished stage and a bar for the one at work; in a
log the same lines, and at least every half minute one that says how far the work is."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Mapping

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)

from lifecycle.progress import Progress as StageProgress
from lifecycle.progress import listening

QUIET_SECONDS = 30.0
"""A log is never longer silent than this, so that work and standstill can be told apart."""


@contextlib.contextmanager
def live_progress(quiet: float = QUIET_SECONDS) -> Iterator[Callable[[StageProgress], None]]:
    """Yield a listener for `lifecycle.progress.listening`.

    Args:
        quiet: seconds after which a log (no terminal) gets a line about the stage at work.
    """
    console = Console(stderr=True)
    with Progress(
        SpinnerColumn(finished_text=" "),
        TextColumn("{task.description:<22}"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("[dim]{task.fields[note]}"),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    ) as bars:
        listener = _Listener(bars, console)
        if console.is_terminal:
            yield listener
            return
        ended = threading.Event()
        writer = threading.Thread(target=listener.write, args=(ended, quiet), daemon=True)
        writer.start()
        try:
            yield listener
        finally:
            ended.set()
            writer.join()


@contextlib.contextmanager
def stages_shown() -> Iterator[None]:
    """Show how far the stages are that this process runs in the block."""
    with live_progress() as show, listening(show):
        yield


class _Listener:
    def __init__(self, bars: Progress, console: Console) -> None:
        self._bars = bars
        self._console = console
        self._stage = ""
        self._task: TaskID | None = None
        self._began = time.monotonic()
        self._figures: dict[str, float] = {}
        self._line = ""
        self._last = time.monotonic()

    def __call__(self, news: StageProgress) -> None:
        name = news.stage.replace("_", " ")
        if news.state != "working":
            self._finish(name, news)
            return
        if self._task is None or news.stage != self._stage:
            self._clear()
            self._stage, self._began = news.stage, time.monotonic()
            self._task = self._bars.add_task(name, total=None, note="")
        # A figure stays until there is a newer one: the last word error rate between evaluations.
        self._figures |= news.values
        note = escape(" ".join([news.message, *_shown(self._figures)]).strip())
        self._bars.update(self._task, total=news.total or None, completed=news.done, note=note)
        count = f"{news.done:,}/{news.total:,} " if news.total else ""
        self._line = f"  … {name:<22} {count}{note}".rstrip()

    def write(self, ended: threading.Event, quiet: float) -> None:
        """Print the line of the stage at work whenever nothing was printed for `quiet` seconds."""
        while not ended.wait(max(0.01, min(quiet, self._last + quiet - time.monotonic()))):
            if time.monotonic() - self._last >= quiet and self._line:
                took = time.monotonic() - self._began
                self._print(f"{self._line} [dim]({took:.0f} s so far)[/]")

    def _finish(self, name: str, news: StageProgress) -> None:
        took = time.monotonic() - self._began
        self._clear()
        state = f"{took:7.1f} s" if news.state == "made" else "unchanged"
        self._print(f"  [green]✓[/] {name:<22} {state}")

    def _print(self, line: str) -> None:
        self._console.print(line, highlight=False, soft_wrap=True)
        self._last = time.monotonic()

    def _clear(self) -> None:
        if self._task is not None:
            self._bars.remove_task(self._task)
        self._task = None
        self._figures, self._line = {}, ""


def _shown(figures: Mapping[str, float]) -> list[str]:
    shown = []
    for name, value in figures.items():
        if name == "seconds left":
            minutes, seconds = divmod(round(value), 60)
            shown.append(f"{minutes} min {seconds:02d} s left" if minutes else f"{seconds} s left")
        elif "rate" in name and name != "learning rate":
            shown.append(f"{name} {100 * value:.1f}%")
        else:
            shown.append(f"{name} {value:.3g}")
    return shown
