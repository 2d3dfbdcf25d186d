"""Progress of long work, for whoever wants to show it: the terminal, Dagster, a test."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

State = Literal["working", "made", "unchanged"]


@dataclass(frozen=True)
class Progress:
    """How far a stage is.

    Attributes:
        done: units done, 0..total; a unit is a recording, a step or a clip.
        total: units in all; 0 where that is not known.
        message: one short line for a person, may be empty.
        values: figures of the moment, such as loss or seconds left.
        state: "made" when the stage has just finished its artifact, "unchanged" when it found one.
    """

    domain: str
    stage: str
    done: int
    total: int
    message: str = ""
    values: Mapping[str, float] = field(default_factory=dict)
    state: State = "working"


Listener = Callable[[Progress], None]
_listeners: list[Listener] = []
_told_as: list[tuple[str, str]] = []


def publish(progress: Progress) -> None:
    """Tell every listener of this process."""
    if _told_as:
        domain, stage = _told_as[-1]
        progress = replace(
            progress, domain=domain, stage=stage, message=progress.stage, state="working"
        )
    for listener in tuple(_listeners):
        listener(progress)


@contextlib.contextmanager
def told_as(domain: str, stage: str) -> Iterator[None]:
    """Tell what is published in the block as work of one stage: its parts are no stages."""
    _told_as.append((domain, stage))
    try:
        yield
    finally:
        _told_as.pop()


@contextlib.contextmanager
def listening(listener: Listener) -> Iterator[None]:
    """Call `listener` with every progress that is published while the block runs."""
    _listeners.append(listener)
    try:
        yield
    finally:
        _listeners.remove(listener)
