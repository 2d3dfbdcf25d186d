"""What outlives a forgotten speaker: the report, tags of model versions, marks of certificates.

A certificate is never changed. `marks.json` beside it says what became of what it rests on.
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lifecycle.traces import Traces
from lifecycle.workspace import Workspace
from voiceforge.files import read_json, write_json

if TYPE_CHECKING:
    from data.forgotten import Forgotten
    from serving.registry import ModelVersion, Registry

TRAINED_TAG = "trained-on-forgotten-speaker"
"""Tag of a model version: the reports in data/ledgers on the speakers it learned from."""

TESTED_TAG = "certificate-with-forgotten-speaker"
"""Tag of a model version: its certificate's held-out set had a speaker who was forgotten since."""

MARKS = "marks.json"


def report_file(workspace: Workspace, forgotten: Forgotten, speaker: str) -> Path:
    """Where the report on a speaker lies: its name is a part of their hash."""
    folder = workspace.settings.ledgers / workspace.domain.name
    return folder / f"forgotten-{forgotten.speaker_hash(speaker)[:12]}.json"


def write_report(path: Path, forgotten: Forgotten, speaker: str, traces: Traces) -> None:
    """Write what models learned from a speaker, without names and words."""
    stone = forgotten.tombstone(speaker)
    write_json(
        path,
        {
            "speaker": forgotten.speaker_hash(speaker),
            "at": stone.at if stone else "",
            "why": stone.why if stone else "",
            "recordings": len(stone.audio) if stone else 0,
            "corpus_versions": list(stone.versions) if stone else [],
            "traces": asdict(traces),
        },
    )


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


def sentences(decided: Path | None, champion: ModelVersion | None) -> list[str]:
    """What a person should know of a domain's last certificate and of its champion.

    Args:
        decided: folder of the certificate.
    """
    found = []
    for mark in certificate_marks(decided) if decided else []:
        gate = f" {mark['gate']} replaces its gate set: run again." if mark["gate"] else ""
        found.append(f"Last certificate: {mark['why']}{gate} ({mark['report']})")
    if champion and (reports := champion.tags.get(TRAINED_TAG)):
        found.append(f"The champion learned from a speaker who was forgotten since. ({reports})")
    return found
