"""Live progress in a terminal: a line for each finished stage, a bar for the one at work."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator

from rich.console import Console
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


@contextlib.contextmanager
def live_progress() -> Iterator[Callable[[StageProgress], None]]:
    """Yield a listener for `lifecycle.progress.listening`.

    Where the output is no terminal (a log, a pipe) it prints the finished stages only.
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
        yield _Listener(bars, console)


class _Listener:
    def __init__(self, bars: Progress, console: Console) -> None:
        self._bars = bars
        self._console = console
        self._stage = ""
        self._task: TaskID | None = None
        self._began = time.monotonic()

    def __call__(self, news: StageProgress) -> None:
        name = news.stage.replace("_", " ")
        if news.state != "working":
            self._finish(name, news)
            return
        if self._task is None or news.stage != self._stage:
            self._clear()
            self._stage, self._began = news.stage, time.monotonic()
            self._task = self._bars.add_task(name, total=None, note="")
        self._bars.update(
            self._task,
            total=news.total or None,
            completed=news.done,
            note=" ".join([news.message, *_figures(news)]).strip(),
        )

    def _finish(self, name: str, news: StageProgress) -> None:
        took = time.monotonic() - self._began
        self._clear()
        state = f"{took:7.1f} s" if news.state == "made" else "unchanged"
        self._console.print(f"  [green]✓[/] {name:<22} {state}", highlight=False)

    def _clear(self) -> None:
        if self._task is not None:
            self._bars.remove_task(self._task)
        self._task = None


def _figures(news: StageProgress) -> list[str]:
    shown = []
    for name, value in news.values.items():
        if name == "seconds left":
            shown.append(f"{value:.0f} s left")
        elif "rate" in name and name != "learning rate":
            shown.append(f"{name} {100 * value:.1f}%")
        elif name != "learning rate":
            shown.append(f"{name} {value:.3g}")
    return shown
