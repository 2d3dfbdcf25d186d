"""Build a corpus: every source's recordings as 16 kHz mono FLAC with one table of utterances.

A corpus folder holds `audio/xx/ID.flac`, `utterances.parquet`, `quarantine.parquet` (what could not
be used, with its reason) and `summary.json`. Equal sources give equal bytes.
"""

from __future__ import annotations

import hashlib
import shutil
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from data.forgotten import NOBODY, Forgotten, reject
from data.rendering import Job, Rendered, render_all
from data.sources import open_sources
from data.sources.base import FileAudio, Reach, Recording, Reject
from data.splits import split_rows
from data.tables import QUARANTINE as QUARANTINE
from data.tables import UTTERANCES as UTTERANCES
from data.tables import load_corpus as load_corpus
from data.tables import read_rejects as read_rejects
from data.tables import read_utterances as read_utterances
from data.tables import write_rejects
from data.tables import write_utterances as write_utterances
from data.utterance import Utterance
from voiceforge.errors import StageError
from voiceforge.files import link_file, sha256_json, storage_errors, write_json
from voiceforge.params import DomainParams

CORPUS_VERSION = 3
"""Raise it when equal sources come to give another corpus: every corpus is built anew."""


@dataclass(frozen=True)
class CorpusSummary:
    """Plain figures about a corpus.

    Attributes:
        utterances, speakers: how many.
        seconds: of audio.
        words: of the references, split at spaces.
        quarantined: recordings that could not be used.
        quarantine_reasons: reason code -> how many.
        skipped: what sources hold that was never meant to be an utterance -> how many.
        sources, licences: name -> utterances.
        by_accent: accent, is_synthetic, utterances, seconds, words, speakers.
    """

    utterances: int
    seconds: float
    words: int
    speakers: int
    quarantined: int
    quarantine_reasons: Mapping[str, int]
    skipped: Mapping[str, int]
    sources: Mapping[str, int]
    licences: Mapping[str, int]
    by_accent: Sequence[Mapping[str, Any]]

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def source_fingerprint(domain: DomainParams, *, project: Path) -> str:
    """Hash of everything a rebuild would depend on; opens no audio and no connection.

    Raises:
        UsageError: a folder of recordings or its table is not there or cannot be meant.
    """
    sources = [source.fingerprint() for source in open_sources(domain, project)]
    return sha256_json([CORPUS_VERSION, domain.name, sources])


