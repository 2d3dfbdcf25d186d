"""Marks that outlive a forgotten speaker: on model versions, beside certificates, in plain files.

A certificate is never changed. `marks.json` beside it says what became of what it rests on.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from voiceforge.files import read_json, write_json

if TYPE_CHECKING:
    from serving.registry import Registry

TRAINED_TAG = "trained-on-forgotten-speaker"
"""Tag of a model version: the reports in data/ledgers on the speakers it learned from."""

TESTED_TAG = "certificate-with-forgotten-speaker"
"""Tag of a model version: its certificate's held-out set had a speaker who was forgotten since."""

MARKS = "marks.json"


def mark_version(
    registry: Registry, domain: str, version: str, report: str, tag: str = TRAINED_TAG
) -> None:
    """Name a report in a tag of a model version; other reports stay named."""
    known = registry.version(domain, version).tags.get(tag, "")
    names = sorted({*filter(None, known.split(", ")), report})
    if ", ".join(names) != known:
        registry.set_tag(domain, version, tag, ", ".join(names))


def mark_certificate(folder: Path, report: str, *, at: str, gate: str = "") -> None:
    """Write beside a certificate that its held-out set had a speaker who was forgotten.

    Args:
        folder: of the certificate.
        report: name of the report on the speaker.
        at: when they were forgotten.
        gate: the gate set that replaces the one it used, "" where there is none.
    """
    others = [mark for mark in certificate_marks(folder) if mark["report"] != report]
    sentence = "A speaker of its held-out set was forgotten: its figures cannot be made again."
    mark = {"mark": "forgotten-speaker", "report": report, "at": at, "why": sentence}
    write_json(folder / MARKS, [*others, {**mark, "gate": gate}])


def certificate_marks(folder: Path) -> list[dict[str, Any]]:
    """The marks beside a certificate, none where there are none."""
    marks: list[dict[str, Any]] = read_json(folder / MARKS) if (folder / MARKS).is_file() else []
    return marks