def build_corpus(
    domain: DomainParams,
    out: Path,
    *,
    project: Path,
    cache: Path,
    offline: bool,
    timeout: float,
    workers: int,
    forgotten: Forgotten = NOBODY,
    resume: Path | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> CorpusSummary:
    """Write the corpus of a domain into the empty folder `out`.

    Args:
        domain: what to build.
        out: given and empty; the caller gives it its final name when this returns.
        project: where relative paths of params.yaml start.
        cache, offline, timeout: as in `data.fetch.fetch`.
        workers: processes that decode.
        forgotten: speakers whose recordings are rejected.
        resume: folder that keeps finished audio when the build is killed; emptied at the end.
        progress: called with recordings done and recordings in all.

    Raises:
        UsageError: a source that cannot be meant.
        SourceError, IntegrityError: speech that cannot be had.
        StorageError: the disk is full or read-only.
        StageError: no recording could be used.
    """
    recordings, rejects, skipped = _plan(domain, project, Reach(cache, offline, timeout), forgotten)
    work = (resume or out) / ".rendered"
    jobs = [Job(recording, _target(recording, work)) for recording in recordings]
    outcomes = render_all(jobs, workers, progress or (lambda done, total: None))
    rows: list[Utterance] = []
    with storage_errors(out):
        for job, outcome in zip(jobs, outcomes, strict=True):
            if isinstance(outcome, Reject):
                rejects.append(outcome)
            elif forgotten.holds_audio(outcome.sha256):
                rejects.append(reject(job.recording.id, job.recording.source))
            else:
                row = _utterance(job.recording, domain.name, outcome)
                link_file(job.target, out / row.audio)
                rows.append(row)
    if not rows:
        raise StageError(_nothing(domain.name, rejects))
    write_utterances(out / UTTERANCES, rows)
    write_rejects(out / QUARANTINE, rejects)
    summary = summarise(rows, rejects, skipped)
    write_json(out / "summary.json", summary.as_dict())
    shutil.rmtree(work, ignore_errors=True)
    return summary


def _plan(
    domain: DomainParams, project: Path, reach: Reach, forgotten: Forgotten
) -> tuple[list[Recording], list[Reject], Counter[str]]:
    """Recordings sorted by id, each id once; the first source that names an id keeps it."""
    planned: dict[str, Recording] = {}
    rejects: list[Reject] = []
    skipped: Counter[str] = Counter()
    for source in open_sources(domain, project):
        plan = source.plan(reach)
        rejects += plan.rejects
        skipped.update(plan.skipped)
        recordings, gone = forgotten.divide(plan.recordings)
        rejects += gone
        for recording in recordings:
            if kept := planned.get(recording.id):
                detail = f"{kept.where} of {kept.source} has this id already."
                rejects.append(
                    Reject(recording.id, recording.source, recording.where, "duplicate-id", detail)
                )
            else:
                planned[recording.id] = recording
    return [planned[name] for name in sorted(planned)], rejects, skipped


def _target(recording: Recording, work: Path) -> Path:
    """Where a recording's FLAC waits: a name made of all that decides what is in it."""
    content: list[Any] = [CORPUS_VERSION, recording.where]
    if isinstance(recording.audio, FileAudio):
        stat = recording.audio.path.stat()
        content += [str(recording.audio.path), stat.st_size, stat.st_mtime_ns]
    else:
        content.append(recording.text)
    key = sha256_json(content)
    return work / key[:2] / f"{key}.flac"


def _utterance(recording: Recording, domain: str, finished: Rendered) -> Utterance:
    folder = hashlib.sha256(recording.id.encode()).hexdigest()[:2]
    return Utterance(
        id=recording.id,
        audio=f"audio/{folder}/{recording.id}.flac",
        duration=finished.seconds,
        text=recording.text,
        language=recording.language,
        accent=recording.accent,
        speaker=recording.speaker,
        domain=domain,
        source=recording.source,
        licence=recording.licence,
        consent=recording.consent,
        split="",
        is_synthetic=recording.is_synthetic,
        audio_sha256=finished.sha256,
    )


def summarise(
    rows: Sequence[Utterance], rejects: Sequence[Reject], skipped: Mapping[str, int]
) -> CorpusSummary:
    """The figures of a corpus's tables; `skipped` is as in `CorpusSummary`."""
    by_accent = [asdict(row) for row in split_rows(rows)]
    for row in by_accent:
        del row["split"]
    return CorpusSummary(
        utterances=len(rows),
        seconds=round(sum(row.duration for row in rows), 3),
        words=sum(len(row.text.split()) for row in rows),
        speakers=len({row.speaker for row in rows}),
        quarantined=len(rejects),
        quarantine_reasons=_counts(reject.reason for reject in rejects),
        skipped=dict(sorted(skipped.items())),
        sources=_counts(row.source for row in rows),
        licences=_counts(row.licence for row in rows),
        by_accent=by_accent,
    )


def _counts(names: Any) -> dict[str, int]:
    return dict(sorted(Counter(names).items()))


def _nothing(domain: str, rejects: Sequence[Reject]) -> str:
    examples = "; ".join(f"{r.where}: {r.reason} ({r.detail})" for r in rejects[:3])
    return (
        f"The sources of {domain} hold no recording that can be used ({len(rejects)} were "
        f"rejected). {'The first: ' + examples if examples else 'Their tables are empty'}. Mend "
        "them and run again."
    )
